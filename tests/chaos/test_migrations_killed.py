"""A migration killed in the middle of a populated database: it is taken whole by the next, or was not begun at all."""

import asyncio
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import asyncpg
import pytest

from palaver.chat.clock import Micros
from palaver.store import StoreOptions, open_store
from palaver.store.backup.copying import Tally, copy_out
from palaver.store.database import Transaction
from palaver.store.migrate import ADVISORY_LOCK, migrate, newest_version, schema_version
from tests.chaos.waiting import wait_while
from tests.chaos.workers import has_open
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind
from tests.parts.postgres import Postgres
from tests.parts.process import bare_environment, wait_until
from tests.parts.run import Run
from tests.promises import Measured
from tests.serve.crew import Crew

pytestmark = pytest.mark.proof("faults")

PALAVER = str(Path(sys.executable).with_name("palaver"))
FILE = "palaver.sqlite3"

A_CONVERSATION = 20
"""Messages."""

OTHERS = (
    "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
SECONDS_TO_LEAVE = 300
"""A statement is carried out to its end, whoever has asked for it."""

# As the first schema kept them, whatever number of messages.
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
USERS = "INSERT INTO users (id, uuid, kind, name, name_key, created_at) VALUES (1, 'u', 'person', 'ana', 'ana', 1)"
CONVERSATIONS = (
    "INSERT INTO conversations (id, uuid, owner_id, origin, title, last_number, leaf_number, message_count, "
    f"created_at, updated_at) {NUMBERS} SELECT i, 'c-' || CAST(i AS TEXT), 1, 'chatify', 'A talk', {A_CONVERSATION}, "
    f"{A_CONVERSATION}, {A_CONVERSATION}, i, i FROM n"
)
MESSAGES = (
    "INSERT INTO messages (conversation_id, number, parent_number, uuid, role, status, content, created_at, "
    f"prompt_tokens, completion_tokens) {NUMBERS} "
    f"SELECT (i - 1) / {A_CONVERSATION} + 1, (i - 1) % {A_CONVERSATION} + 1, NULLIF((i - 1) % {A_CONVERSATION}, 0), "
    "'m-' || CAST(i AS TEXT), CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END, 'complete', "
    "'Something was said here, number ' || CAST(i AS TEXT), i, CASE WHEN i % 2 = 0 THEN 10 END, "
    "CASE WHEN i % 2 = 0 THEN 5 END FROM n"
)


@dataclass(frozen=True)
class Place:
    """A database, and how another one like it is made."""

    options: StoreOptions
    environment: dict[str, str]


Copy = Callable[[Place], Place]


def place_of(folder: Path, url: str | None) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**bare_environment(), "PALAVER_DATA_DIR": str(folder)}
    if url is not None:
        environment["PALAVER_DATABASE_URL"] = url
    return Place(StoreOptions(folder, url, connections=2), environment)


@pytest.fixture
def places(request: pytest.FixtureRequest, store_kind: StoreKind, tmp_path: Path) -> Iterator[tuple[Place, Copy]]:
    """An empty database, and how to copy one."""
    if store_kind == "sqlite":
        yield place_of(tmp_path / "first", None), lambda place: copy_file(place, tmp_path)
        return
    server: Postgres = request.getfixturevalue("postgres")
    names = [server.create_database()]

    def copy_database(place: Place) -> Place:
        url = place.options.database_url
        assert url is not None
        names.append(server.create_database(template=url.rpartition("@/")[2].partition("?")[0]))
        return place_of(tmp_path / names[-1], server.url(names[-1]))

    yield place_of(tmp_path / "first", server.url(names[0])), copy_database
    for name in names:
        server.drop_database(name)


def copy_file(place: Place, folder: Path) -> Place:
    copy = place_of(folder / f"copy-{len(list(folder.iterdir()))}", None)
    shutil.copytree(place.options.data_dir, copy.options.data_dir, dirs_exist_ok=True)
    return copy


async def populate(place: Place, messages: int) -> None:
    """As it was with the first schema."""

    async def fill(tx: Transaction) -> None:
        await tx.run(USERS)
        await tx.run_long(CONVERSATIONS.format(count=messages // A_CONVERSATION))
        await tx.run_long(MESSAGES.format(count=messages))

    async with open_store(place.options) as store:
        await migrate(store.database, store.engine, up_to=1)
        await store.database.write(fill)


async def count_up(place: Place) -> Tally:
    async with open_store(place.options) as store:
        return await copy_out(store, lambda _frame: None, Micros(0))


async def version(place: Place) -> int:
    async with open_store(place.options) as store:
        return await schema_version(store.database, store.engine)


def take(place: Place, *, kill_after: float | None = None) -> None:
    """`palaver migrate`, to its end or killed by then."""
    done = subprocess.run(
        [PALAVER, "migrate"],
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=kill_after,
    )
    assert done.returncode == 0, done.stderr


async def test_migration_killed_at_any_moment_is_taken_whole_by_the_next(
    places: tuple[Place, Copy], dice: random.Random, prove: bool, measured: Measured
) -> None:
    populated, copy = places
    messages, kills = (1_000_000, 20) if prove else (2_000, 3)
    await populate(populated, messages)
    unharmed, before = copy(populated), await count_up(populated)
    began = time.monotonic()
    await asyncio.to_thread(take, unharmed)
    took = time.monotonic() - began
    wanted = await count_up(unharmed)
    assert wanted.tables["messages"][0] == messages

    harmed, killed, latest = copy(populated), 0, took
    while killed < kills:
        began = time.monotonic()
        try:
            await asyncio.to_thread(take, harmed, kill_after=latest * dice.uniform(0.1 if prove else 0.5, 1.0))
        except subprocess.TimeoutExpired:
            killed += 1
        if killed == kills:
            # What the last one has asked for may still be under way.
            await wait_until_left(harmed)
        if await version(harmed) != 1:
            # It was just done, or killed when it had committed all of it. On a busy machine no two take as long.
            latest = min(latest, time.monotonic() - began)
            assert await count_up(harmed) == wanted
            shutil.rmtree(harmed.options.data_dir)
            harmed = copy(populated)
    assert await count_up(harmed) == before
    await asyncio.to_thread(take, harmed)
    assert await count_up(harmed) == wanted
    assert await version(harmed) == newest_version()
    measured("migrations killed, of a database of so many messages", f"{killed} of {messages:,}", "messages")
    measured("the migration took", round(took, 1), "s")


async def wait_until_left(place: Place) -> None:
    """Until PostgreSQL has ended all sessions there. A file has none."""
    if place.options.database_url is not None:
        ours = await asyncpg.connect(place.options.database_url)
        await wait_while(lambda: ours.fetch(OTHERS), seconds=SECONDS_TO_LEAVE, what="a session of who was killed")
        await ours.close()


# A server that is started meanwhile


async def test_server_that_starts_while_postgres_is_migrated_says_so_and_waits(
    run: Run, postgres_url: str, llm: LLM
) -> None:
    other = await asyncpg.connect(postgres_url)
    async with other.transaction():
        # Ours plays the one that migrates.
        await other.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        server = new_server(run, llm, PALAVER_DATABASE_URL=postgres_url)
        starting = asyncio.create_task(server.start())
        await Crew(server).wait_log("another Palaver changes the schema of the database just now: waiting until it has")
        assert not starting.done()
    await other.close()
    await starting
    assert await server.stop() == 0


async def test_server_that_starts_while_its_file_is_migrated_waits_or_is_refused_in_plain_words(
    run: Run, llm: LLM, prove: bool
) -> None:
    """A server's own patience with another process is ten seconds; at full size that is waited for."""
    server = new_server(run, llm)
    folder = Path(server.environment["PALAVER_DATA_DIR"])
    async with open_store(StoreOptions(folder)):
        pass
    with migrating_file(folder):
        starting = asyncio.create_task(server.start())
        assert await wait_until(lambda: has_opened_file(server, folder), seconds=30)
        await asyncio.wait([starting], timeout=20 if prove else 1)
        assert starting.done() == prove
    error = (await asyncio.gather(starting, return_exceptions=True))[0]
    assert (error is not None) == prove
    assert ("Palaver cannot start: another process is writing to the database file." in server.log_text()) == prove
    assert "Traceback" not in server.log_text()
    await server.end()


def new_server(run: Run, llm: LLM, **settings: str) -> Server:
    usual = {"PALAVER_DISCOVER_PORTS": "", "LLM_SERVER_URL": llm.url}
    return Server(run, run.make_folder("server"), {**usual, **settings})


def has_opened_file(server: Server, folder: Path) -> bool:
    # It has no process before its start has begun.
    return hasattr(server, "process") and has_open(server.pid, str(folder / FILE))


@contextmanager
def migrating_file(folder: Path) -> Iterator[None]:
    """Another process has begun, and writes. Ours can play it: the server is another one."""
    other = apsw.Connection(str(folder / FILE))
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()
