"""Somebody who talks to a server over HTTP, through any of the three APIs, and is told what each of them tells."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import aiohttp
import msgspec

from tests.parts.palaver import Server

ApiName = Literal["chat_flow", "chatify", "chat_domain"]
APIS: tuple[ApiName, ...] = get_args(ApiName)

_SECONDS = 60


@dataclass(frozen=True)
class Api:
    """How one API spells a turn."""

    name: ApiName
    path: str
    message: str
    client_message_id: str
    when_busy: str
    answer: str
    answered: int
    failed: int
    failure: str
    """How the text begins by which it says that the model failed."""


_SPELLINGS: Mapping[ApiName, Api] = {
    "chat_flow": Api(
        "chat_flow", "/api/chat/session/{}/chat", "prompt", "client_message_id", "when_busy", "response_message",
        201, 503, "The assistant cannot answer just now.",
    ),
    "chatify": Api(
        "chatify", "/api/v1/chatbot/session/{}/message", "message", "client_message_id", "when_busy", "response",
        200, 400, "AI service error: ",
    ),
    "chat_domain": Api(
        "chat_domain", "/api/chat", "message", "clientMessageId", "whenBusy", "message",
        200, 503, "AI service unavailable",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What a server told somebody who had said something."""

    api: Api
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def is_answer(self) -> bool:
        return self.status == self.api.answered

    @property
    def text(self) -> str:
        """The bot's answer. `AssertionError` where there is none."""
        assert self.is_answer, f"{self.api.name} answered {self.status}: {self.body!r}"
        answer: str = self.json[self.api.answer]
        return answer

    @property
    def says_model_failed(self) -> bool:
        return self.status == self.api.failed and self.json["detail"].startswith(self.api.failure)

    @property
    def everything(self) -> str:
        """All that left the server, to look for what must not be in it."""
        return f"{self.headers}{self.body.decode()}"


class Person:
    """Somebody with a token of a server."""

    def __init__(self, http: aiohttp.ClientSession, server: Server, token: str) -> None:
        self.server = server
        self._http = http
        self.token = token
        self._headers = {"Authorization": f"Token {token}"}

    def at(self, server: Server) -> "Person":
        """The same person at another server on the same database."""
        return Person(self._http, server, self.token)

    def through(self, http: aiohttp.ClientSession) -> "Person":
        return Person(http, self.server, self.token)

    async def open_conversation(self, api: ApiName = "chat_flow") -> str:
        """The UUID of a new one, in which nothing was said."""
        if api == "chatify":
            created = await self._post("/api/v1/chatbot/session", {"user_id": "somebody"})
            return str(created["session_id"])
        # chat_domain opens none without a message, and goes on in any.
        created = await self._post("/api/chat/start", {"context_id": 1, "initial_message": "Hello."})
        return str(created["uuid"])

    async def say(
        self,
        text: str,
        conversation: str | None = None,
        *,
        api: ApiName = "chat_domain",
        client_message_id: str | None = None,
        when_busy: str | None = None,
        request_id: str = "chaos",
    ) -> Told:
        """What the server answers. Only in chat_domain it can be the first word of a new conversation."""
        spelled = _SPELLINGS[api]
        body = {
            spelled.message: text,
            spelled.client_message_id: client_message_id,
            spelled.when_busy: when_busy,
            **({"sessionId": conversation} if api == "chat_domain" else {}),
        }
        url = self.server.url + spelled.path.format(conversation)
        headers = {**self._headers, "X-Request-Id": request_id}
        async with self._http.post(url, json=body, headers=headers) as response:
            return Told(spelled, response.status, response.headers, await response.read())

    async def list_conversations(self) -> list[str]:
        return [session["sessionId"] for session in await self._get("/api/chat/sessions")]

    async def list_messages(self, conversation: str) -> list[tuple[str, str]]:
        """Who said what."""
        listed = await self._get(f"/api/chat/sessions/{conversation}/messages")
        return [(message["role"], message["content"]) for message in listed]

    async def delete(self, conversation: str) -> int:
        url = f"{self.server.url}/api/chat/sessions/{conversation}"
        async with self._http.delete(url, headers=self._headers) as response:
            return response.status

    async def read_status(self, conversation: str) -> int:
        url = f"{self.server.url}/api/chat/sessions/{conversation}/messages"
        async with self._http.get(url, headers=self._headers) as response:
            return response.status

    async def _get(self, path: str) -> Any:
        async with self._http.get(self.server.url + path, headers=self._headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def _post(self, path: str, body: object) -> Any:
        async with self._http.post(self.server.url + path, json=body, headers=self._headers) as response:
            assert response.status in (200, 201), await response.text()
            return await response.json()


@asynccontextmanager
async def open_http(*traces: aiohttp.TraceConfig) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps no connection: a server that was killed leaves none that only looks alive."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trace_configs=list(traces)) as http:
        yield http
