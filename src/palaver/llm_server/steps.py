"""What an answer does on the wire, step by step.

An answer is a generator of steps: a fault is written down in the order in which it happens, and the connection plays it
with plain timers, so that a slow answer costs no task.
"""

import asyncio
from collections.abc import Iterator
from enum import Enum

import msgspec


class Write(msgspec.Struct, frozen=True):
    """Bytes to send. Neighbours without a pause between them leave in one write."""

    data: bytes
    pieces: int = 0


class Wait(msgspec.Struct, frozen=True):
    """Send what was written, then rest. Rests add up from the answer's start, so that a late timer does not shift those
    that follow."""

    seconds: float


class Until(msgspec.Struct, frozen=True):
    """Go on when the future is done."""

    future: asyncio.Future[None]


class End(Enum):
    """How an answer ends that does not end as it should."""

    FAULTY = "the answer is over; the connection stays usable"
    HANG = "nothing more; the connection stays open"
    CLOSE = "the connection is closed in good order"
    RESET = "the connection is reset"


Step = Write | Wait | Until | End
Steps = Iterator[Step]

# Long enough for a reader on the same machine to have taken what was written before, so that it sees two arrivals.
ARRIVAL = Wait(0.01)
