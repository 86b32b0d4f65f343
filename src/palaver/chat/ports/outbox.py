"""What has to reach somebody who may be away, as it is kept, and where they are reached.

A notice says that a person is to hear of a message. Once it is due it becomes a delivery for each target of theirs, or
is not needed.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NewType, Protocol

from msgspec import UNSET, Struct, UnsetType

from palaver.chat.clock import Micros
from palaver.chat.conversation import MessageId
from palaver.chat.ports.notify import ChannelKind, ConversationKind, NoticeKind, Target
from palaver.chat.user import TokenId, UserId, UserKind

OutboxId = NewType("OutboxId", int)
TargetId = NewType("TargetId", int)

State = Literal["waiting", "sent", "dead", "not_needed"]

# Why a person need not hear of it. `looking`: has it open. `nowhere`: no target that is set up here wants it. `gone`:
# the conversation or the target is not there any more. `newer`: another delivery tells of what came after it.
WhyNot = Literal["looking", "read", "muted", "blocked", "left", "disabled", "gone", "nowhere", "newer"]


class DueNotice(Struct, frozen=True):
    """`conversation`: its UUID; empty where that is not there any more."""

    id: OutboxId
    user_id: UserId
    conversation: str


class Told(Struct, frozen=True):
    """All there is to tell of a message to one person, as it is now."""

    kind: NoticeKind
    conversation: str
    conversation_kind: ConversationKind
    title: str
    bot: str
    message: str
    content: str
    sender: str | None
    unread: int
    created_at: Micros
    recipient: str
    language: str | None
    shows_text: bool


class Claimed(Struct, frozen=True):
    """A delivery that `worker` holds until its lease ends, and nobody else does."""

    id: OutboxId
    worker: str
    attempt: int
    failures: int
    message_id: MessageId
    channel: ChannelKind
    host: str
    target: Target
    told: Told


class Claim(Struct, frozen=True):
    """Up to `most` deliveries, and of each host no more than `most_of_host` less those in `busy`."""

    worker: str
    now: Micros
    lease_until: Micros
    most: int
    most_of_host: int
    busy: dict[str, int]


class Settled(Struct, frozen=True):
    """What became of a try. `due_at` counts where it is waiting again."""

    state: State
    problem: str | None = None
    due_at: Micros = Micros(0)
    failed: bool = False
    forgets_target: bool = False


class Device(Struct, frozen=True):
    """One that a person is reached by. `last_sent_at`: when something was taken there last."""

    id: TargetId
    kind: ChannelKind
    label: str
    created_at: Micros
    last_sent_at: Micros | None


class Webhook(Struct, frozen=True):
    """Where an application hears what its users are to hear of. The secret is not told again."""

    url: str
    events: tuple[NoticeKind, ...]
    created_at: Micros
    last_sent_at: Micros | None


class Wishes(Struct, frozen=True):
    """What a person has settled. `shows_text`: what was written may stand in what reaches them."""

    shows_text: bool = False
    email: bool = False


class WishesChange(Struct, frozen=True):
    """`UNSET` stays as it is."""

    shows_text: bool | UnsetType = UNSET
    email: bool | UnsetType = UNSET


class Delivery(Struct, frozen=True):
    """A row of the outbox as an operator sees it: no text of anybody, and no address of a device. `channel` is None
    where it has not become a delivery. `sending`: somebody holds it just now."""

    id: OutboxId
    state: State
    kind: NoticeKind
    channel: ChannelKind | None
    host: str | None
    user_id: str
    user_name: str
    user_kind: UserKind
    conversation: str | None
    attempts: int
    failures: int
    problem: str | None
    sending: bool
    created_at: Micros
    due_at: Micros
    done_at: Micros | None


class Deliveries(Struct, frozen=True):
    """A page, newest first, and how many there are in all of each state."""

    rows: tuple[Delivery, ...]
    has_more: bool
    counts: dict[State, int]


class Looking(Protocol):
    """Who sees by themselves what happens."""

    async def is_looking(self, conversation_uuid: str, user: UserId, /) -> bool:
        """Whether the person has the conversation before them, on any worker."""
        ...


class Outbox(Protocol):
    """Rows are written in the transaction that gives the reason. Every method is one transaction."""

    async def due_notices(self, before: Micros, most: int) -> Sequence[DueNotice]:
        """Those that came by then and have become nothing yet, oldest first."""
        ...

    async def address(self, notice: OutboxId, due: Mapping[ChannelKind, Micros], now: Micros, *, looking: bool) -> int:
        """A delivery for each target of these kinds, due then, or brought up to date where one waits there already; how
        many. None where nobody needs to hear of it, or another worker is at it."""
        ...

    async def claim(self, claim: Claim) -> Sequence[Claimed]:
        """Deliveries that are due, and those whose holder's lease has ended. What need not be sent any more is settled
        on the way."""
        ...

    async def settle(self, claimed: Claimed, settled: Settled, now: Micros) -> bool:
        """False, with nothing changed, where it is not the worker's any more."""
        ...

    async def release_all(self, now: Micros) -> None:
        """Nobody else lives: whatever is held is due."""
        ...

    async def listed(self, state: State, *, limit: int, before: OutboxId | None) -> Deliveries: ...
    async def resend(self, id_: OutboxId, now: Micros) -> bool:
        """A dead one is due, with all its tries. False where it is none."""
        ...

    async def counts(self) -> dict[State, int]:
        """How many wait, and how many are dead."""
        ...

    async def remove_done(self, done_before: Micros) -> int:
        """So many at a time. Tells how many."""
        ...


class Targets(Protocol):
    """Where people are reached, and what they wish of that."""

    async def add(
        self, user_id: UserId, target: Target, host: str, label: str, now: Micros, most: int, sign_in: TokenId | None
    ) -> Device | None:
        """A device is one person's: whoever had it before is not reached there any more. It goes with the sign-in;
        None, and nothing is added, where that is over. Raises `TooManyTargets`."""
        ...

    async def listed(self, user_id: UserId) -> Sequence[Device]: ...
    async def remove(self, user_id: UserId, target_id: TargetId) -> bool: ...
    async def webhook(self, app_id: UserId) -> Webhook | None: ...
    async def put_webhook(
        self, app_id: UserId, url: str, secret: str, host: str, events: Sequence[NoticeKind], now: Micros
    ) -> Webhook:
        """In place of what there was."""
        ...

    async def remove_webhook(self, app_id: UserId) -> bool: ...
    async def wishes(self, user_id: UserId) -> Wishes: ...
    async def change_wishes(self, user_id: UserId, change: WishesChange, now: Micros) -> Wishes: ...
    async def vapid_key(self, new: str) -> str:
        """The private key of this installation for Web Push; `new`, where there was none."""
        ...
