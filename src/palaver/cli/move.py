"""`palaver move`: from SQLite to PostgreSQL, or back."""

import asyncio
import tempfile
from pathlib import Path

import click
from msgspec.structs import replace

from palaver.chat.clock import SystemClock
from palaver.cli.faults import CannotBeConfigured, Refused, in_plain_words
from palaver.cli.installation import to_store_options
from palaver.cli.restoring import restore_from
from palaver.settings import Settings, load_settings
from palaver.store import SqlStore, open_store
from palaver.store.backup import Tally, copy_out, write_archive
from palaver.store.migrate import check_schema, migrate

# A database that cannot search by vectors gets none, and notes that they are to be made.
OF_VECTORS = {"documents", "embeddings"}


@click.command()
@click.option("--back", is_flag=True, help="From PostgreSQL to SQLite.")
def command(back: bool) -> None:
    """Copy all that is kept in SQLite (PALAVER_DATA_DIR) into an empty database of PostgreSQL's (PALAVER_DATABASE_URL).

    Afterwards both are counted and compared. What is said while it runs is not taken along: stop the server before,
    and start it with PALAVER_DATABASE_URL after.
    """
    with in_plain_words():
        asyncio.run(_move(load_settings(), back))


async def _move(settings: Settings, back: bool) -> None:
    if settings.database_url is None:
        raise CannotBeConfigured("PALAVER_DATABASE_URL says which database of PostgreSQL's is meant, and is not set.")
    postgres = to_store_options(settings)
    sqlite = replace(postgres, database_url=None)
    source_options, target_options = (postgres, sqlite) if back else (sqlite, postgres)
    async with open_store(source_options) as source, open_store(target_options) as target:
        if not await check_schema(source.database, source.engine):
            await migrate(source.database, source.engine)
        with tempfile.TemporaryDirectory(prefix="palaver-move-", dir=_room(settings)) as folder:
            moved = await _copy(source, target, Path(folder, "moved"))
        await _check(moved, source, target)
    click.echo(f"{moved.rows} rows of {len(moved.tables)} tables were moved, and are the same in both databases.")


def _room(settings: Settings) -> Path:
    # Not /tmp, which is often small, or memory.
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return settings.data_dir


async def _copy(source: SqlStore, target: SqlStore, file: Path) -> Tally:
    try:
        with write_archive(file) as put:
            await copy_out(source, put, SystemClock().now())
    except OSError as error:
        raise Refused(f"There is no room for the copy in PALAVER_DATA_DIR: {error.strerror}.") from error
    return await restore_from(file, target)


async def _check(moved: Tally, source: SqlStore, target: SqlStore) -> None:
    """Raises `Refused`."""
    there = await _count(target)
    if differing := _differing(moved, there, without=not await target.passages.can_embed()):
        raise Refused(f"What arrived is not what left: {differing}. Do not use that database.")
    if differing := _differing(moved, await _count(source)):
        raise Refused(
            f"Something was written while it was moved: {differing}. Stop the server, and move into another empty "
            "database."
        )


async def _count(store: SqlStore) -> Tally:
    return await copy_out(store, lambda _frame: None, SystemClock().now())


def _differing(one: Tally, other: Tally, *, without: bool = False) -> str:
    """The tables that are not the same in both; `without` those that tell of vectors."""
    names = one.tables.keys() - (OF_VECTORS if without else set())
    return ", ".join(sorted(name for name in names if one.tables[name] != other.tables.get(name)))
