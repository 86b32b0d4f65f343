"""Messages that no client of ours would send: errors, or a right close, and the server is as it was."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.chaos.mutations import OVER_LIMIT, Mutations
from tests.contracts.raw import BINARY, CLOSE, TEXT, Raw, frame, open_raw
from tests.contracts.talking import SESSIONS, make, read, say
from tests.journeys.client import Client, open_client
from tests.journeys.socket import CONVERSATION, LIST, enter
from tests.parts.palaver import Server, StoreKind
from tests.promises import Measured

pytestmark = pytest.mark.proof("security")

BATCH = 50
SESSION_COUNT = 4
MEMORY_MIB = 24.0
"""That much more the process may have after all of them: what the database and a few conversations may take."""

TOLD = frozenset(
    (
        "ai_message_chunk", "ai_message_complete", "ai_message_stopped", "ai_typing", "ai_typing_stop",
        "chat_list_update", "connection_established", "error", "message_read", "notification", "pong", "resumed",
        "snapshot", "user_message", "user_typing", "user_typing_stop",
    )
)  # fmt: skip
CODES = frozenset(
    (
        "bad_json", "unknown_type", "invalid", "not_found", "conflict", "busy", "bot_unavailable", "not_running",
        "too_large",
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    # What is said while a reply runs is refused: a hundred thousand turns are another test's.
    return {"PALAVER_WHEN_BUSY": "reject", "PALAVER_LLM_TRIES": "1"}


@pytest.fixture
async def token(server: Server) -> str:
    return await server.token("admin")


@pytest.fixture
async def person(server: Server, token: str) -> AsyncIterator[Client]:
    async with open_client(server) as nobody:
        yield nobody.bearing(token)


@dataclass(frozen=True)
class Place:
    """A socket to send to, and the messages to send."""

    path: str
    mutations: Iterator[bytes]


async def prepare(person: Client, seed: str) -> list[Place]:
    """Conversations in which something was said, and the list."""
    places = []
    for number in range(SESSION_COUNT):
        session = await make(person)
        async with enter(person, session) as socket:
            cursors = [socket.cursor]
            turn = await say(person, session)
            cursors += [event["cursor"] for event in await socket.turn()]
        ids = [turn["user_message"]["id"], turn["ai_message"]["id"], session]
        places.append(Place(CONVERSATION.format(session), iter(Mutations(f"{seed} {number}", ids, cursors))))
    return [*places, Place(LIST, iter(Mutations(f"{seed} {SESSION_COUNT}", ids, cursors)))]


async def send_batch(server: Server, token: str, place: Place, batch: list[tuple[int, bytes]]) -> None:
    """Sends all of them over one socket, or up to the first that has to close it, and reads what is told."""
    left = list(batch)
    while left:
        ending = next((index for index, (kind, data) in enumerate(left) if to_close_code(kind, data)), None)
        sent = left if ending is None else left[: ending + 1]
        left = left[len(sent) :]
        async with open_raw(server.url, place.path, token) as raw:
            expected = None if ending is None else to_close_code(*sent[-1])
            reading = asyncio.create_task(read_all(raw))
            await raw.send(b"".join(frame(kind, data) for kind, data in sent) + frame(TEXT, b'{"type": "the end"}'))
            assert await reading == expected, sent


def to_close_code(kind: int, data: bytes) -> int | None:
    """How this message closes a socket, if it does."""
    if kind == TEXT and not is_text(data):
        return 1007
    return 1009 if len(data) >= OVER_LIMIT else None


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def read_all(raw: Raw) -> int | None:
    """Reads up to the answer to the last message, or to the close, whose code it gives."""
    while True:
        found = await raw.next()
        if found.opcode == CLOSE:
            return found.code
        told = found.event
        assert told["type"] in TOLD, told
        assert told.get("code", "busy") in CODES, told
        if told.get("message") == "Unknown message type: the end":
            return None


async def test_no_message_harms_the_server(
    server: Server, person: Client, token: str, seed: str, prove: bool, measured: Measured
) -> None:
    count = 100_000 if prove else 5_000
    places = await prepare(person, seed)
    kinds = itertools.cycle((TEXT,) * 19 + (BINARY,))
    sizes = itertools.cycle((0,) * 999 + (OVER_LIMIT,))
    pid = server.pid

    def take(place: Place) -> tuple[int, bytes]:
        kind, size = next(kinds), next(sizes)
        data = next(place.mutations)
        return kind, data.ljust(size)

    async def send_rounds(messages: int) -> None:
        for _ in range(messages // (BATCH * len(places))):
            await asyncio.gather(
                *(send_batch(server, token, place, [take(place) for _ in range(BATCH)]) for place in places)
            )

    # Once all code has run that runs at all.
    await send_rounds(count // 5)
    before = server.process.memory_mib
    await send_rounds(count - count // 5)
    grown = server.process.memory_mib - before
    measured("mutated messages", count, "")
    measured("memory grown by", round(grown, 1), "MiB")
    assert grown < MEMORY_MIB
    assert server.pid == pid
    assert server.is_running
    log = server.log_text()
    assert "Traceback" not in log
    assert " ERROR " not in log
    # It is as it was: what is kept can be read, and a turn is a turn.
    for session in (await person.get(SESSIONS)).body:
        shown = await read(person, session["id"])
        assert shown["message_count"] == len(shown["messages"])
        async with enter(person, session["id"]) as socket:
            await socket.say("hello")
            await socket.until("ai_typing_stop", reason="complete")
