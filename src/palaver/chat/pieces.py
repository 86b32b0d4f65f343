"""What a bot is given and what it says: facts in small structs, no vendor's words."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

from palaver.chat.conversation import Past, Role, Speaking, Usage
from palaver.chat.knowledge import Source
from palaver.chat.user import Reader


class Knowledge(Struct, frozen=True):
    """What of its collection a bot may be given: passages that this reader may see, no more than fit into `tokens`, and
    at most so many. `in_front`: before the history, as chat_flow says; else behind it, where they leave the front as it
    was."""

    reader: Reader
    collection: str
    tokens: int
    most: int | None = None
    in_front: bool = False


class Prompt(Struct, frozen=True):
    """All that a bot may see of a turn. `message` is the new one, said by `role`, and is not in `history`.

    What a bot sends on goes in this order, so that the front stays the same from turn to turn and a provider's prompt
    cache has it: `system`, `summary` (of what is no longer in `history`), `history`, `volatile` (what is true of this
    turn alone), `message`. Prompts with the same `cache_key` have the same front.
    """

    message: str
    system: str = ""
    history: tuple[Past, ...] = ()
    speaking: Speaking = Speaking()
    model: str | None = None
    request_id: str = ""
    attempt: int = 1
    role: Role = "user"
    summary: str = ""
    volatile: str = ""
    cache_key: str | None = None
    knowledge: Knowledge | None = None
    pinned: str = ""
    """A system message of its own, between `system` and `history`."""


class Text(Struct, frozen=True):
    text: str


class Reasoning(Struct, frozen=True):
    text: str


class Sources(Struct, frozen=True):
    """The passages that the bot was given, before it says anything; `tokens` is what they take of its context."""

    sources: tuple[Source, ...]
    tokens: int = 0


class Finished(Struct, frozen=True):
    """The bot's own word that it has said all. Without it a reply has broken off.

    `details` is kept with the message and never shown.
    """

    reason: Literal["stop", "length", "tool_calls", "content_filter"] = "stop"
    details: Mapping[str, Any] | None = None
    usage: Usage | None = None
    model: str | None = None
    cached: bool = False
    """It was said before, and nobody was asked again."""


class KnownAnswer(Struct, frozen=True):
    """All that a bot once said, and how it finished."""

    text: str
    reason: Literal["stop", "length"]
    model: str | None = None


Piece = Text | Reasoning | Sources | Finished


class Bot(Protocol):
    """Who answers. `talk` yields what is said and last `Finished`; leaving the iterator stops it at its source."""

    def talk(self, prompt: Prompt) -> AsyncIterator[Piece]: ...
