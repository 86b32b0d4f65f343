"""The commands before the first start, at an old or newer schema, and where there is no database at all."""

import asyncio
from pathlib import Path

import pytest

from palaver.store import StoreOptions, open_store
from palaver.store.database import Transaction
from palaver.store.migrate import newest_version
from tests.cli.conftest import Command
from tests.parts.palaver import Database

PASSWORD = "sekret"


async def set_schema_version(data_dir: Path, database: Database, version: int) -> None:
    async def work(tx: Transaction) -> None:
        await tx.run("UPDATE schema_version SET version = $1", version)

    async with open_store(StoreOptions(data_dir, database.environment.get("PALAVER_DATABASE_URL"))) as store:
        await store.database.write(work)


def test_first_command_makes_the_database(embedded: Command, data_dir: Path) -> None:
    assert embedded("user", "add", "ana").code == 0
    assert [row[0] for row in embedded("user", "list").rows] == ["ana"]
    assert data_dir.stat().st_mode & 0o077 == 0


def test_first_command_makes_what_an_empty_postgres_lacks(embedded: Command, empty_postgres_url: str) -> None:
    assert embedded("user", "add", "ana", PALAVER_DATABASE_URL=empty_postgres_url).code == 0
    assert [row[0] for row in embedded("user", "list", PALAVER_DATABASE_URL=empty_postgres_url).rows] == ["ana"]


def test_migrate_says_which_steps_it_took(embedded: Command) -> None:
    first, second = embedded("migrate"), embedded("migrate")
    assert first.out.splitlines()[0] == "0001 start"
    assert first.out.splitlines()[-1] == f"The database has schema version {newest_version()}."
    assert second.out == f"The database has schema version {newest_version()} already.\n"


@pytest.mark.parametrize("command", [("migrate",), ("user", "list"), ("app", "list"), ("doctor",), ("serve",)])
async def test_database_of_a_newer_palaver_is_left_alone(
    palaver: Command, data_dir: Path, database: Database, command: tuple[str, ...]
) -> None:
    palaver("migrate")
    await set_schema_version(data_dir, database, 999)
    done = await asyncio.to_thread(palaver, *command, PALAVER_PORT="0")
    assert done.code == 1
    assert "schema version 999" in done.out + done.err


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"postgresql://user:{PASSWORD}@127.0.0.1:1/name", "nothing listens at its address"),
        (f"postgresql://user:{PASSWORD}@host.invalid/name", "its host name is not known"),
        (f"postgresql://user:{PASSWORD}@/name?host=%2Fnowhere", "its socket is not there"),
    ],
)
@pytest.mark.parametrize("command", [("migrate",), ("user", "list"), ("token", "revoke", "1"), ("doctor",)])
def test_database_that_cannot_be_reached_is_said_not_to_answer(
    embedded: Command, command: tuple[str, ...], url: str, why: str
) -> None:
    done = embedded(*command, PALAVER_DATABASE_URL=url)
    assert done.code == 1
    assert f"The database does not answer: {why}." in done.out + done.err
    assert PASSWORD not in done.out + done.err


def test_database_that_is_not_there_is_said_to_be_missing(embedded: Command, empty_postgres_url: str) -> None:
    url = empty_postgres_url.replace("/test_", "/missing_")
    done = embedded("user", "list", PALAVER_DATABASE_URL=url)
    assert (done.code, done.out) == (1, "")
    assert done.err == "The database does not answer: its server has no database of that name.\n"


def test_folder_that_cannot_be_used_is_named(embedded: Command, data_dir: Path) -> None:
    data_dir.write_text("not a folder")
    done = embedded("user", "list")
    assert done.code == 1
    assert done.err.startswith(f"The data folder {data_dir} cannot be used: ")


def test_file_that_is_no_database_is_said_to_be_none(embedded: Command, data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "palaver.sqlite3").write_text("This is no database. " * 100)
    done = embedded("user", "add", "ana")
    assert (done.code, done.err) == (1, f"The data folder {data_dir} cannot be used: file is not a database.\n")
