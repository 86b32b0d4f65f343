"""The entries of one list, brought in order, however many there are: beyond some megabytes they wait in a file."""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Generic, Self, TypeVar

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

MOST_IN_MEMORY = 4_000_000

# What an entry takes beside its texts, roughly.
AROUND = 400

Record = TypeVar("Record", bound=Struct)

# Where an entry stands among the others: numbers come before texts.
Place = int | str

LENGTH_BYTES = 4
OFFSET_BITS = 40


class Spool(Generic[Record]):
    """Entries are given back in the order of their places, and those of one place as they came."""

    def __init__(self, record: type[Record]) -> None:
        self._memory: list[tuple[Place, Record]] = []
        self._weight = 0
        self._file: IO[bytes] | None = None
        self._encode = Encoder().encode
        self._decode = Decoder(tuple[Place, record]).decode  # type: ignore[valid-type]
        self._last: Place | None = None
        self._is_in_order = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, place: Place, record: Record, weight: int) -> None:
        """`weight` is the length of its texts."""
        if self._last is not None and _is_before(place, self._last):
            self._is_in_order = False
        self._last = place
        self._memory.append((place, record))
        self._weight += weight + AROUND
        if self._weight > MOST_IN_MEMORY:
            self._put_away()

    def __iter__(self) -> Iterator[tuple[Place, Record]]:
        if self._file is None:
            yield from self._memory if self._is_in_order else sorted(self._memory, key=_to_order)
            return
        self._put_away()
        if self._is_in_order:
            yield from (entry for _, entry in self._read_all(self._file))
        else:
            yield from self._read_in_order(self._file)

    def _put_away(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed at the end of its own `with`)
        self._file.seek(0, 2)
        for entry in self._memory:
            data = self._encode(entry)
            self._file.write(len(data).to_bytes(LENGTH_BYTES) + data)
        self._memory.clear()
        self._weight = 0

    def _read_all(self, file: IO[bytes]) -> Iterator[tuple[int, tuple[Place, Record]]]:
        file.seek(0)
        offset = 0
        while length := file.read(LENGTH_BYTES):
            data = file.read(int.from_bytes(length))
            yield offset, self._decode(data)
            offset += LENGTH_BYTES + len(data)

    def _read_in_order(self, file: IO[bytes]) -> Iterator[tuple[Place, Record]]:
        # A number and where it lies in one number: a pair would take three times as much memory.
        numbers: list[int] = []
        texts: list[tuple[str, int]] = []
        for offset, (place, _) in self._read_all(file):
            if isinstance(place, int):
                numbers.append(place << OFFSET_BITS | offset)
            else:
                texts.append((place, offset))
        numbers.sort()
        texts.sort()
        for number in numbers:
            yield self._read_at(file, number & (1 << OFFSET_BITS) - 1)
        for _, offset in texts:
            yield self._read_at(file, offset)

    def _read_at(self, file: IO[bytes], offset: int) -> tuple[Place, Record]:
        file.seek(offset)
        length = int.from_bytes(file.read(LENGTH_BYTES))
        return self._decode(file.read(length))


def _is_before(place: Place, other: Place) -> bool:
    return _to_order((place, None)) < _to_order((other, None))


def _to_order(entry: tuple[Place, object]) -> tuple[bool, Place]:
    return isinstance(entry[0], str), entry[0]
