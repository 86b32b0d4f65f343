"""What goes to the child that reads a document, and what comes back: lines of JSON.

First the order, on one line, then the document's bytes. Back come its passages, and last how it ended; of a child that
was ended by its limits or broke down, that line is missing.
"""

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from palaver.chat.knowledge import Cut, Problem, Sizes
from palaver.knowledge.cutting import LONGEST_PATH

# Of one passage as it comes back: up to four bytes a character, and as much again for what JSON writes differently.
LONGEST_LINE = 1024 * 1024


# Text takes 0.2 s a megabyte. DOCX that is packed tightly is slowest: 80 MB of XML, more than a small file may hold,
# took 29 s with all that the database did.
SECONDS_OF_ANY = 20
BYTES_A_SECOND = 100_000


class Limits(Struct, frozen=True):
    """What reading one document may take. The child holds itself to all but the last; `wall_seconds` are its
    parent's."""

    cpu_seconds: int = 120
    memory_bytes: int = 1024 * 1024 * 1024
    passages: int = 200_000
    wall_seconds: float = 300.0

    def for_size(self, size: int) -> "Limits":
        """The same for a document of so many bytes: a small one that takes long is one that was made to."""
        return replace(self, cpu_seconds=min(self.cpu_seconds, SECONDS_OF_ANY + size // BYTES_A_SECOND))


class Order(Struct, frozen=True):
    name: str
    media_type: str
    size: int
    sizes: Sizes
    limits: Limits


class Part(Struct, frozen=True, tag="cut"):
    cut: Cut


class End(Struct, frozen=True, tag="end"):
    """`problem` is None where all was read. `why` is for the log, in words of ours or the name of an error."""

    problem: Problem | None = None
    why: str = ""


_ENCODER = msgspec.json.Encoder()
_ORDERS = msgspec.json.Decoder(Order)
_SAID = msgspec.json.Decoder(Part | End)


def encode(said: Order | Part | End) -> bytes:
    return _ENCODER.encode(said) + b"\n"


def decode_order(line: bytes) -> Order:
    return _ORDERS.decode(line)


def decode_said(line: bytes) -> Part | End:
    """Raises `ValueError` for what no child of ours says."""
    said: Part | End = _SAID.decode(line)
    return said


def check_cut(cut: Cut, before: Cut | None, longest: int) -> None:
    """Raises `ValueError` for a passage that cannot be the next one: whatever the child became while it read, this is
    all that it can say."""
    number, end = (0, 0) if before is None else (before.number + 1, before.end)
    if cut.number != number or not 0 <= cut.start <= end < cut.end or (before is None and cut.start):
        raise ValueError("a passage that is not the next one")
    if before is not None and cut.start < before.start:
        raise ValueError("a passage that goes back")
    if len(cut.text) != cut.end - cut.start or len(cut.text) > longest:
        raise ValueError("a passage of another length")
    if len(cut.heading) > LONGEST_PATH or "\x00" in cut.text or "\x00" in cut.heading:
        raise ValueError("a passage that cannot be kept")
    if cut.page is not None and not 0 < cut.page < 2**31:
        raise ValueError("a page that is none")
