"""A client that loses its connection again and again, and knows its last cursor and what it has put together."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from palaver.chat.cursor import decode_cursor
from tests.journeys.client import Client
from tests.journeys.socket import Closed, Event, Socket, open_conversation
from tests.parts.palaver import Server

_SECONDS = 60

Until = Callable[["Device"], bool]


@asynccontextmanager
async def open_alice(server: Server, token: str) -> AsyncIterator[Client]:
    """Each of her connections is one of its own: the system gives it to any worker."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        yield Client(http, server.url, {"Authorization": f"Token {token}"})


async def open_session(alice: Client) -> str:
    answer = await alice.post("/ai-chat/api/sessions/")
    assert answer.status == 201, answer.text
    session: str = answer.body["id"]
    return session


async def list_messages(alice: Client, session: str) -> list[Mapping[str, Any]]:
    answer = await alice.get(f"/ai-chat/api/sessions/{session}/messages/")
    assert answer.status == 200, answer.text
    messages: list[Mapping[str, Any]] = answer.body["messages"]
    return messages


@dataclass
class Device:
    """Replies go by their numbers, which stand in the cursors: a stream of one reply tells no more of it."""

    alice: Client
    session: str
    cursor: str = ""
    forgives: bool = False
    """A bus that stood still for seconds: then a worker cannot know how far a reply was heard at the other one. It says
    so, and tells all of it again."""
    texts: dict[int, str] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)
    """How replies ended, of those whose end was heard."""
    left: set[int] = field(default_factory=set)
    """Replies of which the rest was never told, since a stream of a later one began."""
    told: list[tuple[str, str]] = field(default_factory=list)
    """What a socket said of messages, without the pieces of text, in order: what, and of which."""
    recovered: list[bool] = field(default_factory=list)
    snapshots: int = 0
    returns: int = 0

    # By a socket

    async def by_socket(self, until: Until, *, seconds: float = _SECONDS) -> bool:
        """Hears until then, or for so long, and is cut off. Whether it heard what it wanted."""
        async with self._open() as socket:
            try:
                async with asyncio.timeout(seconds):
                    await self._come(socket)
                    while not until(self):
                        self.note(await socket.next(seconds=_SECONDS))
            except Closed:
                # The server goes, or its worker.
                return False
            except TimeoutError:
                socket.cut()
                return False
            socket.cut()
            return True

    async def by_socket_for_now(self) -> None:
        """Hears all that the server has for it by now, and is cut off."""
        async with self._open() as socket:
            await self._come(socket)
            for event in await socket.settle():
                self.note(event)
            socket.cut()

    def _open(self) -> AbstractAsyncContextManager[Socket]:
        self.returns += 1
        query = f"full_content=0&cursor={self.cursor}" if self.cursor else "full_content=0"
        return open_conversation(self.alice, self.session, query)

    async def _come(self, socket: Socket) -> None:
        connected = await socket.next()
        assert connected["type"] == "connection_established", connected
        if not self.cursor:
            self.cursor = connected["cursor"]
            return
        # What comes before it is to be dropped.
        event = resumed = await socket.until("resumed")
        if not resumed["recovered"]:
            # Whoever is cut off before it has this has to ask for the same place again.
            event = await socket.until("snapshot")
            self._take_snapshot(event)
        self.recovered.append(resumed["recovered"])
        self.cursor = event["cursor"]

    def note(self, event: Event) -> None:
        kind = event["type"]
        match kind:
            case "user_message":
                self.told.append((kind, event["message"]["id"]))
            case "ai_typing":
                self.told.append((kind, event["message_id"]))
                self.texts.setdefault(_reply(event["cursor"]), "")
            case "ai_message_chunk":
                number = _reply(event["cursor"])
                start = event["position"] - len(event["content"])
                self._add(number, start, event["content"])
            case "ai_message_complete" | "ai_message_stopped":
                message = event["message"]
                self.told.append((kind, message["id"]))
                assert self.texts.get(message["number"], "") == message["content"]
                assert message["number"] not in self.ends
                self.ends[message["number"]] = message["status"]
            case "ai_typing_stop":
                self.told.append((kind, event["message_id"]))
            case "resumed":
                self.recovered.append(event["recovered"])
            case "snapshot":
                self._take_snapshot(event)
            case _:
                raise AssertionError(f"this was not to come: {event}")
        self.cursor = event["cursor"]

    def _add(self, number: int, start: int, content: str) -> None:
        known = self.texts.get(number, "")
        assert content, "an empty piece"
        assert start == len(known), f"after {len(known)} characters of {number} it was told those from {start}"
        self.texts[number] = known + content

    def _take_snapshot(self, event: Event) -> None:
        self.snapshots += 1
        self.told.clear()
        messages = [message for message in event["session"]["messages"] if message["role"] == "assistant"]
        self.texts = {message["number"]: message["content"] for message in messages}
        self.ends = {message["number"]: message["status"] for message in messages}
        self.left.clear()
        if event["reply"] is not None:
            number = _reply(event["cursor"])
            self.ends.pop(number, None)
            self.texts[number] = event["reply"]["content"]

    # By a stream of one reply

    async def by_stream(self, until: Until, *, seconds: float = _SECONDS) -> bool:
        """The same by server-sent events. False where there is nothing to hear, too."""
        self.returns += 1
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        url = f"{self.alice.url}/api/chat/stream/?session_id={self.session}"
        response = await self.alice._http.get(url, headers={**self.alice._headers, **headers})
        return await self._read(response, until, seconds)

    async def by_asking(self, body: Mapping[str, str], until: Until) -> bool:
        """The stream of a reply to what is said here."""
        url = f"{self.alice.url}/api/chat/stream/"
        response = await self.alice._http.post(url, json=body, headers=self.alice._headers)
        return await self._read(response, until, _SECONDS)

    async def _read(self, response: aiohttp.ClientResponse, until: Until, seconds: float) -> bool:
        try:
            if response.status == 204:
                return False
            assert response.status == 200, await response.text()
            async with asyncio.timeout(seconds):
                while not until(self):
                    event = await _next_event(response)
                    if event is None:
                        return False
                    self._note_stream(*event)
            return True
        except TimeoutError:
            return False
        finally:
            response.close()

    def _note_stream(self, cursor: str, event: Event) -> None:
        number = _reply(cursor)
        match event["type"]:
            case "start":
                assert self.forgives or not self.texts.get(number), f"{self.texts[number]!r} was heard, and began anew"
                self.left |= {other for other in self.texts if other < number and other not in self.ends}
                self.texts[number] = ""
            case "chunk":
                position = _cursor(cursor).position
                assert position is not None
                self._add(number, position - len(event["content"]), event["content"])
            case "end":
                assert self.texts.get(number, "") == event["complete_response"]
                assert number not in self.ends
                self.ends[number] = "stopped" if event.get("stopped") else "complete"
            case "error":
                assert number not in self.ends
                self.ends[number] = "interrupted"
        self.cursor = cursor


async def _next_event(response: aiohttp.ClientResponse) -> tuple[str, Event] | None:
    """None where the stream is over."""
    cursor = ""
    try:
        while line := (await response.content.readline()).decode():
            name, _, data = line.strip().partition(": ")
            if name == "id":
                cursor = data
            elif name == "data":
                return cursor, json.loads(data)
    except aiohttp.ClientError:
        # Its worker has died.
        pass
    return None


def _cursor(given: str) -> Any:
    cursor = decode_cursor(given)
    assert cursor is not None, given
    return cursor


def _reply(given: str) -> int:
    """The number of the reply that the cursor is in."""
    number: int | None = _cursor(given).reply
    assert number is not None, f"{given} is in no reply"
    return number
