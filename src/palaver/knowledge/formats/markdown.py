"""Markdown, as far as it says what is a heading, a table and code. All else is a paragraph as it was written."""

import re
from collections.abc import Iterator

from palaver.knowledge.blocks import Block
from palaver.knowledge.formats.encoding import to_lines
from palaver.knowledge.formats.text import LONGEST

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
_FENCE = re.compile(r"\s{0,10}(`{3,}|~{3,})")
_RULE_OF_A_TABLE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")


def read_markdown(data: bytes) -> Iterator[Block]:
    reader = _Reader()
    for line in to_lines(data):
        yield from reader.feed(line)
    yield from reader.finish()


class _Reader:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0
        self._fence = ""
        self._in_table = False

    def feed(self, line: str) -> Iterator[Block]:
        if self._fence:
            yield from self._feed_code(line)
        elif (fence := _FENCE.match(line)) is not None:
            yield from self._end_paragraph()
            self._fence = fence[1]
        elif (heading := _HEADING.match(line.rstrip("\n"))) is not None:
            yield from self._end_paragraph()
            yield Block("heading", heading[2], len(heading[1]))
        elif self._in_table and "|" in line:
            yield Block("row", to_cells(line))
        elif len(self._lines) == 1 and "|" in self._lines[0] and "|" in line and _RULE_OF_A_TABLE.match(line):
            yield Block("row", to_cells(self._lines[0]), head=True)
            self._forget()
            self._in_table = True
        elif len(self._lines) == 1 and (under := _UNDERLINE.match(line)) is not None:
            yield Block("heading", self._lines[0], 1 if under[1][0] == "=" else 2)
            self._forget()
        else:
            yield from self._feed_paragraph(line)

    def finish(self) -> Iterator[Block]:
        if self._fence:
            yield from self._end_code()
        yield from self._end_paragraph()

    def _feed_paragraph(self, line: str) -> Iterator[Block]:
        self._in_table = False
        if not line.strip() or self._size > LONGEST:
            yield from self._end_paragraph()
        if line.strip():
            self._keep(line)

    def _feed_code(self, line: str) -> Iterator[Block]:
        if line.strip().startswith(self._fence) and not line.strip().strip(self._fence[0]):
            yield from self._end_code()
            self._fence = ""
            return
        if self._size > LONGEST:
            yield from self._end_code()
        self._keep(line)

    def _end_paragraph(self) -> Iterator[Block]:
        self._in_table = False
        if self._lines:
            yield Block("paragraph", "".join(self._lines))
        self._forget()

    def _end_code(self) -> Iterator[Block]:
        if self._lines:
            yield Block("code", "".join(self._lines))
        self._forget()

    def _keep(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)

    def _forget(self) -> None:
        self._lines, self._size = [], 0


def to_cells(line: str) -> str:
    return " | ".join(cell.strip() for cell in line.strip().strip("|").split("|"))
