"""`palaver migrate`."""

import asyncio

import click

from palaver.cli.faults import in_plain_words
from palaver.cli.installation import to_store_options
from palaver.settings import Settings, load_settings
from palaver.store import open_store
from palaver.store.migrate import migrate, newest_version


@click.command()
def command() -> None:
    """Bring the database to the schema of this version.

    Any number of these may run at once, beside running servers.
    """
    with in_plain_words():
        asyncio.run(_migrate(load_settings()))


async def _migrate(settings: Settings) -> None:
    async with open_store(to_store_options(settings)) as store:
        steps = await migrate(store.database, store.engine)
    for step in steps:
        click.echo(step)
    click.echo(f"The database has schema version {newest_version()}{'' if steps else ' already'}.")
