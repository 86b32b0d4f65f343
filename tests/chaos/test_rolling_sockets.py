"""Workers are replaced while sockets are open and replies run: who comes back with the last cursor misses nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.contracts.talking import make, read_messages, to_story
from tests.journeys.client import Client
from tests.journeys.socket import Closed, Event, Socket, enter
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.promises import Measured
from tests.serve.crew import Crew, wait_gone

pytestmark = pytest.mark.proof("streams")

RESTARTS = 1012

# These run when the roll begins. What is said while it goes on is told by whatever worker there is.
OPENINGS = ("[[pieces=40&delay=0.05]]", "[[pieces=8&delay=0.02]]")
NEXT = "[[pieces=8&delay=0.02]] {}"
LAST = "The last word."

CONVERSATIONS, LISTENERS = 4, 5
CONVERSATIONS_IN_FULL, LISTENERS_IN_FULL = 20, 10
ROLLS_IN_FULL = 5

Told = tuple[str, str, str]


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def server(start_server: StartServer, redis_url: str) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis_url, PALAVER_DRAIN_SECONDS="30")


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    """Each of her connections is one of its own: the system gives it to any worker."""
    headers = {"Authorization": f"Token {await server.token('admin')}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as http:
        yield Client(http, server.url, headers)


class Listener:
    """Somebody who is in a conversation until its last word, however often the server closes the socket."""

    def __init__(self, client: Client, session: str) -> None:
        self._client = client
        self._session = session
        self._cursor = ""
        self.is_in = asyncio.Event()
        self.ends = asyncio.Semaphore(0)
        """Released with each end of a reply that is heard."""
        self.codes: list[int | None] = []
        """With which the server has closed."""
        self.recovered: list[bool] = []
        self.told: list[Event] = []

    async def listen(self) -> None:
        while not self._is_over():
            async with enter(self._client, self._session, self._cursor and f"cursor={self._cursor}") as socket:
                try:
                    await self._hear(socket)
                except Closed:
                    self.codes.append(socket.close_code)

    async def _hear(self, socket: Socket) -> None:
        if self._cursor:
            self.recovered.append((await socket.expect("resumed"))["recovered"])
        self._cursor = socket.cursor
        self.is_in.set()
        while not self._is_over():
            self.told.append(await socket.next())
            self._cursor = socket.cursor
            if self.told[-1]["type"] == "ai_typing_stop":
                self.ends.release()

    def _is_over(self) -> bool:
        """The reply to the last word has ended."""
        said = [event["message"]["content"] for event in self.told if event["type"] == "user_message"]
        return said[-1:] == [LAST] and self.told[-1]["type"] == "ai_typing_stop"


class Sender:
    """Somebody who says one thing after another, over one socket as long as the server leaves it open. What comes is
    read only after something was said."""

    def __init__(self, client: Client, session: str) -> None:
        self._client = client
        self._session = session
        self._stack = AsyncExitStack()
        self._socket: Socket

    @asynccontextmanager
    async def present(self) -> AsyncIterator[None]:
        async with self._stack:
            await self._come()
            yield

    async def _come(self) -> None:
        self._socket = await self._stack.enter_async_context(enter(self._client, self._session))

    async def say(self, message: str) -> None:
        """Until the message is taken. It is said with the same id again where the server closes before it says so."""
        client_id = uuid4().hex
        while True:
            try:
                await self._socket.say(message, client_message_id=client_id)
                await self._socket.until("user_message", client_message_id=client_id)
            except (Closed, ConnectionError):
                await self._come()
            else:
                return

    async def talk(self, listener: Listener, rolled: asyncio.Event) -> int:
        """Says the next thing whenever the listener has heard a reply, once at least, and a last word once all is
        rolled. How much was said meanwhile."""
        said = 0
        await listener.ends.acquire()
        while not (said and rolled.is_set()):
            await self.say(NEXT.format(said))
            await listener.ends.acquire()
            said += 1
        await self.say(LAST)
        return said


def to_told(events: list[Event]) -> list[Told]:
    """What each event is, of which message, and the text that it tells."""
    return [_to_told(event) for event in to_story(events)]


def _to_told(event: Event) -> Told:
    match event:
        case {"type": "ai_message_chunk", "message_id": uuid, "content": content}:
            return "ai_message_chunk", uuid, content
        case {"type": kind, "message": {"id": uuid, "content": content}}:
            return kind, uuid, content
        case _:
            return event["type"], event["message_id"], event.get("reason", "")


def to_be_told(messages: list[Event]) -> list[Told]:
    """What is told of these messages, each prompt with its reply before the next."""
    told: list[Told] = []
    for prompt, reply in zip(messages[::2], messages[1::2], strict=True):
        said, answered, text = prompt["id"], reply["id"], reply["content"]
        told += [
            ("user_message", said, prompt["content"]),
            ("ai_typing", answered, ""),
            ("ai_message_chunk", answered, text),
            ("ai_message_complete", answered, text),
            ("ai_typing_stop", answered, "complete"),
        ]
    return told


async def roll(crew: Crew, *, times: int) -> None:
    """Each time until the old workers have left."""
    for rolled in range(1, times + 1):
        old = crew.pids().values()
        crew.server.process.send(signal.SIGHUP)
        await crew.wait_log("all workers are new", rolled)
        await wait_gone(*old)


async def test_sockets_are_closed_with_1012_and_who_comes_back_has_all_that_is_stored_once_and_in_order(
    server: Server, client: Client, prove: bool, measured: Measured
) -> None:
    conversations, listeners, rolls = (
        (CONVERSATIONS_IN_FULL, LISTENERS_IN_FULL, ROLLS_IN_FULL) if prove else (CONVERSATIONS, LISTENERS, 1)
    )
    sessions = [await make(client) for _ in range(conversations)]
    present = {session: [Listener(client, session) for _ in range(listeners)] for session in sessions}
    everybody = [listener for those in present.values() for listener in those]
    senders = [Sender(client, session) for session in sessions]
    crew = Crew(server)
    rolled = asyncio.Event()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        listening: list[asyncio.Task[Any]] = [tasks.create_task(listener.listen()) for listener in everybody]
        for sender in senders:
            await stack.enter_async_context(sender.present())
        for listener in everybody:
            await listener.is_in.wait()
        for sender, opening in zip(senders, cycle(OPENINGS), strict=False):
            await sender.say(opening)
        talking = [
            tasks.create_task(sender.talk(those[0], rolled))
            for sender, those in zip(senders, present.values(), strict=True)
        ]
        await roll(crew, times=rolls)
        rolled.set()
        said = await asyncio.gather(*talking)
        async with asyncio.timeout(60):
            await asyncio.gather(*listening)
    measured("rolls", rolls, "")
    measured("conversations", conversations, "")
    measured("sockets", len(everybody), "")
    measured("turns meanwhile", sum(said), "")
    assert min(said) > 0
    for listener in everybody:
        assert listener.codes
        assert {*listener.codes} == {RESTARTS}
        assert listener.recovered == [True] * len(listener.codes)
    for session, those in present.items():
        stored = await read_messages(client, session)
        assert {message["status"] for message in stored} == {"complete"}
        for listener in those:
            assert to_told(listener.told) == to_be_told(stored)
    assert "Traceback" not in server.log_text()
