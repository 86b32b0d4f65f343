"""A client of a running server: it sends exactly what a test says, and keeps nothing between two requests."""

import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse, DummyCookieJar, TCPConnector
from multidict import CIMultiDictProxy
from yarl import URL

from tests.parts import secrets
from tests.parts.palaver import Server
from tests.parts.run import Run

PASSWORD = "correct horse battery staple"
_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it sets, by name; empty ones are cleared."""
        return {name: morsel.value for name, morsel in self._morsels().items()}

    def cookie(self, name: str) -> dict[str, Any]:
        """The attributes that a cookie is set with, by their names in small letters."""
        return {key: value for key, value in self._morsels()[name].items() if value}

    def _morsels(self) -> SimpleCookie:
        return SimpleCookie("\r\n".join(self.headers.getall("Set-Cookie", [])))


class Client:
    """Requests to one server, with the same headers each time."""

    def __init__(self, http: ClientSession, url: str, headers: Mapping[str, str]) -> None:
        self._http = http
        self.url = url
        self._headers = dict(headers)

    def having(self, **headers: str) -> Self:
        """The same with further headers: `having(Accept_Language="de")`."""
        return self.sending({name.replace("_", "-"): value for name, value in headers.items()})

    def sending(self, headers: Mapping[str, str]) -> Self:
        return type(self)(self._http, self.url, {**self._headers, **headers})

    def carrying(self, **cookies: str) -> Self:
        return self.sending({"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())})

    def bearing(self, token: str) -> Self:
        return self.sending({"Authorization": f"Bearer {token}"})

    async def get(self, path: str) -> Answer:
        return await self.send("GET", path)

    async def post(self, path: str, **fields: Any) -> Answer:
        return await self.send("POST", path, fields)

    async def patch(self, path: str, **fields: Any) -> Answer:
        return await self.send("PATCH", path, fields)

    async def delete(self, path: str) -> Answer:
        return await self.send("DELETE", path)

    async def send(self, method: str, path: str, body: Any = None) -> Answer:
        """`body` goes as it is where it is bytes, without a type of its own; else as JSON."""
        headers = dict(self._headers)
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **headers}
        async with self._http.request(
            method,
            URL(self.url + path, encoded=True),
            data=data and BytesIO(data),
            headers=headers,
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
        ) as response:
            content = await response.read()
            secrets.note_sent(body, url=self.url)
            secrets.note_answered(content, response.headers.getall("Set-Cookie", []), url=self.url)
            return Answer(response.status, response.headers, content)

    @asynccontextmanager
    async def connect(self, path: str) -> AsyncIterator[ClientWebSocketResponse[bool]]:
        """A WebSocket. aiohttp's `WSServerHandshakeError` where it is refused."""
        url = URL(self.url + path, encoded=True)
        async with self._http.ws_connect(url, headers=self._headers, max_msg_size=0) as socket:
            yield socket


def new_connector() -> TCPConnector:
    """Leaves a connection that says nothing sooner than the server does: one could be closed just as it is used."""
    return TCPConnector(keepalive_timeout=2)


@asynccontextmanager
async def open_client(server: Server, **headers: str) -> AsyncIterator[Client]:
    """Somebody without credentials."""
    timeout = ClientTimeout(total=_SECONDS)
    async with ClientSession(cookie_jar=DummyCookieJar(), connector=new_connector(), timeout=timeout) as http:
        yield Client(http, server.url, {name.replace("_", "-"): value for name, value in headers.items()})


def new_name() -> str:
    return f"u{uuid.uuid4().hex[:20]}"


async def register(nobody: Client, *, email: str | None = None) -> Client:
    """A new person, on a server that lets people register."""
    answer = await nobody.post("/auth/register/", username=new_name(), password=PASSWORD, email=email)
    assert answer.status == 201, answer.text
    return nobody.bearing(answer.body["token"])


async def sign_in(nobody: Client, server: Server, name: str = "admin") -> dict[str, str]:
    """The cookies of a browser that has followed a sign-in link."""
    code = (await server.cli("user", "link", name)).split("/sign-in/")[1].strip()
    answer = await nobody.get(f"/sign-in/{code}")
    assert answer.status == 303, answer.text
    return answer.cookies


async def ask_until(ask: Callable[[], Awaitable[Answer]], done: Callable[[Answer], bool], *, seconds: float) -> Answer:
    """The first answer that will do. `AssertionError` when none has come in time."""
    deadline = time.monotonic() + seconds
    while not done(answer := await ask()):
        assert time.monotonic() < deadline, f"Still {answer.status} after {seconds} s: {answer.text}"
    return answer


async def until_offered(person: Client, *models: str) -> Any:
    """The list of models once these are in it: at its start a server waits no more than a moment for them."""

    def has_them(answer: Answer) -> bool:
        return set(models) <= {model["name"] for model in answer.body}

    return (await ask_until(lambda: person.get("/ai-chat/api/models/"), has_them, seconds=_SECONDS)).body


class Shaped:
    """Equal to every value of a type, or to every text that fits a pattern whole."""

    def __init__(self, shape: type | str) -> None:
        self._shape = shape

    def __eq__(self, other: object) -> bool:
        if isinstance(self._shape, type):
            return type(other) is self._shape
        return isinstance(other, str) and re.fullmatch(self._shape, other) is not None

    def __hash__(self) -> int:
        return hash(self._shape)

    def __repr__(self) -> str:
        return f"Shaped({self._shape!r})"


TIME = Shaped(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID = Shaped(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UUID4 = Shaped(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
WHOLE = Shaped(int)
TEXT = Shaped(str)


@asynccontextmanager
async def open_beside(run: Run, server: Server, **settings: str) -> AsyncIterator[Server]:
    """A server with other settings. On PostgreSQL it shares the database, on SQLite it has one of its own."""
    environment = {name: value for name, value in server.environment.items() if name != "PALAVER_DATA_DIR"}
    beside = Server(run, run.make_folder("beside"), {**environment, **settings})
    await beside.start()
    try:
        yield beside
    finally:
        await beside.end()
