"""How a turn begins, is kept while it runs, and ends, in the store."""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    ConversationId,
    End,
    Message,
    MessageId,
    NewConversation,
    Past,
    Turn,
    Usage,
    WhenBusy,
)
from palaver.chat.cursor import Mark
from palaver.chat.errors import RateLimited
from palaver.chat.knowledge import Source
from palaver.chat.ledger import Budgets
from palaver.chat.user import Reader, UserId


class NewTurn(Struct, frozen=True):
    """A person's message on its way in.

    Either `conversation` (its UUID) or `new` says where. `edits` is the person's own earlier message of which this is
    another wording; what followed that one leaves the view.
    """

    reader: Reader
    text: str
    token_count: int
    now: Micros
    worker: str
    lease_until: Micros
    when_busy: WhenBusy
    conversation: str | None = None
    new: NewConversation | None = None
    client_message_id: str | None = None
    edits: str | None = None
    budgets: Budgets | None = None
    refusal: RateLimited | None = None
    """Raised where its reply would start at once; one that waits takes the place of another one."""


class AnotherReply(Struct, frozen=True):
    """A reply that is to be made once more, beside the one that is there: `reply` (its UUID), or the last one."""

    reader: Reader
    conversation: str
    reply: str | None
    now: Micros
    worker: str
    lease_until: Micros
    when_busy: WhenBusy
    budgets: Budgets | None = None
    refusal: RateLimited | None = None
    """As `NewTurn.refusal`."""


class Begun(Struct, frozen=True):
    """What became of a message on its way in.

    `started`: the reply is this worker's to make; `history` (newest first) and `system_prompt` come with it.
    `queued`: another reply runs before it. `known`: said before, and the reply is as `turn.reply` tells.
    `interrupts` is the running reply that has been asked to stop for this one, `dropped` what waited and is not
    answered any more, `replaces` the message in whose place the new one stands.
    """

    turn: Turn
    state: Literal["started", "queued", "known"]
    history: Sequence[Past] = ()
    history_tokens: int | None = None
    """What all of the history takes in a prompt, where that was added up."""
    system_prompt: str = ""
    exchanges: int = 0
    interrupts: MessageId | None = None
    dropped: Sequence[MessageId] = ()
    replaces: str | None = None
    mark: Mark = Mark(0, 0, 0)
    """The conversation once this was written."""
    summary: str = ""
    """Of what was said before `history`."""
    is_reserved: bool = False
    """Of a reply to be made: budgets concern who pays for it, and it must use no more than was held back."""


class Unsummarised(Struct, frozen=True):
    """What has left the bot's view, to be summarised by whoever got this, until `lease_until`: `summary`, which there
    was before, and `past`, newest first, which came after that and stands before the number `up_to`."""

    conversation_id: ConversationId
    up_to: int
    lease_until: Micros
    summary: str
    past: Sequence[Past]


class Ending(Struct, frozen=True):
    """How a reply ended. It is written only if the reply is still `worker`'s attempt, and its lease is older than
    `expired_before` where that is given."""

    conversation_id: ConversationId
    owner_id: UserId
    reply_id: MessageId
    attempt: int
    worker: str
    now: Micros
    end: End
    reason: str
    text: str
    token_count: int
    context_from: int
    model: str | None = None
    usage: Usage | None = None
    cached: bool = False
    details: str | None = None
    sources: tuple[Source, ...] = ()
    checkpointed: bool = True
    expired_before: Micros | None = None
    promote_to: str | None = None
    lease_until: Micros = Micros(0)
    conversation: str = ""
    """Its UUID, of a reply that was left behind."""
    billed_as: str = ""
    """By whose price: the model's, by the name it was asked for, or the bot's."""
    tells_owner: bool = False
    """Its owner waited long and is not there: what tells of its end is written with it."""
    provider: str | None = None
    """Who was to answer, where the conversation says so: of a reply that was left behind."""
    said_at: Micros = Micros(0)
    """When that was said which it answers."""

    @property
    def at(self) -> Micros:
        """The reply's time from then on: behind what it answers, also where the clock was put back meanwhile."""
        return Micros(max(self.now, self.said_at + 1))

    @property
    def counts(self) -> bool:
        """Whether the turn is an exchange: an answer was given."""
        return bool(self.text) and self.end in ("complete", "stopped")


class EndedReply(Struct, frozen=True):
    """`done` is False where the reply was no longer this worker's. `next` is what it has to answer now."""

    done: bool
    exchanges: int = 0
    exchange: int | None = None
    next: Begun | None = None
    mark: Mark = Mark(0, 0, 0)
    """The conversation once this was written, and before `next` was."""


class Held(Struct, frozen=True):
    """A reply that is a worker's to make."""

    reply_id: MessageId
    attempt: int
    worker: str
    conversation_id: ConversationId


class Checkpoint(Struct, frozen=True):
    reply_id: MessageId
    attempt: int
    position: int
    text: str


class Renewed(Struct, frozen=True):
    """The replies that are still this worker's, and of these the ones that somebody asked to stop."""

    held: frozenset[MessageId]
    stop: frozenset[MessageId]


class TakenBack(Struct, frozen=True):
    """`prompt` as it was, and the conversation once it was taken back."""

    owner_id: UserId
    prompt: Message
    reply_id: MessageId
    mark: Mark


class Turns(Protocol):
    """The journey of a message in the store. Every method is one transaction, synced when it returns."""

    async def begin(self, turn: NewTurn) -> Begun:
        """Commits the message with its reply to come.

        Raises `NotFound`, `Ended`, `Busy`, `Conflict`, `OverBudget` or the turn's `refusal`, with nothing changed.
        """
        ...

    async def begin_another(self, asked: AnotherReply) -> Begun:
        """Commits a reply to come beside one that is there. Raises `NotFound`, `Ended`, `Busy`, `OverBudget` or the
        `refusal`, with nothing changed."""
        ...

    async def finish(self, ending: Ending) -> EndedReply: ...
    async def checkpoint(
        self, worker: str, lease_until: Micros, held: Sequence[tuple[MessageId, int]], written: Sequence[Checkpoint]
    ) -> Renewed:
        """Keeps what is new of all running replies (`held`: with their attempts) and renews their leases."""
        ...

    async def ask_to_stop(self, reply_id: MessageId) -> str | None:
        """Gives the worker that makes it, if it runs."""
        ...

    async def abandoned(self, now: Micros, expired_before: Micros) -> Sequence[Ending]:
        """How the replies end whose leases expired: with the text that was kept. `finish` carries it out."""
        ...

    async def held_by(self, worker: str) -> Sequence[Held]:
        """The replies that run and are that worker's to make."""
        ...

    async def take_up(self, held: Held) -> Begun | None:
        """The reply once more as it was given to its worker, if it is still that one's to make."""
        ...

    async def promote_waiting(self, worker: str, now: Micros, lease_until: Micros) -> Sequence[Begun]:
        """Starts what waits in conversations where nothing runs."""
        ...

    async def get(self, reply_id: MessageId) -> Begun | None:
        """The reply as it is now, as a `known` turn."""
        ...

    async def open_reply(self, conversation_id: ConversationId) -> Begun | None:
        """The reply that runs there, else the first that waits, as a `known` turn."""
        ...

    async def take_back(self, reader: Reader, conversation: str, message: str, now: Micros) -> TakenBack:
        """The message, or the reply to it, waits for its turn: as if it had never been said. One that was answered
        before stays; only the further answer is not given. Raises `NotFound` and `NotWaiting`."""
        ...

    async def reply_at(self, conversation_id: ConversationId, number: int) -> Begun | None:
        """The reply of that number there, as a `known` turn."""
        ...
