"""`palaver serve`."""

import sys

import click

from palaver.cli.faults import in_plain_words
from palaver.settings import load_settings


@click.command()
@click.option("--host", help="Address to listen on. [PALAVER_HOST: 127.0.0.1]")
@click.option("--port", help="Port to listen on; 0 takes a free one. [PALAVER_PORT: 8000]")
def command(host: str | None, port: str | None) -> None:
    """Run the server until it is told to end."""
    given = {"PALAVER_HOST": host, "PALAVER_PORT": port}
    with in_plain_words():
        settings = load_settings(**{name: text for name, text in given.items() if text is not None})

        # After the settings: a server that cannot start says so at once.
        from palaver.serve import serve

        sys.exit(serve(settings))
