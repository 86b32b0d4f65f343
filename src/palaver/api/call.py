"""A request as a handler sees it: who asks, what it holds, and what it may use."""

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from email.parser import BytesParser
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.types import Receive, Scope

from palaver.api.fields import Body
from palaver.api.language import Language
from palaver.api.waiting import Waiting
from palaver.chat.accounts import Accounts, Caller, to_reader
from palaver.chat.applications import Applications
from palaver.chat.clock import to_datetime
from palaver.chat.errors import NotFound
from palaver.chat.flow import Chat
from palaver.chat.limits import Grant, Limits
from palaver.chat.models import Models
from palaver.chat.people import People
from palaver.chat.ports import Channels, Finding
from palaver.chat.presence import Presence
from palaver.chat.reaching import NoChannels, Reaching
from palaver.chat.servers import Servers
from palaver.chat.stays import Stays
from palaver.chat.user import Reader, User
from palaver.watching.security import Asking
from palaver.watching.spans import RequestSpan

B = TypeVar("B", bound=Body)

NUMBER = re.compile("[1-9][0-9]{0,17}")

decode = msgspec.json.Decoder().decode


class ClientLeft(Exception):
    """The client closed before it had sent its whole request; nobody reads an answer."""


class MalformedBody(Exception):
    """Not JSON, or JSON that is no object."""


class Site(Struct, frozen=True):
    """What the APIs work with, and what the operator has settled for them."""

    chat: Chat
    accounts: Accounts
    stays: Stays
    models: Models
    version: str
    servers: Servers
    finding: Finding
    language: Language = "en"
    max_body_bytes: int = 1_048_576
    public_url: str | None = None
    heartbeat_seconds: float = 15.0
    cors_origins: frozenset[str] = frozenset()
    chat_flow_max_prompt: int = 100_000
    streaming_chat_max_message: int = 1000
    max_message: int = 0
    limits: Limits = msgspec.field(default_factory=Limits)
    metrics: Literal["off", "local", "on"] = "local"
    metrics_token: str | None = None
    behind_proxy: bool = False
    """The operator has said so: whoever comes from this machine may be anybody."""
    waiting: Waiting = msgspec.field(default_factory=Waiting)
    channels: Channels = msgspec.field(default_factory=NoChannels)
    hsts_days: int = 0

    @property
    def people(self) -> People:
        return People(self.chat, self.accounts)

    @property
    def presence(self) -> Presence:
        assert self.chat.presence is not None, "a server keeps who was here"
        return self.chat.presence

    @property
    def reaching(self) -> Reaching:
        return Reaching(self.chat.store, self.channels, self.chat.clock)

    @property
    def applications(self) -> Applications:
        return Applications(self.chat, self.accounts)


class Answer(Struct, frozen=True):
    """An answer that needs more than a body: a status, headers, or bytes that are no JSON."""

    body: Any = None
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"


class Stream(Struct, frozen=True):
    """An answer in pieces. It is under way once it is given: from here on failures are events of its own."""

    pieces: AsyncIterator[bytes]
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Call:
    __slots__ = (
        "api",
        "caller",
        "given_again",
        "granted",
        "language",
        "parameters",
        "payload",
        "receive",
        "request_id",
        "route",
        "scope",
        "site",
        "span",
        "unknown",
    )

    def __init__(self, site: Site, scope: Scope, request_id: str, language: Language) -> None:
        self.site = site
        self.scope = scope
        self.request_id = request_id
        self.language: Language = language
        self.route = "-"
        """The pattern of the path: unlike the path itself it holds no secret."""
        self.api = "-"
        self.parameters: dict[str, str] = {}
        self.payload: dict[str, Any] = {}
        self.receive: Receive | None = None
        """Where the body still is, of an operation that takes a file."""
        self.caller: Caller | None = None
        self.granted: Grant | None = None
        """What the caller's limits have granted: to begin a turn, or to have one more socket open."""
        self.given_again = False
        """The reply in the answer is one that had been given before."""
        self.unknown = False
        """The caller is a guest of this moment: whoever keeps no cookie is another one each time."""
        self.span: RequestSpan | None = None

    @property
    def chat(self) -> Chat:
        return self.site.chat

    @property
    def user(self) -> User:
        assert self.caller is not None, "an open operation has no caller"
        return self.caller.user

    @property
    def reader(self) -> Reader:
        return to_reader(self.user, guests_allowed=self.chat.rules.guests)

    async def stored_user(self) -> User:
        """The caller with a row in the store, before something becomes theirs; from then on this one is who calls."""
        stored = await self.site.accounts.stored(self.user)
        if self.caller is not None and stored is not self.caller.user:
            self.caller = replace(self.caller, user=stored)
        return stored

    def read(self, body: type[B]) -> B:
        """Raises `Invalid` with all that is wrong with the body."""
        return body.read(self.payload)

    def read_query(self, query: type[B]) -> B:
        raw = self.scope.get("query_string", b"").decode("latin-1")
        return query.read(dict(parse_qsl(raw, keep_blank_values=True)), "query")

    def query(self, name: str) -> str | None:
        """One parameter of the query; None where it is absent."""
        raw = self.scope.get("query_string", b"").decode("latin-1")
        return dict(parse_qsl(raw, keep_blank_values=True)).get(name) if raw else None

    async def file(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `ClientLeft` where it breaks off."""
        assert self.receive is not None, "the operation takes no file"
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            yield message.get("body", b"")
            more = message.get("more_body", False)

    def number(self, name: str) -> int:
        """The integer of that name in the path. What is none names nothing: raises `NotFound`."""
        given = self.parameters[name]
        if not NUMBER.fullmatch(given):
            raise NotFound
        return int(given)

    def header(self, name: bytes) -> str:
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value.decode("latin-1"))
        return ""

    def address(self) -> str:
        client = self.scope.get("client")
        return client[0] if client else ""

    def asking(self) -> Asking:
        """What the log is told of the request, where it tells of more than its answer."""
        return Asking(self.request_id, self.address(), None if self.caller is None else self.caller.user.uuid)

    @property
    def counted_as(self) -> str | None:
        """The address that stands for a caller whom nobody would know again."""
        return self.address() if self.unknown else None

    def base_url(self) -> str:
        """Where people find this server: what the operator has said, else where this request found it."""
        if self.site.public_url is not None:
            return self.site.public_url.rstrip("/")
        return f"{self.scope.get('scheme', 'http')}://{self.header(b'host')}"

    def is_secure(self) -> bool:
        return self.scope.get("scheme") == "https" or (self.site.public_url or "").startswith("https://")


def parse_json(body: bytes | str) -> dict[str, Any]:
    """Raises `MalformedBody`."""
    try:
        payload = decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = _parse_leniently(body)
    if not isinstance(payload, dict):
        raise MalformedBody
    return payload


def _parse_leniently(body: bytes | str) -> Any:
    # msgspec refuses a lone surrogate as malformed; it is well-formed JSON with an invalid string in it.
    try:
        said = body.decode("utf-8") if isinstance(body, bytes) else body
        return json.loads(said, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedBody from error


def _refuse(name: str) -> None:
    raise ValueError(name)


def parse_form(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a form. Raises `MalformedBody`."""
    if content_type.startswith("multipart/form-data"):
        head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
        parts = BytesParser().parsebytes(head + body)
        if not parts.is_multipart():
            raise MalformedBody
        fields = {}
        for part in parts.walk():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(content, bytes):
                fields[name] = content.decode("utf-8", "surrogateescape").removesuffix("\r\n")
        return fields
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise MalformedBody from error


def to_time(micros: int) -> datetime:
    return to_datetime(micros)
