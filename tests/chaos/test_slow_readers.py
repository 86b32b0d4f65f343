"""Readers that do not read, or hardly: what they cost the others and the server, and what they get in the end."""

import asyncio
import json
import socket as sockets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from math import ceil, inf
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from tests.contracts.raw import TEXT, UPGRADE, Raw, request
from tests.contracts.talking import make
from tests.journeys.client import Client
from tests.journeys.socket import CONVERSATION, Event, Socket, enter, said_by
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind
from tests.promises import Measured

pytestmark = pytest.mark.proof("streams", alone=True)

# By so much and more the process grows and shrinks with the same replies and no slow reader at all.
ANYHOW_KIB = 1024

STAMPED = "[[stamp=true&pieces={}&delay=0.01]]"
# More than the system and the server keep for a connection: whoever does not read stops what is sent to it.
FLOOD_PIECES = 60
FLOODING: Mapping[str, str | int] = {"text": "flood " * 40_000, "pieces": FLOOD_PIECES}
FLOOD = "[[delay=0.004]]"
# What a room remembers is the same after so many as after more.
WARM_UPS = 3

RECEIVE_BYTES = 4096
# As over a network. For connections within one machine the system would keep megabytes.
SEGMENT_BYTES = 1400
# What is kept of what has come and is not read; a head has to fit.
KEPT_BYTES = 2048
SIP_BYTES = 512
STREAM = "/api/chat/stream/"


@dataclass(frozen=True)
class Size:
    """`readers`: healthy ones in each conversation, and as many slow ones. `rounds` and `pieces`: what is measured.
    `growth_ms`: by how much more the delay of the others' pieces may be for the slow ones, or by as much again.
    `growth_kib`: what a slow one may cost the server."""

    conversations: int
    readers: int
    rounds: int
    pieces: int
    growth_ms: float
    growth_kib: int


@pytest.fixture
def size(prove: bool) -> Size:
    # In small it may be more by whatever else the machine begins to do meanwhile. Where the server stands still for a
    # moment, several pieces of the flood are one frame. All of the flood would be 14 MiB.
    return Size(10, 10, 5, 200, 20, 256) if prove else Size(3, 5, 6, 50, inf, 1024)


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    # Whoever does not read answers no ping, and is to be there to the end.
    return {"PALAVER_PING_SECONDS": "3600"}


@pytest.fixture(scope="module")
async def token(shared_server: Server) -> str:
    return await shared_server.token("admin")


@pytest.fixture
async def http(token: str) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Token {token}"}
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    # The last event of a stream is one long line.
    async with aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=1 << 20) as http:
        yield http


@pytest.fixture
def client(http: aiohttp.ClientSession, shared_server: Server) -> Client:
    return Client(http, shared_server.url, {})


@pytest.fixture(autouse=True)
async def flooding(llm: LLM) -> None:
    """Whatever does not ask for stamps is answered with much."""
    await llm.control(**FLOODING)


Turn = Callable[[str], Awaitable[list[float]]]


async def say_everywhere(turns: Sequence[Turn], message: str) -> list[float]:
    """The delays of all pieces that healthy readers hear, in milliseconds."""
    return await gather_delays(turn(message) for turn in turns)


async def gather_delays(hearing: Iterable[Awaitable[list[float]]]) -> list[float]:
    return list(chain.from_iterable(await asyncio.gather(*hearing)))


async def measure(turns: Sequence[Turn], size: Size) -> float:
    """The least p99 of a few: what else the machine does only adds to it."""
    message = STAMPED.format(size.pieces)
    return min([p99(await say_everywhere(turns, message)) for _ in range(size.rounds)])


def p99(delays: list[float]) -> float:
    return sorted(delays)[ceil(0.99 * len(delays)) - 1]


def to_delays(text: str, *, since: int = 0) -> list[float]:
    """Of the stamps in a piece that has just come; of a flood none. Older ones may have waited for a reader to come."""
    now = time.monotonic_ns()
    return [(now - int(stamp)) / 1e6 for stamp in text.split() if stamp.isdecimal() and int(stamp) >= since]


@asynccontextmanager
async def connect_slowly(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, Raw]]:
    """A connection that keeps hardly anything of what its user does not read."""
    parts = urlsplit(url)
    connection = sockets.socket()
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, RECEIVE_BYTES)
    connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_MAXSEG, SEGMENT_BYTES)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (parts.hostname, parts.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=KEPT_BYTES)
    try:
        yield reader, Raw(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def check_cost(server: Server, measured: Measured, size: Size, *, alone: float, among: float, before: float) -> None:
    """Of the slow readers to the healthy ones, who had it so well alone, and to the memory."""
    slow = size.conversations * size.readers
    grown = ((server.process.memory_mib - before) * 1024 - ANYHOW_KIB) / slow
    measured("slow readers", slow, "")
    measured("delay of the others' pieces, p99, without them", round(alone, 1), "ms")
    measured("with them", round(among, 1), "ms")
    measured("memory for each slow reader", round(grown), "KiB")
    # Where a machine can hardly do what is asked of it, they wait for each other anyway.
    assert among - alone < max(size.growth_ms, alone), f"p99 was {alone:.1f} ms, and is {among:.1f} ms"
    assert grown < size.growth_kib, f"{grown:.0f} KiB for each slow reader"


# Sockets


class Talk:
    """Healthy readers of a conversation."""

    def __init__(self, session: str, readers: list[Socket]) -> None:
        self.session = session
        self._readers = readers

    async def turn(self, message: str) -> list[float]:
        await self._readers[0].say(message)
        return await gather_delays(map(self._hear, self._readers))

    async def _hear(self, reader: Socket) -> list[float]:
        delays: list[float] = []
        while (event := await reader.next())["type"] != "ai_typing_stop":
            delays += to_delays(event.get("content", ""))
        return delays

    def forget(self) -> None:
        self._readers[0].heard.clear()

    @property
    def heard(self) -> list[Event]:
        return self._readers[0].heard


class SlowSocket:
    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self.heard: list[Event] = []

    async def hear(self) -> None:
        frame = await self._raw.next()
        while frame.opcode != TEXT:
            frame = await self._raw.next()
        self.heard.append(frame.event)

    async def read_on(self, turns: int) -> None:
        while [event["type"] for event in self.heard].count("ai_typing_stop") < turns:
            await self.hear()


async def open_talk(client: Client, stack: AsyncExitStack, readers: int) -> Talk:
    session = await make(client)
    coming = [stack.enter_async_context(enter(client, session, "full_content=0")) for _ in range(readers)]
    return Talk(session, [await one for one in coming])


async def open_slow_socket(url: str, token: str, session: str, stack: AsyncExitStack) -> SlowSocket:
    _, raw = await stack.enter_async_context(connect_slowly(url))
    path = CONVERSATION.format(session) + "?full_content=0"
    await raw.send(request(path, {**UPGRADE, "Authorization": f"Token {token}"}))
    assert (await raw.head())[0] == 101
    slow = SlowSocket(raw)
    await slow.hear()
    return slow


async def test_sockets_that_are_not_read_cost_the_others_nothing_and_the_server_little_and_get_all_in_fewer_pieces(
    shared_server: Server, client: Client, token: str, size: Size, measured: Measured
) -> None:
    url = shared_server.url
    async with AsyncExitStack() as stack:
        talks = [await open_talk(client, stack, size.readers) for _ in range(size.conversations)]
        turns = [talk.turn for talk in talks]
        for _ in range(WARM_UPS):
            await say_everywhere(turns, FLOOD)
        alone = await measure(turns, size)
        before = shared_server.process.memory_mib
        slow = {
            talk: [await open_slow_socket(url, token, talk.session, stack) for _ in range(size.readers)]
            for talk in talks
        }
        for talk in talks:
            talk.forget()
        await say_everywhere(turns, FLOOD)
        # Every second one has not stopped altogether.
        sipping = asyncio.gather(*(one.hear() for those in slow.values() for one in those[::2]))
        among = await measure(turns, size)
        await sipping
        check_cost(shared_server, measured, size, alone=alone, among=among, before=before)
        await asyncio.gather(*(one.read_on(1 + size.rounds) for those in slow.values() for one in those))
        for talk, those in slow.items():
            for one in those:
                assert said_by(one.heard) == said_by(talk.heard)
                assert count_pieces(one.heard) < count_pieces(talk.heard)


def count_pieces(events: list[Event]) -> int:
    return [event["type"] for event in events].count("ai_message_chunk")


# Streams


class Stream:
    """A reply while a healthy reader hears it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        assert response.status == 200, response.status
        self.pieces: list[str] = []
        self.ended: Event
        self.since = 0
        """From when on it is measured."""
        self._lines = response.content

    async def next(self) -> tuple[Event, list[float]]:
        line = b""
        while not line.startswith(b"data: "):
            line = await self._lines.readline()
            assert line, "the stream has broken off"
        event: Event = json.loads(line[6:])
        text = event.get("content", "")
        self.pieces += [text] * bool(text)
        return event, to_delays(text, since=self.since)

    async def until_pieces(self, count: int) -> None:
        while len(self.pieces) < count:
            await self.next()

    async def rest(self) -> list[float]:
        all_delays: list[float] = []
        event: Event = {}
        while event.get("type") not in ("end", "error"):
            event, delays = await self.next()
            all_delays += delays
        self.ended = event
        return all_delays


class SlowStream:
    def __init__(self, reader: asyncio.StreamReader, raw: Raw) -> None:
        self._reader = reader
        self._raw = raw
        self._read = b""

    async def sip(self) -> None:
        self._read += await self._reader.read(SIP_BYTES)

    async def read_on(self) -> list[Event]:
        """All events, up to the end."""
        self._read += await self._raw.end()
        lines = self._read.decode().splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


class Show:
    """A session of which a reply is heard by healthy readers, each time anew, and by slow ones who come to one.

    A stream is heard only while its reply runs: that is held at its first piece until all have come.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str, readers: int, llm: LLM) -> None:
        self.session = uuid4().hex
        self.flood: Stream
        self.slow: list[SlowStream] = []
        self._http = http
        self._url = url
        self._token = token
        self._readers = readers
        self._llm = llm
        self._hold = ""

    async def turn(self, message: str) -> list[float]:
        async with AsyncExitStack() as stack:
            streams = await self._come(message, stack)
            for stream in streams:
                stream.since = time.monotonic_ns()
            await self._llm.let_go(self._hold)
            return await gather_delays(stream.rest() for stream in streams)

    async def turn_with_slow_ones(self, message: str, staying: AsyncExitStack) -> None:
        async with AsyncExitStack() as stack:
            self.flood, *others = await self._come(message, stack)
            self.slow = await asyncio.gather(*(self._come_slowly(staying) for _ in range(self._readers)))
            reading = asyncio.gather(*(stream.rest() for stream in others))
            # Whoever reads is told each by itself, however slow all is.
            for heard in range(2, FLOOD_PIECES + 1):
                await self._llm.let_go(self._hold, pieces=1)
                await self.flood.until_pieces(heard)
            await self._llm.let_go(self._hold)
            await asyncio.gather(self.flood.rest(), reading)

    async def _come(self, message: str, stack: AsyncExitStack) -> list[Stream]:
        url, query = self._url + STREAM, {"session_id": self.session}
        self._hold = uuid4().hex
        await self._llm.let_go(self._hold, pieces=1)
        held = message.replace("]]", f"&hold={self._hold}]]")
        asked = await stack.enter_async_context(self._http.post(url, json={"message": held, **query}))
        asker = Stream(asked)
        await asker.until_pieces(1)
        coming = [stack.enter_async_context(self._http.get(url, params=query)) for _ in range(self._readers - 1)]
        return [asker, *map(Stream, await asyncio.gather(*coming))]

    async def _come_slowly(self, stack: AsyncExitStack) -> SlowStream:
        reader, raw = await stack.enter_async_context(connect_slowly(self._url))
        headers = {"Authorization": f"Token {self._token}"}
        # In HTTP/1.0 the end of the body is the end of the connection.
        await raw.send(request(f"{STREAM}?session_id={self.session}", headers, version="1.0"))
        assert (await raw.head())[0] == 200
        return SlowStream(reader, raw)


async def test_streams_that_are_not_read_cost_the_others_nothing_and_the_server_little_and_get_all_in_fewer_pieces(
    shared_server: Server, http: aiohttp.ClientSession, token: str, size: Size, llm: LLM, measured: Measured
) -> None:
    shows = [Show(http, shared_server.url, token, size.readers, llm) for _ in range(size.conversations)]
    turns = [show.turn for show in shows]
    async with AsyncExitStack() as stack:
        for _ in range(WARM_UPS):
            await say_everywhere(turns, FLOOD)
        alone = await measure(turns, size)
        before = shared_server.process.memory_mib
        await asyncio.gather(*(show.turn_with_slow_ones(FLOOD, stack) for show in shows))
        # Every second one has not stopped altogether.
        sipping = asyncio.gather(*(one.sip() for show in shows for one in show.slow[::2]))
        among = await measure(turns, size)
        await sipping
        check_cost(shared_server, measured, size, alone=alone, among=among, before=before)
        for show in shows:
            for events in await asyncio.gather(*(one.read_on() for one in show.slow)):
                pieces = [event["content"] for event in events if event["type"] == "chunk"]
                assert "".join(pieces) == "".join(show.flood.pieces)
                assert events[-1] == show.flood.ended
                assert len(pieces) < len(show.flood.pieces)
