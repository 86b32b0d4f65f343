"""`palaver restore FILE`."""

import asyncio
from pathlib import Path

import click

from palaver.cli.faults import in_plain_words
from palaver.cli.installation import to_store_options
from palaver.cli.restoring import restore_from
from palaver.settings import Settings, load_settings
from palaver.store import open_store


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Bring what `palaver backup` put into FILE into an empty database.

    The database is the one that the settings name, SQLite or PostgreSQL, whichever the backup was made of. It gets all
    of it or nothing.
    """
    with in_plain_words():
        asyncio.run(_restore(load_settings(), file))


async def _restore(settings: Settings, file: Path) -> None:
    async with open_store(to_store_options(settings)) as store:
        tally = await restore_from(file, store)
    click.echo(f"{tally.rows} rows of {len(tally.tables)} tables are in the database.")
