"""Conversations in the store: reading, changing, putting away."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    Conversation,
    ConversationChange,
    ConversationId,
    Marks,
    Message,
    MessageId,
    NewConversation,
    Role,
    TextId,
)
from palaver.chat.user import Reader, UserId


class Said(Struct, frozen=True):
    """A message, and the text of the reply to it; empty where there is none yet."""

    uuid: str
    prompt: str
    answer: str
    created_at: Micros


class Hidden(Struct, frozen=True):
    """Of a conversation that is not to be found any more: whose it is, and the replies that run or waited in it."""

    owner_id: UserId
    replies: Sequence[MessageId]


class Totals(Struct, frozen=True):
    """What a reader has in all: conversations, messages, the model of most conversations, the newest message's time."""

    conversations: int
    messages: int
    favorite: tuple[str, int] | None
    last_message_at: Micros | None


# Whose messages a list holds where nothing else is asked.
ALL_ROLES: tuple[Role, ...] = ("user", "assistant", "system", "tool")


class Conversations(Protocol):
    """Reading and changing conversations. What the reader may not touch is not found, in the same query."""

    async def access(self, reader: Reader, conversation: str | ConversationId) -> Conversation:
        """Raises `NotFound`."""
        ...

    async def by_name(self, reader: Reader, name: str) -> Conversation | None:
        """The conversation of that UUID if the reader may open it, else the one the reader gave that name."""
        ...

    async def recent_turns(self, reader: Reader, conversation: Conversation | None, limit: int) -> Sequence[Said]:
        """The reader's newest turns, newest first: of one conversation, or of all."""
        ...

    async def create(self, new: NewConversation, now: Micros) -> Conversation: ...
    async def list(self, reader: Reader, *, limit: int | None, offset: int) -> Sequence[Conversation]: ...
    async def in_list(
        self, reader: Reader, *, archived: bool, limit: int, offset: int
    ) -> tuple[Sequence[Conversation], int]:
        """The reader's own that are put away, or those that are not, and how many there are: pinned ones first, the one
        that was pinned last on top, then those in which something happened last."""
        ...

    async def mark(self, reader: Reader, uuid: str, marks: Marks, now: Micros) -> Conversation:
        """Nothing else of it changes. Raises `NotFound`."""
        ...

    async def count(self, reader: Reader) -> int:
        """How many there are in the whole list."""
        ...

    async def messages(
        self, conversation: Conversation, *, limit: int | None, offset: int, roles: Sequence[Role] = ALL_ROLES
    ) -> Sequence[Message]:
        """The branch in view, oldest first, without what is queued or running and replies without text; each with its
        parent. That can be a reply that is still to come; it is what a reply was to answer that has ended without text.
        Of all roles there are `message_count`."""
        ...

    async def newest(self, conversation: Conversation, limit: int) -> tuple[Sequence[Message], bool]:
        """The last of these messages, oldest first, and whether there are more before them."""
        ...

    async def totals(self, reader: Reader, default_model: str) -> Totals:
        """Of the reader's own; `default_model` is that of conversations which name none."""
        ...

    async def text(self, text_id: TextId) -> str: ...
    async def change(self, reader: Reader, uuid: str, change: ConversationChange, now: Micros) -> Conversation: ...
    async def delete(self, reader: Reader, uuid: str, now: Micros, *, keep: bool = False) -> Hidden:
        """Hides it at once; `keep`: for good, and it is never purged."""
        ...

    async def end(self, reader: Reader, uuid: str, now: Micros) -> tuple[Conversation, Sequence[MessageId]]:
        """Ends it for good. Gives it, and the replies that waited in it. Raises `Ended` if it had ended before."""
        ...

    async def active(self) -> Sequence[str]: ...
    async def end_idle(self, before: Micros, now: Micros) -> Sequence[UserId]:
        """Ends those that were silent since before then. Gives the owner of each."""
        ...

    async def purge(self, deleted_before: Micros) -> int: ...
    async def remove_left_texts(self, left_before: Micros) -> int:
        """Removes system prompts that were replaced before then and that no conversation has. Tells how many it has
        looked at."""
        ...
