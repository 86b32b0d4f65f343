"""`palaver settings`."""

import click

from palaver.settings import to_table


@click.command()
def command() -> None:
    """Print the table of all settings, as in docs/settings.md."""
    click.echo(to_table(), nl=False)
