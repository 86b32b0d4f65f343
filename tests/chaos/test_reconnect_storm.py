"""All sockets are dropped at once, and all come back at once: what that asks of the server, and of its store."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from starlette.types import Message

from palaver.app import make_app
from palaver.bus import Hub, MemoryBus
from palaver.chat.accounts import AccountRules, Accounts
from palaver.chat.books import Books
from palaver.chat.flow import Chat, Rules, continue_chat, wait_for_answer
from palaver.chat.ledger import Budgets
from palaver.chat.models import Models
from palaver.chat.reply import Replies
from palaver.chat.room import TAPE_EVENTS
from palaver.chat.rooms import Rooms
from palaver.chat.running import ReplyLimits
from palaver.chat.stays import Stays
from palaver.chat.user import Reader, User
from palaver.knowledge.search import Searcher
from palaver.settings import Settings
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import migrate
from tests.chat.talking import HandBot, HandBots, HandClock
from tests.contracts.talking import make, say, to_story
from tests.journeys.client import Client
from tests.journeys.socket import Event, Socket, enter, said_by
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.ports.counting import CountingDatabase
from tests.ports.talking import new_conversation, new_user
from tests.promises import Measured

pytestmark = pytest.mark.proof("streams", alone=True)

T = TypeVar("T")

SOCKETS, SOCKETS_IN_FULL = 150, 2000
SOCKETS_EACH = 4
SECONDS_TO_COME_BACK = 15
"""Looked at where nothing else runs."""
AT_ONCE = 16


# Over real sockets, on two workers


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def server(start_server: StartServer, redis_url: str) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis_url)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    """Each of her connections is one of its own: the system gives it to any worker."""
    headers = {"Authorization": f"Token {await server.token('admin')}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as http:
        yield Client(http, server.url, headers)


class Device:
    """Somebody who is in a conversation, and comes back to it with the last cursor."""

    def __init__(self, client: Client, session: str, stack: AsyncExitStack) -> None:
        self.session = session
        self.socket: Socket
        self._client = client
        self._stack = stack

    async def come(self) -> None:
        self.socket = await self._stack.enter_async_context(enter(self._client, self.session))

    async def come_back(self, missed: list[Event]) -> None:
        """Until all that was missed is heard."""
        query = f"cursor={self.socket.cursor}"
        self.socket = await self._stack.enter_async_context(enter(self._client, self.session, query))
        await self.socket.expect("resumed", recovered=True)
        self.socket.heard.clear()
        while len(to_story(self.socket.heard)) < len(missed):
            await self.socket.next()
        assert to_story(self.socket.heard) == missed


async def test_sockets_that_are_dropped_all_at_once_come_back_in_time_with_exactly_what_each_has_missed(
    client: Client, prove: bool, measured: Measured
) -> None:
    sockets = SOCKETS_IN_FULL if prove else SOCKETS
    sessions = await do_all([make(client) for _ in range(-(-sockets // SOCKETS_EACH))])
    async with AsyncExitStack() as stack:
        devices = [Device(client, sessions[number % len(sessions)], stack) for number in range(sockets)]
        await do_all([device.come() for device in devices])
        # One who is never dropped tells what the others miss.
        told = {session: await stack.enter_async_context(enter(client, session)) for session in sessions[::2]}
        for device in devices:
            device.socket.cut()
        await do_all([say(client, session) for session in told])
        missed: dict[str, list[Event]] = {session: to_story(await told[session].turn()) for session in told}
        began = time.monotonic()
        async with asyncio.timeout(SECONDS_TO_COME_BACK if prove else None):
            await asyncio.gather(*(device.come_back(missed.get(device.session, [])) for device in devices))
        measured("sockets", sockets, "")
        measured("all were back after", round(time.monotonic() - began, 1), "s")
        assert {said_by(story) for story in missed.values()} == {"You said: hello"}
        # Nothing comes after it.
        assert await asyncio.gather(*(device.socket.settle() for device in devices)) == [[]] * sockets


async def do_all(doing: list[Coroutine[Any, Any, T]]) -> list[T]:
    """A few at once."""
    free = asyncio.Semaphore(AT_ONCE)

    async def do(one: Coroutine[Any, Any, T]) -> T:
        async with free:
            return await one

    return await asyncio.gather(*map(do, doing))


# In this process, where what the store is asked is counted


class Worker:
    """A whole app with nothing that goes on beside it, so that what is read is read for those who come."""

    def __init__(self, store: SqlStore, hub: Hub, name: str) -> None:
        self.bot = HandBot()
        bots, clock, bus = HandBots(self.bot), HandClock(), MemoryBus(hub)
        # Whoever has once signed in is known for as long as the test takes.
        self._accounts = Accounts(store, clock, AccountRules(), b"secret", lambda: 0.0)
        rooms = Rooms(store=store, bus=bus, worker=name)
        replies = Replies(store=store, bots=bots, clock=clock, limits=ReplyLimits(), worker=name, rooms=rooms)
        self._chat = Chat(store, bots, replies, rooms, clock, Rules(), Books(store, clock, Budgets()))
        stays = Stays(store=store, accounts=self._accounts, bus=bus, clock=clock)
        self._app = make_app(
            Settings(), self._chat, self._accounts, stays, Models(store, bots, clock), Searcher(store.passages)
        )

    async def sign_in(self, user: User) -> str:
        return await self._accounts.new_token(user)

    async def know(self, token: str) -> None:
        await self._accounts.by_token(token)

    async def talk(self, user: User, conversation: str, text: str) -> None:
        """A whole turn."""
        begun = await continue_chat(self._chat, Reader(user.id), text, conversation=conversation)
        talk = await self.bot.asked()
        await talk.say(f"you said {text}")
        talk.finish()
        await wait_for_answer(self._chat, begun)

    @asynccontextmanager
    async def enter(self, token: str, conversation: str, cursor: str = "") -> AsyncIterator["Inside"]:
        inside = Inside()
        scope = {
            "type": "websocket",
            "path": f"/ws/ai-chat/session/{conversation}/",
            "query_string": (cursor and f"cursor={cursor}").encode(),
            "headers": [(b"authorization", f"Token {token}".encode())],
        }
        running = asyncio.create_task(self._app(scope, inside.said.get, inside.told.put))
        await inside.said.put({"type": "websocket.connect"})
        assert (await inside.told.get())["type"] == "websocket.accept"
        try:
            yield inside
        finally:
            await inside.said.put({"type": "websocket.disconnect", "code": 1006})
            await running


class Inside:
    """A WebSocket without a connection."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[Message] = asyncio.Queue()
        self.told: asyncio.Queue[Message] = asyncio.Queue()
        self.cursor = ""

    async def next(self) -> Event:
        async with asyncio.timeout(10):
            event: Event = json.loads((await self.told.get())["text"])
        self.cursor = event.get("cursor", self.cursor)
        return event

    async def settle(self) -> list[str]:
        """The types of all that it is told."""
        types: list[str] = []
        for _ in range(2):
            await self.said.put({"type": "websocket.receive", "text": '{"type": "ping"}'})
            while (event := await self.next())["type"] != "pong":
                types.append(event["type"])
        return types


TURN = ["user_message", "ai_typing", "ai_message_chunk", "ai_message_complete", "ai_typing_stop"]
BACK = ["connection_established", "resumed"]


@pytest.fixture
async def counting(tmp_path: Path) -> AsyncIterator[CountingDatabase]:
    async with open_store(StoreOptions(tmp_path)) as store:
        await migrate(store.database, store.engine)
        yield CountingDatabase(store.database)


@pytest.fixture
def store(counting: CountingDatabase) -> SqlStore:
    return SqlStore(counting, "sqlite")


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def worker(store: SqlStore, hub: Hub) -> Worker:
    return Worker(store, hub, "this-worker")


@pytest.fixture
async def alice(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("alice"))


@pytest.fixture
async def conversation(store: SqlStore, alice: User) -> str:
    return (await store.conversations.create(new_conversation(alice), HandClock().now())).uuid


@pytest.fixture
async def token(worker: Worker, alice: User) -> str:
    return await worker.sign_in(alice)


async def cursor_of_one_who_was_in(worker: Worker, token: str, conversation: str) -> str:
    async with worker.enter(token, conversation) as inside:
        await inside.settle()
        return inside.cursor


async def come_back(
    counting: CountingDatabase, worker: Worker, token: str, conversation: str, cursor: str
) -> tuple[int, list[str]]:
    """How often the store was read for one who comes back, and what that one is told."""
    await worker.know(token)
    before = counting.reads
    async with worker.enter(token, conversation, cursor) as inside:
        told = await inside.settle()
        return counting.reads - before, told


async def test_who_comes_back_up_to_date_costs_the_store_nothing(
    counting: CountingDatabase, worker: Worker, token: str, conversation: str
) -> None:
    cursor = await cursor_of_one_who_was_in(worker, token, conversation)
    coming = [come_back(counting, worker, token, conversation, cursor) for _ in range(SOCKETS_EACH)]
    assert await asyncio.gather(*coming) == [(0, BACK)] * SOCKETS_EACH


async def test_who_has_missed_what_the_room_still_knows_costs_the_store_nothing(
    counting: CountingDatabase, worker: Worker, token: str, alice: User, conversation: str
) -> None:
    cursor = await cursor_of_one_who_was_in(worker, token, conversation)
    await worker.talk(alice, conversation, "hello")
    assert await come_back(counting, worker, token, conversation, cursor) == (0, [*BACK, *TURN])


async def test_who_has_missed_more_than_the_room_knows_costs_one_read(
    counting: CountingDatabase, worker: Worker, token: str, alice: User, conversation: str
) -> None:
    cursor = await cursor_of_one_who_was_in(worker, token, conversation)
    for number in range(TAPE_EVENTS):
        await worker.talk(alice, conversation, f"hello {number}")
    assert await come_back(counting, worker, token, conversation, cursor) == (1, [*BACK, *TURN * TAPE_EVENTS])


async def test_who_comes_back_to_another_worker_costs_one_read_at_most(
    counting: CountingDatabase, store: SqlStore, hub: Hub, worker: Worker, token: str, alice: User, conversation: str
) -> None:
    old = await cursor_of_one_who_was_in(worker, token, conversation)
    await worker.talk(alice, conversation, "hello")
    new = await cursor_of_one_who_was_in(worker, token, conversation)
    other = Worker(store, hub, "other-worker")
    assert await come_back(counting, other, token, conversation, new) == (1, BACK)
    assert await come_back(counting, other, token, conversation, new) == (0, BACK)
    assert await come_back(counting, other, token, conversation, old) == (1, [*BACK, *TURN])
    first = Worker(store, hub, "a-third-worker")
    assert await come_back(counting, first, token, conversation, old) == (1, [*BACK, *TURN])
