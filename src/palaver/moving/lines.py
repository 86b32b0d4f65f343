"""`palaver export FILE` and `palaver import FILE`: everything of this server, or of one person, as lines of JSON.

The first line says what it is, the last one how many stand between them: so that a file which is not whole is known.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import msgspec

from palaver.chat.clock import Clock
from palaver.chat.moved import Put
from palaver.chat.ports.moving import ReadingIn, WritingOut
from palaver.chat.user import UserId
from palaver.moving.report import Report

VERSION = 1
FIRST, LAST = "palaver", "end"

LINES_AT_ONCE = 500
BYTES_AT_ONCE = 4_000_000

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(dict[str, Any]).decode


class NotOurs(Exception):
    """The file is no export of Palaver that can be brought in."""


async def write_lines(
    out: WritingOut, file: BinaryIO, whose: UserId | None, *, with_secrets: bool, written: Callable[[], None]
) -> int:
    """Gives how many there are."""
    first = {
        "kind": FIRST,
        "version": VERSION,
        "of": "everything" if whose is None else "one person",
        "with_secrets": with_secrets,
    }
    file.write(encode(first) + b"\n")
    count = 0
    async for line in out.lines(whose, with_secrets=with_secrets):
        file.write(encode(line) + b"\n")
        count += 1
        written()
    file.write(encode({"kind": LAST, "lines": count}) + b"\n")
    return count


def check_whole(file: BinaryIO) -> None:
    """Raises `NotOurs`."""
    file.seek(0)
    first = _read(file.readline())
    if first.get("kind") != FIRST:
        raise NotOurs("it does not begin as what `palaver export` writes")
    if first.get("version") != VERSION:
        raise NotOurs(f"it is of version {first.get('version')}, and this Palaver knows version {VERSION}")
    count, line = -1, b""
    while following := file.readline():
        count, line = count + 1, following
    last = _read(line)
    if last.get("kind") != LAST or last.get("lines") != count:
        raise NotOurs("its end is missing")


def _read(line: bytes) -> Mapping[str, Any]:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


class LinesImport:
    def __init__(self, reading: ReadingIn, clock: Clock, report: Report) -> None:
        self._reading = reading
        self._clock = clock
        self._report = report

    async def run(self, file: BinaryIO) -> None:
        """Raises `NotOurs` before anything is brought."""
        check_whole(file)
        file.seek(0)
        file.readline()
        waiting: list[tuple[int, Mapping[str, Any]]] = []
        weight = 0
        for number, line in _number(file):
            read = _read(line)
            if read.get("kind") == LAST:
                continue
            if not isinstance(read.get("kind"), str):
                self._report.skip("line", f"line {number}", "it is no line of an export")
                continue
            waiting.append((number, read))
            weight += len(line)
            if len(waiting) >= LINES_AT_ONCE or weight >= BYTES_AT_ONCE:
                await self._put(waiting)
                waiting, weight = [], 0
        await self._put(waiting)

    async def _put(self, waiting: list[tuple[int, Mapping[str, Any]]]) -> None:
        if not waiting:
            return
        told = await self._reading.put([line for _, line in waiting], self._clock.now())
        for (number, line), put in zip(waiting, told, strict=True):
            self._count(line["kind"], f"line {number}", put)

    def _count(self, kind: str, path: str, put: Put) -> None:
        if put.refused is not None:
            self._report.skip(kind, path, put.refused)
            return
        (self._report.added if put.is_new else self._report.unchanged)[kind] += 1
        if put.note is not None:
            self._report.note(path, put.note)


def _number(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 1
    while line := file.readline():
        number += 1
        yield number, line
