"""A client of the server's WebSockets: it reads what comes in the order in which it comes, and keeps all of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.journeys.client import Client

Event = dict[str, Any]

SECONDS = 15.0
CONVERSATION = "/ws/ai-chat/session/{}/"
LIST = "/ws/ai-chat/sessions/"


class Closed(Exception):
    """The server has closed the socket, while something was still expected of it."""


class Socket:
    """An open WebSocket. Each of its ways to wait fails with what had come, where what it waits for does not."""

    def __init__(self, socket: ClientWebSocketResponse[bool]) -> None:
        self._socket = socket
        self.heard: list[Event] = []
        """All that has come so far."""
        self.cursor = ""
        """The last one that has come."""

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    @property
    def headers(self) -> Any:
        """Those of the answer to the handshake."""
        return self._socket._response.headers

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.heard]

    # What is sent

    async def send(self, kind: str, **fields: Any) -> None:
        await self.send_text(json.dumps({"type": kind, **fields}))

    async def say(self, message: str, **fields: Any) -> None:
        await self.send("send_message", message=message, **fields)

    async def send_text(self, text: str) -> None:
        await self._socket.send_str(text)

    async def send_bytes(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    # What comes

    async def next(self, *, seconds: float = SECONDS) -> Event:
        """Raises `Closed`."""
        try:
            async with asyncio.timeout(seconds):
                message = await self._socket.receive()
        except TimeoutError:
            raise AssertionError(f"Nothing came within {seconds} s after {self.heard[-8:]}") from None
        if message.type is not WSMsgType.TEXT:
            raise Closed(f"{self._socket.close_code}, after {self.heard[-8:]}")
        event: Event = json.loads(message.data)
        self.heard.append(event)
        self.cursor = event.get("cursor", self.cursor)
        return event

    async def expect(self, kind: str, /, **fields: Any) -> Event:
        """The next event, which has to be of this type, and to have these fields among its own."""
        event = await self.next()
        assert event["type"] == kind, f"{kind} was to come, and not {event}"
        assert {name: event.get(name) for name in fields} == fields
        return event

    async def refused(self, code: str) -> Event:
        """The next event, which has to be this error."""
        return await self.expect("error", code=code)

    async def until(self, kind: str, /, *, seconds: float = SECONDS, **fields: Any) -> Event:
        """The first event of this type that has these fields; what came before it is in `heard`."""
        return (await self.events(kind, seconds=seconds, **fields))[-1]

    async def events(self, kind: str, /, *, seconds: float = SECONDS, **fields: Any) -> list[Event]:
        """All that comes, up to the first event of this type that has these fields, and with it."""
        start = len(self.heard)
        while True:
            event = await self.next(seconds=seconds)
            if event["type"] == kind and fields.items() <= event.items():
                return self.heard[start:]

    async def turn(self) -> list[Event]:
        """All events up to the end of a reply, and with it."""
        return await self.events("ai_typing_stop")

    async def settle(self) -> list[Event]:
        """All that the server had for this socket by now."""
        start = len(self.heard)
        # An answer may overtake what waits for its turn, and nothing is read before that is sent: so two of them.
        for _ in range(2):
            await self.send("ping")
            await self.until("pong")
        return [event for event in self.heard[start:] if event["type"] != "pong"]

    async def closed(self, *, seconds: float = SECONDS) -> int | None:
        """The code with which the server closes it; what still comes before it is in `heard`."""
        try:
            while True:
                await self.next(seconds=seconds)
        except Closed:
            return self._socket.close_code

    # How it ends

    async def close(self) -> None:
        await self._socket.close()

    def cut(self) -> None:
        """As when the network goes away: no word of it, and nothing that was under way arrives."""
        connection = self._socket._response.connection
        assert connection is not None, "it is open"
        transport = connection.transport
        assert transport is not None, "it is open"
        transport.abort()


@asynccontextmanager
async def open_socket(client: Client, path: str) -> AsyncIterator[Socket]:
    """Raises aiohttp's `WSServerHandshakeError`, with the status, where the handshake is refused."""
    async with client.connect(path) as socket:
        yield Socket(socket)


@asynccontextmanager
async def open_conversation(client: Client, session: str, query: str = "") -> AsyncIterator[Socket]:
    """A socket of one conversation; its first word is still to come. `query` as `cursor=…&full_content=0`."""
    async with open_socket(client, CONVERSATION.format(session) + (query and f"?{query}")) as socket:
        yield socket


@asynccontextmanager
async def enter(client: Client, session: str, query: str = "") -> AsyncIterator[Socket]:
    """The same once the server has said that it is connected."""
    async with open_conversation(client, session, query) as socket:
        await socket.expect("connection_established", session_id=session)
        yield socket


@asynccontextmanager
async def open_list(client: Client, query: str = "") -> AsyncIterator[Socket]:
    async with open_socket(client, LIST + (query and f"?{query}")) as socket:
        yield socket


def said_by(events: list[Event]) -> str:
    """The reply's text as the chunks among these events tell it."""
    return "".join(event["content"] for event in events if event["type"] == "ai_message_chunk")
