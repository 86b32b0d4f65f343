"""Somebody who hears a reply while it is said, each time over a connection of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp

from tests.chaos.kept import Kept
from tests.parts.palaver import Server

_SECONDS = 60
_MAKERS = "SELECT DISTINCT worker FROM messages WHERE status = 'running'"


class Heard:
    """A stream of events, from its first one on."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._text = ""

    async def wait_piece(self) -> None:
        """Until the bot has said something."""
        while (event := await self._event())["type"] != "chunk":
            assert event["type"] == "start", event
        self._text += event["content"]

    async def wait_end(self) -> tuple[str, dict[str, Any]]:
        """The text put together from its pieces, and the last event."""
        while (event := await self._event())["type"] in ("start", "chunk"):
            self._text += event.get("content", "")
        assert not (await self._response.content.read()).strip()
        return self._text, event

    async def _event(self) -> dict[str, Any]:
        while line := (await self._response.content.readline()).decode():
            name, _, data = line.strip().partition(": ")
            if name == "data":
                event: dict[str, Any] = json.loads(data)
                return event
        raise AssertionError(f"The stream ended after {self._text!r}.")


class Hearer:
    """Somebody with a token of a server."""

    def __init__(self, http: aiohttp.ClientSession, server: Server, token: str) -> None:
        self._http = http
        self._server = server
        self._url = f"{server.url}/api/chat/stream/"
        self._token = token
        self._headers = {"Authorization": f"Token {token}"}

    def through(self, http: aiohttp.ClientSession) -> "Hearer":
        """The same person with another client."""
        return Hearer(http, self._server, self._token)

    async def turn(self, message: str) -> None:
        """A whole turn. `AssertionError` where it has no good end."""
        async with self._http.post(
            f"{self._server.url}/api/chat/", json={"message": message}, headers=self._headers
        ) as response:
            answer = await response.json()
            assert (response.status, answer["success"]) == (200, True), answer

    @asynccontextmanager
    async def ask(self, message: str, session: str) -> AsyncIterator[Heard]:
        body = {"message": message, "session_id": session}
        async with self._http.post(self._url, json=body, headers=self._headers) as response:
            assert response.status == 200, await response.text()
            yield Heard(response)

    @asynccontextmanager
    async def listen(self, session: str) -> AsyncIterator[Heard]:
        """To a reply that somebody else has asked for."""
        query = {"session_id": session}
        async with self._http.get(self._url, params=query, headers=self._headers) as response:
            assert response.status == 200, await response.text()
            yield Heard(response)


async def check_whole(heard: Heard) -> None:
    """It is heard to its end, and that is what was said."""
    text, last = await asyncio.wait_for(heard.wait_end(), _SECONDS)
    assert last["type"] == "end", last
    assert last["complete_response"] == text


async def ask_every_worker(alice: Hearer, kept: Kept, stack: AsyncExitStack, message: str) -> list[Heard]:
    """Replies that run, until each of two workers makes one."""
    streams = []
    while len(await kept.query(_MAKERS)) < 2:
        streams.append(await stack.enter_async_context(alice.ask(message, uuid4().hex)))
        await streams[-1].wait_piece()
    return streams
