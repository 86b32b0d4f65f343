"""Where a process keeps its numbers: a row of floats and their names, in memory that others can read, and outlives it.

A process counts into its board as into a list. With several workers the board lies in a file, so that whichever worker
is asked can tell of all, and what a worker had counted when it was killed is not lost.
"""

import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path

# A series is a name of some 70 bytes and a float. A server that has answered every operation in every way has 1,500.
CELLS = 4096
NAMES_BYTES = 384 * 1024

_USED = struct.Struct("Q")
_VALUES_AT = _USED.size + NAMES_BYTES
_BYTES = _VALUES_AT + 8 * CELLS

# The last cells have no names: what finds no place any more counts into them, for nobody.
_SPARE = 64


class Board:
    def __init__(self) -> None:
        self._memory = memoryview(bytearray(_VALUES_AT))
        # As long as nobody else reads them: to count in a list takes a seventh of the time.
        self.cells: list[float] | memoryview[float] = [0.0] * CELLS
        self._count = 0
        self.file: Path | None = None
        """Where it lies; None where nobody else reads it."""

    def add(self, names: Sequence[str]) -> int:
        """Places for these series, side by side: the cell of the first."""
        (used,) = _USED.unpack_from(self._memory)
        new = "".join(f"{name}\n" for name in names).encode()
        if self._count + len(names) > CELLS - _SPARE or used + len(new) > NAMES_BYTES:
            return CELLS - _SPARE
        start = _USED.size + used
        self._memory[start : start + len(new)] = new
        # Last: whoever reads meanwhile sees whole names or none.
        _USED.pack_into(self._memory, 0, used + len(new))
        at, self._count = self._count, self._count + len(names)
        return at

    def keep_in(self, path: Path) -> None:
        """From now on it lies in a new file there, with all that it has so far. Raises `OSError`."""
        with path.open("xb+") as file:
            # All of it at once: where memory ran out later, counting would kill the process.
            os.posix_fallocate(file.fileno(), 0, _BYTES)
            memory = memoryview(mmap.mmap(file.fileno(), _BYTES))
        cells = memory[_VALUES_AT:].cast("d")
        for at, value in enumerate(self.cells):
            cells[at] = value
        # The length last, as above.
        memory[_USED.size : _VALUES_AT] = self._memory[_USED.size : _VALUES_AT]
        memory[: _USED.size] = self._memory[: _USED.size]
        self._memory, self.cells, self.file = memory, cells, path

    def read(self) -> dict[str, float]:
        return dict(zip(_read_names(self._memory), self.cells, strict=False))


def read_board(path: Path) -> dict[str, float]:
    """The series in a board's file, in the order in which they came to be. Raises `OSError`."""
    data = path.read_bytes()
    # A worker that is only beginning has a file that is not whole yet.
    if len(data) != _BYTES:
        return {}
    memory = memoryview(data)
    return dict(zip(_read_names(memory), memory[_VALUES_AT:].cast("d"), strict=False))


def _read_names(memory: memoryview) -> list[str]:
    (used,) = _USED.unpack_from(memory)
    return bytes(memory[_USED.size : _USED.size + used]).decode().splitlines()


# This process's own.
board = Board()
