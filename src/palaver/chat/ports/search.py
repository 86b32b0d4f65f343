"""Finding words in what was said."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    Conversation,
    Role,
)
from palaver.chat.user import Reader


class FoundMessage(Struct, frozen=True):
    """`in_view` is false where it stands in a branch that is not shown just now."""

    conversation: str
    title: str
    archived: bool
    uuid: str
    role: Role
    in_view: bool
    created_at: Micros
    snippet: str


class Searched(Struct, frozen=True):
    """`is_whole` is false where some of what is there has not been read yet, and could not be found. It is being read:
    soon all of it can be."""

    titled: Sequence[Conversation] = ()
    messages: Sequence[FoundMessage] = ()
    has_more: bool = False
    is_whole: bool = True


class Search(Protocol):
    """Words in conversations. Who is asked about any text answers; none is an error."""

    async def find(self, reader: Reader, text: str, *, limit: int, offset: int) -> Searched:
        """The reader's own messages that hold all these words, or words that begin with them, newest first, and for the
        first page conversations with such titles, those in which something happened last first."""
        ...
