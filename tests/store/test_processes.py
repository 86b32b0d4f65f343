"""Processes that start at once on one database."""

import asyncio
import sys
from pathlib import Path

import pytest

from palaver.store import StoreOptions, open_store
from palaver.store.migrate import check_schema, migrations
from tests.parts.palaver import StoreKind

PROGRAM = """
import asyncio, sys
from pathlib import Path
from palaver.store import StoreOptions, open_store, sqlite
from palaver.store.migrate import migrate

# Whoever comes second waits until the first has taken every step, however long that takes.
sqlite.BUSY_MILLISECONDS = 60_000

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with open_store(StoreOptions(Path(sys.argv[1]), sys.argv[2] or None)) as store:
        print(await migrate(store.database, store.engine))

asyncio.run(main())
"""


async def test_four_processes_that_migrate_at_once_do_it_once(
    request: pytest.FixtureRequest, store_kind: StoreKind, tmp_path: Path
) -> None:
    url: str = request.getfixturevalue("empty_postgres_url") if store_kind == "postgres" else ""
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, tmp_path, url, stdin=pipe, stdout=pipe, stderr=pipe
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    ends = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [errors for _, errors in ends] == [b""] * 4
    done = [f"{migration.version:04} {migration.name}" for migration in migrations()]
    assert sorted(printed.decode() for printed, _ in ends) == [f"{done}\n", "[]\n", "[]\n", "[]\n"]
    async with open_store(StoreOptions(tmp_path, url or None)) as store:
        assert await check_schema(store.database, store.engine)
