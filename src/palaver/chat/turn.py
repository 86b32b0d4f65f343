"""What becomes of a message on its way in: the decision alone, so that every store decides alike."""

import struct
import uuid
from random import getrandbits
from typing import Literal

from palaver.chat.clock import Micros
from palaver.chat.conversation import Status, WhenBusy
from palaver.chat.errors import Busy, Conflict, Ended

Decision = Literal["start", "queue", "interrupt", "known", "again"]


def decide_new(*, ended: bool, open_replies: int, when_busy: WhenBusy) -> Decision:
    """For a message not said before. Raises `Ended` or `Busy`."""
    if ended:
        raise Ended
    if not open_replies:
        return "start"
    if when_busy == "reject":
        raise Busy
    return "queue" if when_busy == "queue" else "interrupt"


def decide_known(*, same_text: bool, reply: Status, ended: bool) -> Decision:
    """For a message whose client id was said before. Raises `Conflict` or `Ended`.

    `again`: the bot had failed or broken off, and is asked once more for the same message.
    """
    if not same_text:
        raise Conflict
    if reply not in ("failed", "interrupted"):
        return "known"
    if ended:
        raise Ended
    return "again"


def make_message_uuid(now: Micros, number: int) -> str:
    """A UUIDv7 that carries the message's number in its conversation in its last 30 bits.

    So a message is found by its UUID through the index that orders the conversation; an index of its own would be one
    more page written for each message.
    """
    milliseconds = now // 1000
    random = getrandbits(44)
    high = (milliseconds & (1 << 48) - 1) << 16 | 0x7000 | random & 0xFFF
    low = 0b10 << 62 | (random >> 12 & 0xFFFFFFFF) << 30 | number & 0x3FFFFFFF
    return str(uuid.UUID(bytes=struct.pack(">QQ", high, low)))


def number_in(message_uuid: str) -> int | None:
    """The number that `make_message_uuid` put in; None for what is no UUID. The caller compares the whole id."""
    try:
        return uuid.UUID(message_uuid).int & 0x3FFFFFFF
    except ValueError:
        return None
