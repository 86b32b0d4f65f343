"""How the tests talk with a bot, and small servers that behave as the stand-in does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from time import monotonic
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest
from aiohttp import ClientSession
from msgspec import Struct

from palaver.bots.asking import AskingOptions
from palaver.bots.catalogue import Catalogue
from palaver.bots.listing import Listing
from palaver.bots.openai import OpenAIBot
from palaver.bots.pool import LlmServer, Pool
from palaver.bots.upstream import Upstream
from palaver.chat.backoff import Backoff
from palaver.chat.errors import BotUnavailable
from palaver.chat.pieces import Bot, Finished, Piece, Prompt, Reasoning, Text
from palaver.chat.server import NamedServer
from palaver.llm_server import Running

REQUEST_ID = "request-7"


class Heard(Struct):
    """All that a bot said, and how it ended."""

    pieces: list[Piece]
    error: BotUnavailable | None = None

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces if isinstance(piece, Text))

    @property
    def texts(self) -> list[str]:
        return [piece.text for piece in self.pieces if isinstance(piece, Text)]

    @property
    def reasoning(self) -> str:
        return "".join(piece.text for piece in self.pieces if isinstance(piece, Reasoning))

    @property
    def finished(self) -> Finished | None:
        last = self.pieces[-1] if self.pieces else None
        return last if isinstance(last, Finished) else None


def to_server(upstream: Upstream, name: str = "llm", clock: Callable[[], float] = monotonic) -> LlmServer:
    """A server that has told nothing yet."""
    return LlmServer(NamedServer(name, upstream.shown_url), upstream, Listing(upstream), clock=clock)


def to_catalogue(upstream: Upstream, preferred: list[str], usual: list[str] | None = None) -> Catalogue:
    return Catalogue(Pool([to_server(upstream)]), preferred, usual or [])


def to_bot(upstream: Upstream, backoff: Backoff | None = None, *, model: str = "gpt-4") -> OpenAIBot:
    """The bot with this server alone."""
    pool = Pool([to_server(upstream)])
    return OpenAIBot(pool, Catalogue(pool, [model]), AskingOptions(backoff or Backoff()))


def to_prompt(prompt: str | Prompt) -> Prompt:
    return prompt if isinstance(prompt, Prompt) else Prompt(message=prompt, model="gpt-4", request_id=REQUEST_ID)


async def hear(bot: Bot, prompt: str | Prompt) -> Heard:
    heard = Heard([])
    try:
        async for piece in bot.talk(to_prompt(prompt)):
            heard.pieces.append(piece)
    except BotUnavailable as error:
        heard.error = error
    return heard


@asynccontextmanager
async def talking(bot: Bot, prompt: str | Prompt) -> AsyncIterator[AsyncIterator[Piece]]:
    """A reply that is left when the block is."""
    async with aclosing(bot.talk(to_prompt(prompt))) as pieces:  # type: ignore[type-var]
        yield pieces


async def let_go(llm: Running, hold: str, *, pieces: int) -> None:
    """Of what a script holds, `[[text=one two three&hold=words]]`, so many pieces more may leave."""
    told = {"hold": hold, "pieces": pieces}
    async with ClientSession(raise_for_status=True) as client, client.post(f"{llm.url}/_let_go", json=told):
        pass


class Naps:
    """Rests between tries that take no time, and how long they would have taken."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def backoff(self, tries: int = 3) -> Backoff:
        return Backoff(tries=tries, sleep=self._sleep, jitter=lambda: 1.0)

    async def _sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


class HandTimeouts:
    """Time-outs that run out by hand alone, however long all else takes, and how long each was to be."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun: list[asyncio.Timeout] = []
        self._another = asyncio.Event()

    def stand_in(self, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        """This module sets no others from now on."""
        monkeypatch.setattr(module, "asyncio", SimpleNamespace(**{**vars(asyncio), "timeout": self._begin}))

    async def run_out(self, number: int) -> None:
        """The one of this number, the first being 1, as soon as it was set. Raises `RuntimeError` where it is over."""
        # None of what is shown depends on this one: it ends a test that would wait for ever.
        async with asyncio.timeout(60):
            while len(self._begun) < number:
                self._another.clear()
                await self._another.wait()
        self._begun[number - 1].reschedule(asyncio.get_running_loop().time())

    def _begin(self, seconds: float) -> asyncio.Timeout:
        self.seconds.append(seconds)
        self._begun.append(asyncio.timeout(None))
        self._another.set()
        return self._begun[-1]


class Asked(Struct, frozen=True):
    """One request as a server got it, on which of its connections."""

    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Step = bytes | asyncio.Event | None
Steps = list[Step]


class SmallServer:
    """Answers each request with the steps that `answer` gives: bytes to send, an event to wait for, None to reset."""

    def __init__(self, answer: Callable[[Asked], Steps]) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._answer = answer
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        try:
            while asked := await _read_request(reader, number):
                self.asked.append(asked)
                for step in self._answer(asked):
                    await _take(step, writer)
        finally:
            writer.close()


async def _take(step: Step, writer: asyncio.StreamWriter) -> None:
    match step:
        case bytes():
            writer.write(step)
        case asyncio.Event():
            await step.wait()
        case None:
            cast(asyncio.Transport, writer.transport).abort()


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = first.split(" ", 2)
    return Asked(connection, method, path, headers, body)


@asynccontextmanager
async def small_server(answer: Callable[[Asked], Steps]) -> AsyncIterator[SmallServer]:
    served = SmallServer(answer)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()


def to_response(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} Something\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def to_stream(*events: bytes) -> bytes:
    body = b"".join(b"data: " + event + b"\n\n" for event in events)
    return to_response(200, body, "text/event-stream")


def says(text: str) -> bytes:
    return b'{"id":"c1","model":"m1","choices":[{"index":0,"delta":{"content":"%b"}}]}' % text.encode()


STOPS = b'{"id":"c1","model":"m1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
USAGE = b'{"id":"c1","model":"m1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
DONE = b"[DONE]"
