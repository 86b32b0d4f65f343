"""What is kept so that a bot need not be asked again or read everything: answers and summaries."""

from typing import Protocol

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    ConversationId,
)
from palaver.chat.pieces import KnownAnswer
from palaver.chat.ports.turns import Unsummarised
from palaver.chat.user import UserId


class AnswerToKeep(Struct, frozen=True):
    """An answer on its way into the store, under the digest of its question."""

    digest: bytes
    user_id: UserId
    conversation_id: ConversationId
    answer: KnownAnswer
    expires_at: Micros


class Answers(Protocol):
    """Answers that may be given again to who got them. They go with the conversation that they come from."""

    async def find(self, user_id: UserId, digest: bytes, now: Micros) -> KnownAnswer | None: ...
    async def keep(self, kept: AnswerToKeep, most: int) -> None:
        """In place of the one that is there; the oldest go where there are more than `most`. Nothing is kept of a
        conversation that is gone."""
        ...

    async def remove_expired(self, now: Micros) -> int:
        """Removes those whose time is over, so many at a time. Tells how many."""
        ...


class Summaries(Protocol):
    """Of what a bot no longer sees. One is made by one at a time, whatever the worker."""

    async def claim(
        self, conversation_id: ConversationId, up_to: int, now: Micros, until: Micros
    ) -> Unsummarised | None:
        """What is to be summarised; None where it is, where somebody is at it, or where the cut is elsewhere by now."""
        ...

    async def keep(self, cut: Unsummarised, summary: str) -> bool:
        """Whether it was kept: not where another branch is in view by now."""
        ...

    async def give_up(self, cut: Unsummarised) -> None:
        """Somebody else may make it at once."""
        ...
