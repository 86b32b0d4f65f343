"""What happens in a conversation and those present hear of.

Lasting events are numbered without a gap within their conversation, in the transaction that makes them true; they can
be told again from the store at any time. The others are told to whoever listens just now, and never again. All of them
travel to other workers over the bus, in the form of `encode_notice`.
"""

from msgspec import Struct, msgpack

from palaver.chat.clock import Micros
from palaver.chat.conversation import Message, MessageId
from palaver.chat.cursor import Mark


class MessageSaid(Struct, frozen=True, tag="said"):
    """A person's message, committed. `replaces` is the message that it is another wording of."""

    mark: Mark
    message: Message
    replaces: str | None = None


class ReplyStarted(Struct, frozen=True, tag="started"):
    """The bot is asked. `worker` makes the reply; `replaces` is the reply beside which this one is made."""

    mark: Mark
    message: Message
    worker: str
    replaces: str | None = None


class ReplyEnded(Struct, frozen=True, tag="ended"):
    """The reply as it is kept, with its whole text. It has two numbers: the reply's end, and that nobody types now."""

    mark: Mark
    message: Message


class MessageRead(Struct, frozen=True, tag="read"):
    mark: Mark
    message_uuid: str
    user: str


class Turned(Struct, frozen=True, tag="turned"):
    """Another branch is in view, or what happened cannot be told as a story: whoever listens has to look anew."""

    mark: Mark


Lasting = MessageSaid | ReplyStarted | ReplyEnded | MessageRead | Turned


class TextAdded(Struct, frozen=True, tag="text", omit_defaults=True):
    """What was said of a reply from `start` on, for workers that asked for it.

    `worker` has told all that it knows, as everybody was asked.
    """

    reply_id: MessageId
    attempt: int
    start: int
    text: str
    worker: str = ""


class Typing(Struct, frozen=True, tag="typing"):
    user: str
    on: bool


class Dropped(Struct, frozen=True, tag="dropped"):
    """Messages that waited for their turn are not answered: the conversation has ended, or they left the view."""

    replies: tuple[MessageId, ...]
    ended: bool
    taken_back: bool = False
    """Somebody wanted it so."""


class Gone(Struct, frozen=True, tag="gone"):
    """The conversation is not to be found any more."""


Passing = TextAdded | Typing | Dropped | Gone


class TextWanted(Struct, frozen=True, tag="wanted"):
    """Somebody in `conversation` listens on another worker: what is said after `position` is to be published there."""

    conversation: str
    reply_id: MessageId
    attempt: int
    position: int


class StopWanted(Struct, frozen=True, tag="stop"):
    reply_id: MessageId


class ListChanged(Struct, frozen=True, tag="list"):
    """Something in a person's list of conversations is another now."""


class ReplyUnheard(Struct, frozen=True, tag="unheard"):
    """A reply ended while nobody had its conversation open."""

    conversation: str
    message: Message


class PersonWrote(Struct, frozen=True, tag="wrote"):
    """Somebody wrote to a person. `unread` is how much of the conversation that person has not read by now."""

    conversation: str
    message_uuid: str
    sender: str
    sender_name: str
    preview: str
    unread: int
    created_at: Micros


class PersonRead(Struct, frozen=True, tag="read_on"):
    """A person has read on, on whatever device. `unread` is what they have not read by now."""

    conversation: str
    message_uuid: str
    unread: int


class AccessChanged(Struct, frozen=True, tag="access"):
    """A token was revoked, a user disabled or erased: whoever holds open streams looks now."""


AmongPeople = PersonWrote | PersonRead
Notice = Lasting | Passing | TextWanted | StopWanted | ListChanged | ReplyUnheard | AmongPeople | AccessChanged

encode_notice = msgpack.Encoder().encode
decode_notice = msgpack.Decoder(Notice).decode


def first_number(event: Lasting) -> int:
    """The number under which it begins to be told; the last one is that of its mark."""
    return event.mark.event - 1 if isinstance(event, ReplyEnded) else event.mark.event


def open_channel(conversation: str) -> str:
    """Where those hear of it who have the conversation open."""
    return f"sockets:{conversation}"


def looking_channel(conversation: str, user: str) -> str:
    """Where those hear of it who show that conversation of people to that user."""
    return f"looking:{conversation}:{user}"


def conversation_channel(conversation: str) -> str:
    return f"conversation:{conversation}"


def user_channel(user: str) -> str:
    return f"user:{user}"


def worker_channel(worker: str) -> str:
    return f"worker:{worker}"


ACCESS_CHANNEL = "access"
