"""People who talk to each other, in the store. Whoever is not in a conversation does not find it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import UNSET, Struct, UnsetType

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation, ConversationId, Message, MessageId, PresetId, Speaking
from palaver.chat.cursor import Mark
from palaver.chat.errors import RateLimited
from palaver.chat.ledger import Budgets
from palaver.chat.ports.turns import Begun
from palaver.chat.user import User, UserId

StatusWanted = Literal["active", "ended", "all"]


class Seat(Struct, frozen=True):
    """Who asks, as somebody who is in a conversation. `pairs_only`: one that knows no groups finds none."""

    user_id: UserId
    pairs_only: bool = False


class Member(Struct, frozen=True):
    """Somebody who is in it. `seen_at` is None where nobody knows, or is to know; `read_number`: of the last message
    that they have read, 0 before any."""

    user: User
    manages: bool
    joined_at: Micros
    seen_at: Micros | None
    shows_presence: bool
    read_number: int
    """The last message that this one has seen."""


class Written(Struct, frozen=True):
    """A message of a conversation of people, with who said it; nobody is left of who was erased, and a bot is nobody.
    What was removed has no words."""

    message: Message
    sender: User | None
    edited_at: Micros | None = None
    removed_at: Micros | None = None


class InvitedBot(Struct, frozen=True):
    preset_id: PresetId
    slug: str
    name: str


class Connection(Struct, frozen=True):
    """A conversation of people as one of them sees it. `members` came in this order, a pair's two as they were named
    when it began. `blocked`: of a pair, by whom it is seen."""

    conversation: Conversation
    members: Sequence[Member]
    unread: int
    muted: bool
    blocked: bool = False
    last: Written | None = None
    bot: InvitedBot | None = None


class NewSaid(Struct, frozen=True):
    """A person's message to people, on its way in."""

    seat: Seat
    conversation: str
    text: str
    token_count: int
    now: Micros
    client_message_id: str | None = None


class Spoken(Struct, frozen=True):
    """A message that was committed. `unread`: of all others who are in it, how much each has not read by now.
    `spared`: those of them who are not told of it, as they have muted it, or one of the two has blocked the other.
    `known`: it was said before, and nothing has changed."""

    conversation: Conversation
    written: Written
    mark: Mark
    unread: Mapping[UserId, int] = {}
    spared: Collection[UserId] = ()
    known: bool = False
    names_bot: bool = False
    """The bot that was invited is named in it."""


class Changed(Struct, frozen=True):
    """A conversation in which something is another now than was told: everybody looks anew. `told` are those whose
    lists it concerns, who have just left included; `stopped` the replies that ran or waited and are not wanted."""

    conversation: Conversation
    mark: Mark | None
    told: Collection[UserId] = ()
    stopped: Sequence[MessageId] = ()


class GroupChange(Struct, frozen=True):
    """`UNSET` stays as it is."""

    title: str | UnsetType = UNSET


class NewBot(Struct, frozen=True):
    """The preset whose bot is invited, as it is now."""

    preset_id: PresetId
    slug: str
    prompt: str
    speaking: Speaking


class BotAsked(Struct, frozen=True):
    """The bot is to answer a message in which somebody named it; `user_id`, who said it, pays."""

    conversation_id: ConversationId
    message_id: MessageId
    user_id: UserId
    now: Micros
    worker: str
    lease_until: Micros
    budgets: Budgets | None = None
    refusal: RateLimited | None = None
    """As `NewTurn.refusal`."""


class Blocked(Struct, frozen=True):
    user: User
    since: Micros


class Connections(Protocol):
    """Every method that takes a seat raises `NotFound` for who is not in the conversation."""

    # To look

    async def get(self, seat: Seat, conversation: str) -> Connection: ...
    async def list(
        self, seat: Seat, status: StatusWanted, *, limit: int, offset: int
    ) -> tuple[Sequence[Connection], bool]:
        """Newest activity first, and whether there are more."""
        ...

    async def unread_total(self, user_id: UserId) -> int:
        """Of all conversations of people that have not ended and are not muted."""
        ...

    async def messages(
        self, seat: Seat, conversation: str, *, before: str | None, limit: int
    ) -> tuple[Sequence[Written], bool]:
        """The newest before that message, oldest first, and whether there are more. Raises `NotFound` for another
        one's message, too."""
        ...

    async def name_senders(self, conversation: Conversation, messages: Sequence[Message]) -> Sequence[Message]:
        """With the ids of who said them."""
        ...

    async def check(self, user_id: UserId, conversation: str) -> None:
        """Returns for who is in it."""
        ...

    # To begin and to end. Users who are not stored yet are stored with it.

    async def find_or_make_pair(
        self, first: User, second: User, asks: UserId, uuid: str, now: Micros
    ) -> tuple[Connection, bool]:
        """The one that is active, as `asks` sees it, and whether it was made just now. Raises `Unreachable`."""
        ...

    async def make_group(self, maker: User, others: Sequence[User], title: str, uuid: str, now: Micros) -> Connection:
        """Raises `Unreachable` where one of them and its maker have blocked each other."""
        ...

    async def end(self, seat: Seat, conversation: str, now: Micros) -> Changed:
        """A pair takes no more messages; without a mark where it had ended before. Raises `NotFound` for a group."""
        ...

    # To talk

    async def check_open(self, seat: Seat, conversation: str) -> None:
        """Returns where this one may say something. Raises `Ended` or `Unreachable`."""
        ...

    async def say(self, said: NewSaid) -> Spoken:
        """Raises `Ended`, `Unreachable` or `Conflict`."""
        ...

    async def edit(
        self, seat: Seat, conversation: str, message: str, text: str, token_count: int, now: Micros
    ) -> tuple[Written, Changed]:
        """One's own message. Raises `Ended` and `Unreachable`."""
        ...

    async def remove(self, seat: Seat, conversation: str, message: str, now: Micros) -> tuple[Written, Changed]:
        """One's own message, for all: no word of it is kept."""
        ...

    async def read_up_to(self, seat: Seat, conversation: str, message: str, now: Micros) -> tuple[int, Mark | None]:
        """How much is not read by now; no mark where it had been read further already, or the two of a pair cannot
        reach each other."""
        ...

    # Groups

    async def change(self, seat: Seat, conversation: str, change: GroupChange, now: Micros) -> Changed:
        """Raises `NotManager`; a pair has no title (`NotFound`)."""
        ...

    async def invite(self, seat: Seat, conversation: str, others: Sequence[User], now: Micros, most: int) -> Changed:
        """Raises `NotManager`, `Unreachable`, and `Invalid` beyond `most` members."""
        ...

    async def leave(self, seat: Seat, conversation: str, who: UserId, now: Micros) -> Changed:
        """`who` is in it no more: by themselves, or removed by who manages it. Raises `NotManager`. Where nobody who is
        left manages it, the one who is there for longest does; where nobody is left at all, it has ended."""
        ...

    async def let_manage(self, seat: Seat, conversation: str, who: UserId, *, manages: bool) -> Changed:
        """Or no more. Raises `NotManager`, and `Invalid` where nobody would be left who does."""
        ...

    async def mute(self, seat: Seat, conversation: str, *, muted: bool) -> None: ...
    async def invite_bot(self, seat: Seat, conversation: str, bot: NewBot | None, now: Micros) -> Changed:
        """None sends it away. Raises `NotManager`, and `Invalid` for a pair: there each side is a person."""
        ...

    async def ask_bot(self, asked: BotAsked) -> Begun:
        """Commits its reply to come. Raises `OverBudget` or the `refusal`, and `NotFound` where it was sent away
        meanwhile or has answered."""
        ...

    # Blocks and presence

    async def block(self, blocker: UserId, blocked: UserId, now: Micros) -> None: ...
    async def unblock(self, blocker: UserId, blocked: UserId) -> None: ...
    async def blocks(self, user_id: UserId) -> Sequence[Blocked]: ...
    async def keep_seen(self, seen: Sequence[tuple[UserId, Micros]]) -> None: ...
    async def shows_presence(self, user_id: UserId) -> bool: ...
    async def show_presence(self, user_id: UserId, *, shown: bool) -> None: ...
    async def find_app_user(self, app_id: UserId, name: str) -> User | None:
        """One that the application has named before."""
        ...
