"""One operation of one API: everything that is decided before its handler is called, and what OpenAPI says of it."""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from palaver.api.fields import Body
from palaver.api.language import Language, text
from palaver.chat.errors import ChatError

if TYPE_CHECKING:
    from palaver.api.call import Call

Handler = Callable[["Call"], Awaitable[Any]]

# open: credentials are not looked at. caller: anybody known, a guest too while guests are on. signed_in: no guests.
Who = Literal["open", "caller", "signed_in", "admin"]


class Style(Enum):
    """How an API spells its errors, and what it calls its credentials."""

    DRF = "Token"
    FASTAPI = "Bearer"
    STREAMING = "Streaming"

    @property
    def challenge(self) -> str:
        return "Bearer" if self is Style.FASTAPI else "Token"


class Refusal(Struct, frozen=True):
    """What an API answers to an error of the core: a status, and the words for it."""

    status: int
    words: Callable[[ChatError, Language], str]


def worded(status: int, key: str) -> Refusal:
    """A text in the reader's language."""
    return Refusal(status, lambda _error, language: text(key, language))


def fixed(status: int, words: str) -> Refusal:
    """A text that the contract fixes."""
    return Refusal(status, lambda _error, _language: words)


Refusals = Mapping[type[ChatError], Refusal]


class Operation(Struct, frozen=True):
    method: str
    path: str
    handler: Handler
    api: str
    style: Style
    who: Who = "caller"
    status: int = 200
    answer: Any = None
    body: type[Body] | None = None
    query: type[Body] | None = None
    takes_form: bool = False
    starts_turn: bool = False
    signs_in: bool = False
    refusals: Refusals = {}
    extra: Mapping[int, str] = {}
    name: str = ""


class Api:
    """The operations of one API, gathered by decorators where its handlers stand."""

    def __init__(self, name: str, style: Style, refusals: Refusals | None = None) -> None:
        self.name = name
        self.style = style
        self.refusals = dict(refusals or {})
        self.operations: list[Operation] = []

    def add(
        self, method: str, path: str, *, refusals: Refusals | None = None, **settings: Any
    ) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            told = {**self.refusals, **(refusals or {})}
            self.operations.append(
                Operation(
                    method=method,
                    path=path,
                    handler=handler,
                    api=self.name,
                    style=settings.pop("style", self.style),
                    refusals=told,
                    name=f"{self.name}_{handler.__name__}",
                    **settings,
                )
            )
            return handler

        return keep
