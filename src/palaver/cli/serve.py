"""`palaver serve`.

What serves is imported last: a server that cannot start says so at once, and a supervisor stays small.
"""

import signal
import sys
from pathlib import Path

import click

from palaver.settings import BadSettings, Settings, load_settings


@click.command()
@click.option("--host", help="Address to listen on. [PALAVER_HOST: 127.0.0.1]")
@click.option("--port", help="Port to listen on; 0 takes a free one. [PALAVER_PORT: 8000]")
@click.option(
    "--workers", help="How many processes serve; more than one need PostgreSQL and Redis. [PALAVER_WORKERS: 1]"
)
@click.option("--board", type=click.Path(path_type=Path), hidden=True, help="Where a worker keeps its numbers.")
@click.option("--as-worker", nargs=2, type=int, hidden=True, help="Listen and obey at these descriptors.")
def command(
    host: str | None, port: str | None, workers: str | None, as_worker: tuple[int, int] | None, board: Path | None
) -> None:
    """Run the server until it is told to end."""
    if as_worker is not None:
        # Ctrl-C, and the end of a terminal, reach all processes; what they mean is the supervisor's to say.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    given = {"PALAVER_HOST": host, "PALAVER_PORT": port, "PALAVER_WORKERS": workers}
    settings = _load({name: text for name, text in given.items() if text is not None})
    if as_worker is None and settings.workers > 1:
        from palaver.serve.supervisor import supervise

        sys.exit(supervise(settings))
    sys.exit(_serve(settings, as_worker, board))


def _load(given: dict[str, str]) -> Settings:
    try:
        return load_settings(**given)
    except BadSettings as error:
        # It brings the databases' drivers along.
        from palaver.cli.faults import CannotBeConfigured

        raise CannotBeConfigured(str(error)) from error


def _serve(settings: Settings, as_worker: tuple[int, int] | None, board: Path | None) -> int:
    from palaver.cli.faults import in_plain_words

    with in_plain_words():
        if as_worker is not None:
            from palaver.serve.worker import serve_as_worker

            return serve_as_worker(settings, *as_worker, board)
        from palaver.serve.alone import serve_alone

        return serve_alone(settings)
