"""What stands beside what in a conversation, and which of it is in view."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    Message,
)
from palaver.chat.cursor import Mark
from palaver.chat.user import Reader, UserId


class Branching(Struct, frozen=True):
    """A place in the branch that is shown at which there are others: `messages`, by number, all follow `parent`."""

    parent: str | None
    in_view: str | None
    messages: Sequence[str]


class OpenReply(Struct, frozen=True):
    reply: str
    prompt: str
    running: bool
    """Else it waits for its turn."""


class Silent(Struct, frozen=True):
    """A reply in view that has ended without a word, which is in no list of messages."""

    reply: str
    prompt: str
    stopped: bool
    """Somebody wanted it so; else it has failed."""


class Overview(Struct, frozen=True):
    branchings: Sequence[Branching]
    open_replies: Sequence[OpenReply]
    silent: Sequence[Silent]


class Branches(Protocol):
    """The tree of a conversation's messages: what is in view of it."""

    async def show(self, reader: Reader, conversation: str, message: str, now: Micros) -> tuple[UserId, Mark] | None:
        """Brings the branch into view in which the message stands; gives whose conversation it is, or None where the
        branch was in view already. Raises `NotFound`, and `Busy` while a reply runs."""
        ...

    async def siblings(self, reader: Reader, conversation: str, message: str) -> Sequence[Message]:
        """The message with all others that follow the same one, by number. Raises `NotFound`."""
        ...

    async def overview(self, reader: Reader, conversation: str) -> Overview:
        """Where the branch in view has others beside it, which replies are to come, and which ended without a word.
        Raises `NotFound`."""
        ...
