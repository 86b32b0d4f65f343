"""A disk that is full, and a database file that somebody else holds: what can be done is done, the rest is refused in
plain words, and all goes on by itself when there is room again."""

import asyncio
import re
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest

from tests.chaos.device import open_alice
from tests.chaos.kept import Kept
from tests.chaos.person import Person
from tests.chaos.waiting import wait_for
from tests.contracts.knowing import COLLECTIONS, DOCUMENTS, keep, make_collection, search, upload
from tests.journeys.client import open_client
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.process import wait_until
from tests.promises import Measured

pytestmark = pytest.mark.proof("faults")

CANNOT_BE_KEPT = re.compile(r"the end of reply \d+ cannot be kept yet")
REFUSED = "The server cannot reach its data just now. Try again in a moment."

# Of SQLite's log of writes, as its file format says.
LOG_HEADER, PAGE_HEADER = 32, 24

LOCKED_SECONDS = 1.0
# The server's own patience with another process is ten.
LOCKED_FOR_LONG = 12.0


@pytest.fixture(scope="module", params=["sqlite"])
def store_kind(request: pytest.FixtureRequest) -> StoreKind:
    """PostgreSQL has a disk of its own."""
    kind: StoreKind = request.param
    return kind


def database_file(server: Server) -> Path:
    return Path(server.environment["PALAVER_DATA_DIR"], "palaver.sqlite3")


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """No file of the server's grows any more, as on a disk without room."""
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    with kept_log(database_file(server)) as size:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def kept_log(file: Path) -> Iterator[int]:
    """SQLite's log of writes is neither cut nor begun anew, which would be room. Gives the size of what is in it."""
    with closing(apsw.Connection(str(file))) as reader, closing(apsw.Connection(str(file))) as other:
        other.set_busy_timeout(500)
        page_size = other.pragma("page_size")
        while True:
            # It is kept for who began to read while something in it was not in the file yet. The server, which copies
            # and cuts it when it has just started, can be quicker.
            other.pragma("user_version", other.pragma("user_version"))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            is_kept, pages, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
            assert isinstance(pages, int)
            if is_kept and pages > 0:
                break
            reader.execute("ROLLBACK")
        yield LOG_HEADER + pages * (PAGE_HEADER + page_size)


@contextmanager
def held(server: Server) -> Iterator[None]:
    """Another process is in the middle of writing. Ours can play it: the server is another one."""
    other = apsw.Connection(str(database_file(server)))
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_where_the_disk_is_full_reading_goes_on_and_sending_is_refused_until_there_is_room(
    server: Server, alice: Person, kept: Kept, llm: LLM
) -> None:
    conversation = await alice.open_conversation()
    acknowledged = [await alice.say(f"before {number}", conversation) for number in range(3)]
    assert all(told.is_answer for told in acknowledged)
    before = await alice.list_messages(conversation)
    # Its end comes when there is no room, and waits for some.
    held = "meanwhile [[hold=meanwhile]]"
    running = asyncio.create_task(alice.say(held, conversation, client_message_id="meanwhile"))
    await wait_for(kept.open_replies, seconds=10, what="a reply that runs")
    with full_disk(server):
        told = [await alice.say("x" * 3000, conversation, client_message_id=f"full-{number}") for number in range(3)]
        assert {answer.status for answer in told} == {503}
        assert {answer.json["detail"] for answer in told} == {REFUSED}
        assert "palaver.sqlite3" not in "".join(answer.everything for answer in told)
        assert (await alice.list_messages(conversation))[: len(before)] == before
        await llm.let_go("meanwhile")
        assert await wait_until(lambda: CANNOT_BE_KEPT.search(server.log_text()) is not None, seconds=10)
        assert not running.done()
    assert (await running).is_answer
    again = [await alice.say("x" * 3000, conversation, client_message_id=f"full-{number}") for number in range(3)]
    assert all(answer.is_answer for answer in again)
    assert len(await alice.list_messages(conversation)) == len(before) + 2 + 2 * 3
    assert not await kept.miscounted()
    assert server.is_running
    assert "Traceback" not in server.log_text()


async def test_where_the_disk_is_full_documents_are_read_and_none_is_taken_until_there_is_room(
    shared_server: Server, shared_token: str
) -> None:
    server = shared_server
    # Who is refused while it sends hears that if it keeps its connection.
    async with open_client(server) as nobody:
        alice = nobody.bearing(shared_token)
        collection = await make_collection(alice)
        before = await keep(alice, collection, "apple pie")
        large = b"word " * 60_000
        with full_disk(server):
            refused = [await upload(alice, collection, large, f"{number}.txt") for number in range(3)]
            assert {(answer.status, answer.body["detail"]) for answer in refused} == {(503, REFUSED)}
            assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
            assert (await alice.get(f"{DOCUMENTS}{before['id']}/file/")).content == b"apple pie"
            assert await search(alice, collection, "apples")
        # Of those that were refused nothing is left.
        listed = await alice.get(f"{COLLECTIONS}{collection['id']}/documents/")
        assert [document["name"] for document in listed.body["documents"]] == ["a.txt"]
        assert (await upload(alice, collection, large, "again.txt")).status == 202
    assert "Traceback" not in server.log_text()


async def test_where_the_servers_own_disk_is_full_and_the_database_is_elsewhere_all_goes_on(
    postgres_url: str, start_server: StartServer, tmp_path: Path
) -> None:
    """Of its own it writes nothing but its log, and needs no room for temporary files."""
    # The database comes before the server, which has to have ended before it is dropped.
    server = await start_server(PALAVER_DATABASE_URL=postgres_url, TMPDIR=str(tmp_path / "nowhere"))
    async with open_alice(server, await server.token("admin")) as alice:
        collection = await make_collection(alice)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        written = server.log_text()
        assert (await alice.post("/api/chat", message="hello")).status == 200
        document = await keep(alice, collection, b"word " * 60_000)
        assert (await alice.get(f"{DOCUMENTS}{document['id']}/file/")).status == 200
        assert server.log_text() == written
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert (await alice.post("/api/chat", message="hello")).status == 200
        # Of a request it is told once its answer has been sent.
        assert await wait_until(lambda: server.log_text() != written, seconds=20)
    assert server.is_running


async def test_while_another_process_holds_the_file_sending_waits_or_is_refused_and_goes_on(
    server: Server, alice: Person, kept: Kept, prove: bool, measured: Measured
) -> None:
    conversation = await alice.open_conversation()
    seconds = LOCKED_FOR_LONG if prove else LOCKED_SECONDS
    measured("locked for", seconds, "s")
    with held(server):
        waiting = asyncio.create_task(alice.say("hello", conversation, client_message_id="hello"))
        await asyncio.wait([waiting], timeout=seconds)
        assert await alice.list_messages(conversation) == []
        assert waiting.done() == prove
    told = await waiting
    assert told.status == (503 if prove else 200)
    assert (await alice.say("hello", conversation, client_message_id="hello")).is_answer
    turn = await kept.turn("hello")
    assert (turn.reply.status, turn.reply.attempt) == ("complete", 1)
    assert "Traceback" not in server.log_text()
