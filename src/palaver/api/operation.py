"""One operation of one API: everything that is decided before its handler is called, and what OpenAPI says of it."""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from palaver.api.fields import Body
from palaver.api.language import Language, text
from palaver.chat.errors import ChatError

if TYPE_CHECKING:
    from palaver.api.call import Call

Handler = Callable[["Call"], Awaitable[Any]]

# open: credentials are not looked at. anyone: none are needed, and those that are sent have to be good. caller: anybody
# known, a guest too while guests are on. signed_in: no guests.
Who = Literal["open", "anyone", "caller", "signed_in", "admin"]


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


# What a path says that nobody has.
NO_SUCH_PATH = "Not Found"

Refusals = Mapping[type[ChatError], Refusal]


JSON_ONLY = ("application/json",)
HTML_ONLY = ("text/html",)
JSON_OR_HTML = ("application/json", "text/html")
EVENT_STREAM = ("text/event-stream",)


class Also(Struct, frozen=True):
    """What else an operation answers with a status, for OpenAPI; `answer` where that is no refusal in its style."""

    words: str
    answer: Any = None
    content_types: tuple[str, ...] = JSON_ONLY


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
    content_types: tuple[str, ...] = JSON_ONLY
    takes_form: bool = False
    takes_file: bool = False
    """The body is a file, read by the handler as it comes."""
    starts_turn: bool = False
    stateless: bool = False
    """The turn is one of no conversation."""
    counts_as_turn: bool = False
    """It starts none, and costs as much: it is under the caller's limit of turns a minute."""
    to_people: bool = False
    """It says something from person to person: that counts as a turn as well, and starts none."""
    until_draining: bool = False
    """It starts nothing, and is refused all the same once the server goes away."""
    signs_in: bool = False
    refusals: Refusals = {}
    raises: tuple[type[ChatError], ...] = ()
    """What it can be refused with, besides what follows from the rest."""
    also: Mapping[int, Also] = {}
    says_error: AbstractSet[int] = frozenset()
    """Statuses whose body is `{"error": text}`, whatever the style."""
    name: str = ""
    summary: str = ""
    described: bool = True
    """OpenAPI tells of it; it does not of what the operator's own tools and the web app's page ask for."""


class Api:
    """The operations of one API, gathered by decorators where its handlers stand."""

    def __init__(
        self, name: str, style: Style, refusals: Refusals | None = None, *, says_error: AbstractSet[int] = frozenset()
    ) -> None:
        self.name = name
        self.style = style
        self.says_error = says_error
        self.refusals = dict(refusals or {})
        self.operations: list[Operation] = []

    def add(
        self,
        method: str,
        path: str,
        *,
        refusals: Refusals | None = None,
        raises: tuple[type[ChatError], ...] = (),
        **settings: Any,
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
                    raises=(*raises, *(refusals or ())),
                    says_error=settings.pop("says_error", self.says_error),
                    name=f"{self.name}_{handler.__name__}",
                    **settings,
                )
            )
            return handler

        return keep
