"""What has happened in a conversation since some moment, from the store."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    Conversation,
    Message,
)
from palaver.chat.cursor import Mark
from palaver.chat.user import Reader


class ReadMark(Struct, frozen=True):
    """How far somebody has read, and the number of the event that told so."""

    user: str
    message_uuid: str
    event: int


class Present(Struct, frozen=True):
    """A conversation as somebody finds it who comes in: `reply` runs there, made by `worker`, and `kept` is what the
    checkpoints have of it."""

    conversation: Conversation
    mark: Mark
    reply: Message | None = None
    worker: str | None = None
    kept: str = ""


class Since(Struct, frozen=True):
    """What came after a moment: messages that were said, started or ended since, by number, and read marks.

    `beside`: of replies by their numbers the ones beside which they were made. Where the moment is none of this story
    (of another revision, of the future), and where it is too much to be told again, `known` is false, and there is only
    `present`.
    """

    present: Present
    messages: Sequence[Message] = ()
    reads: Sequence[ReadMark] = ()
    beside: Mapping[int, str] = {}
    known: bool = True


class Events(Protocol):
    """What was told in a conversation, read from what is kept of it."""

    async def present(self, reader: Reader | None, conversation: str) -> Present:
        """As `reader` finds it, or, for the server's own ends, as it is. Raises `NotFound`."""
        ...

    async def since(self, reader: Reader | None, conversation: str, mark: Mark) -> Since:
        """As `present`, and what came after that moment, in the same look. Raises `NotFound`."""
        ...

    async def unread(self, reader: Reader, conversation: str) -> int:
        """How many replies the reader has not read; beyond a thousand it counts no further. Among people, how much of
        what they said. Raises `NotFound`, also where the reader has muted those."""
        ...

    async def read_up_to(self, reader: Reader, conversation: str, message: str, now: Micros) -> Mark | None:
        """None where the reader had read further already. Raises `NotFound`."""
        ...
