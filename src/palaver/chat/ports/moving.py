"""What is brought here from elsewhere, and taken there, in the store."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from palaver.chat.clock import Micros
from palaver.chat.conversation import ConversationId
from palaver.chat.moved import (
    Arrived,
    MovedConnection,
    MovedKind,
    MovedMessage,
    MovedSession,
    MovedTemplate,
    Page,
    Part,
    Put,
)
from palaver.chat.preset import Preset
from palaver.chat.user import UserId


class Arriving(Protocol):
    """Each call is one transaction, and gives what became of each in their order. With `dry` nothing is kept of it.

    The application is made where there is none of that name, and its users are where they are first named.
    """

    async def add_templates(
        self, app: str, templates: Sequence[MovedTemplate], now: Micros, *, dry: bool
    ) -> Sequence[Arrived]: ...

    async def add_parts(self, app: str, parts: Sequence[Part], now: Micros, *, dry: bool) -> Sequence[Arrived]: ...

    async def made_at(self, app: str, kind: MovedKind, key: str) -> Micros | None:
        """When a conversation that is known already was made."""
        ...


class Leaving(Protocol):
    """What the users of an application have here. A page is empty where nothing follows."""

    async def count(self, app_id: UserId) -> int:
        """How many sessions and connections there are."""
        ...

    async def templates(self, app_id: UserId) -> Sequence[Preset]: ...
    async def sessions(self, app_id: UserId, after: ConversationId) -> Page[MovedSession]: ...
    async def connections(self, app_id: UserId, after: ConversationId) -> Page[MovedConnection]: ...
    async def messages(self, conversation_id: ConversationId, after: int) -> Sequence[tuple[int, MovedMessage]]:
        """In their order, with their numbers."""
        ...


class WritingOut(Protocol):
    def lines(self, whose: UserId | None, *, with_secrets: bool) -> AsyncIterator[Mapping[str, Any]]:
        """Everything of one person, or of all, each line after those that it names (docs/moving.md)."""
        ...


class ReadingIn(Protocol):
    async def put(self, lines: Sequence[Mapping[str, object]], now: Micros) -> Sequence[Put]:
        """Puts them where they belong, in one transaction. What is there already stays as it is."""
        ...
