"""All sockets dropped at once come back: soon, with what they missed, and the database hardly notices."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from palaver.app import Palaver, running
from palaver.chat.room import TAPE_EVENTS
from palaver.chat.user import User
from palaver.settings import read_settings
from palaver.store.sqlite import SqliteDatabase
from tests.chaos.app_socket import AppSocket
from tests.chaos.device import open_alice, open_session
from tests.chaos.workers import enter_at
from tests.journeys.client import Client
from tests.journeys.socket import Socket, open_conversation
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.ports.talking import NOW, new_conversation
from tests.serve.crew import Crew

SECONDS_TO_COME_BACK = 15.0

NO_MATTER = ("SqlAccounts.find_token", "SqlAccounts.access_changes")
"""Signing in, and the look of the whole server at whom it may still tell anything."""


# How soon


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def server(start_server: StartServer, redis_url: str) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis_url)


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    async with open_alice(server, await server.token("admin")) as alice:
        yield alice


async def come(alice: Client, session: str, cursor: str, stack: AsyncExitStack) -> Socket:
    query = f"full_content=0&cursor={cursor}" if cursor else "full_content=0"
    socket = await stack.enter_async_context(open_conversation(alice, session, query))
    await socket.until("resumed" if cursor else "connection_established")
    return socket


async def test_sockets_dropped_at_once_come_back_soon_and_miss_nothing(
    alice: Client, server: Server, prove: bool
) -> None:
    count = 2_000 if prove else 200
    sessions = [await open_session(alice) for _ in range(count // 10)]
    pids = set(Crew(server).pids().values())
    async with AsyncExitStack() as dropped:
        sockets: list[Socket] = []
        for session in sessions:
            sockets += await asyncio.gather(*(come(alice, session, "", dropped) for _ in range(10)))
        for socket in sockets:
            socket.cut()
    # In half of the conversations something is said meanwhile.
    async with AsyncExitStack() as stack:
        for session in sessions[::2]:
            async with enter_at(alice, session, pids, pids) as (speaker, _):
                await speaker.say("hello")
                await speaker.turn()
        began = time.monotonic()
        places = [(session, socket.cursor) for session, socket in zip(_each(sessions), sockets, strict=True)]
        back = await asyncio.gather(*(come(alice, session, cursor, stack) for session, cursor in places))
        missed = [socket for socket, session in zip(back, _each(sessions), strict=True) if session in sessions[::2]]
        await asyncio.gather(*(socket.until("ai_typing_stop") for socket in missed))
        seconds = time.monotonic() - began
        print(f"{count} sockets were back within {seconds:.1f} s")  # noqa: T201
        assert seconds < SECONDS_TO_COME_BACK
        for socket in back:
            assert [event["recovered"] for event in socket.heard if event["type"] == "resumed"] == [True]
        for socket in missed:
            ends = ("user_message", "ai_typing", "ai_message_complete", "ai_typing_stop")
            assert [kind for kind in socket.types if kind in ends] == list(ends)
        # Whoever missed nothing is told nothing, and hears what comes.
        silent = [socket for socket, session in zip(back, _each(sessions), strict=True) if session == sessions[1]]
        for socket in silent:
            assert await socket.settle() == []
        await silent[0].say("hello")
        await asyncio.gather(*(socket.turn() for socket in silent))


def _each(sessions: Sequence[str]) -> list[str]:
    """Ten sockets are in each."""
    return [session for session in sessions for _ in range(10)]


# How little the database is asked


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often which look at the database was taken."""
    looks: Counter[str] = Counter()
    read = SqliteDatabase.read

    async def counted(database: SqliteDatabase, work: Any, *, one_state: bool = False) -> Any:
        looks[work.__qualname__.partition(".<locals>")[0]] += 1
        return await read(database, work, one_state=one_state)

    monkeypatch.setattr(SqliteDatabase, "read", counted)
    return looks


@pytest.fixture
async def palaver(tmp_path: Path, llm: LLM) -> AsyncIterator[Palaver]:
    environment = {"PALAVER_DATA_DIR": str(tmp_path), "PALAVER_DISCOVER_PORTS": "", "LLM_SERVER_URL": llm.url}
    async with running(read_settings(environment), port=0) as palaver:
        yield palaver


@pytest.fixture
async def user(palaver: Palaver) -> User:
    return await palaver.accounts.add_person("alice", None)


@pytest.fixture
async def token(palaver: Palaver, user: User) -> str:
    return await palaver.accounts.new_token(user)


async def open_sockets(palaver: Palaver, token: str, places: Sequence[tuple[str, str]]) -> list[AppSocket]:
    sockets = [AppSocket(palaver.app, token, session, cursor) for session, cursor in places]
    firsts = ("resumed" if cursor else "connection_established" for _, cursor in places)
    await asyncio.gather(*(socket.until(first) for socket, first in zip(sockets, firsts, strict=True)))
    return sockets


async def leave(sockets: Sequence[AppSocket]) -> list[str]:
    """Gives the last cursor of each."""
    await asyncio.gather(*(socket.leave() for socket in sockets))
    return [socket.cursor for socket in sockets]


@pytest.mark.parametrize("missed", [0, 1, TAPE_EVENTS // 3 + 1], ids=["nothing", "a turn", "more than the tape holds"])
async def test_who_comes_back_asks_the_database_once_at_most_and_not_at_all_for_nothing(
    palaver: Palaver, user: User, token: str, asked: Counter[str], missed: int
) -> None:
    store = palaver.store.conversations
    sessions = [(await store.create(new_conversation(user), NOW)).uuid for _ in range(10)]
    sockets = await open_sockets(palaver, token, [(session, "") for session in sessions])
    cursors = await leave(sockets)
    speakers = await open_sockets(palaver, token, [(session, "") for session in sessions])
    for _ in range(missed):
        for speaker in speakers:
            await speaker.say("hello")
        await asyncio.gather(*(speaker.until("ai_typing_stop") for speaker in speakers))
    await leave(speakers)
    asked.clear()
    back = await open_sockets(palaver, token, list(zip(sessions, cursors, strict=True)))
    looks = Counter({look: count for look, count in asked.items() if look not in NO_MATTER})
    assert looks == ({"SqlEvents.since": len(sessions)} if missed > 1 else {})
    for socket in back:
        for _ in range(missed):
            await socket.until("ai_typing_stop")
    assert all(event["recovered"] for socket in back for event in socket.heard if event["type"] == "resumed")
    await leave(back)
