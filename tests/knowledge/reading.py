"""Documents as tests have them read: by a real child, from bytes."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

from palaver.chat.knowledge import Cut, Problem, Sizes
from palaver.knowledge.orders import Limits, Order
from palaver.knowledge.reading import read_document
from palaver.knowledge.unreadable import Unreadable

SIZES = Sizes()

# Enough for whatever is no attack, and little enough for a suite. Both times are only to end what would never end,
# before the suite itself is given up: a core that others use takes ten times as long for two seconds' work, and the
# clock on the wall counts what other processes take as well.
LIMITS = Limits(cpu_seconds=60, memory_bytes=512 * 1024 * 1024, passages=3_000, wall_seconds=240)


class Read(NamedTuple):
    cuts: list[Cut]

    @property
    def text(self) -> str:
        return to_text(self.cuts)

    def under(self, heading: str) -> str:
        return " ".join(cut.text.strip() for cut in self.cuts if cut.heading == heading)


def to_text(cuts: Sequence[Cut]) -> str:
    """The passages without their overlaps."""
    text = ""
    for cut in cuts:
        text += cut.text[len(text) - cut.start :]
    return text


async def read(name: str, data: bytes, *, media_type: str = "", sizes: Sizes = SIZES, limits: Limits = LIMITS) -> Read:
    """Raises `Unreadable`."""
    cuts: list[Cut] = []

    async def keep(some: Sequence[Cut]) -> None:
        cuts.extend(some)

    await read_document(Order(name, media_type, len(data), sizes, limits), in_parts(data), keep)
    return Read(cuts)


async def in_parts(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for place in range(0, len(data), size):
        yield data[place : place + size]


async def problem_of(name: str, data: bytes, *, limits: Limits = LIMITS) -> Problem | None:
    """Why it cannot be read; None where it can."""
    try:
        await read(name, data, limits=limits)
    except Unreadable as error:
        return error.problem
    return None


def command_of(process: str) -> str:
    """What it runs. One that has just become another has its arguments a moment later; one that has ended has none, and
    may go while it is looked at."""
    command = Path(f"/proc/{process}/cmdline")
    try:
        while not (arguments := command.read_bytes()) and not is_zombie(process):
            pass
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return arguments.decode()


def is_zombie(process: str) -> bool:
    return ") Z " in Path(f"/proc/{process}/stat").read_text()
