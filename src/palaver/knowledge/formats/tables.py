"""Rows of cells: CSV, with whatever divides its cells."""

import csv
from collections.abc import Iterator, Sequence

from palaver.knowledge.blocks import Block
from palaver.knowledge.formats.encoding import to_lines
from palaver.knowledge.unreadable import Unreadable

BETWEEN_CELLS = " | "

_DIVIDERS = ",;\t|"
_LOOKED_AT_LINES = 10
_LONGEST_CELL = 1_000_000
MOST_CELLS = 16_384


def read_csv(data: bytes) -> Iterator[Block]:
    """The first row with anything in it names the columns."""
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.reader(to_lines(data), delimiter=_find_divider(data))
    head = True
    try:
        for cells in rows:
            text = to_row(cells)
            if text:
                yield Block("row", text, head=head)
                head = False
    except csv.Error as error:
        raise Unreadable("broken", str(error)) from error


def to_row(cells: Sequence[str]) -> str:
    """The cells up to the last one that holds something; none where none does."""
    if len(cells) > MOST_CELLS:
        raise Unreadable("too_large", "cells of a row")
    last = len(cells)
    while last and not cells[last - 1].strip():
        last -= 1
    return BETWEEN_CELLS.join(" ".join(cell.split()) for cell in cells[:last])


def _find_divider(data: bytes) -> str:
    """The one that most of the first lines have, and have equally often."""
    lines = [line for line, _ in zip(to_lines(data), range(_LOOKED_AT_LINES), strict=False)]
    return max(_DIVIDERS, key=lambda divider: _likelihood(divider, lines))


def _likelihood(divider: str, lines: Sequence[str]) -> tuple[int, int]:
    counts = [line.count(divider) for line in lines if line.strip()]
    if not counts or not counts[0]:
        return (0, 0)
    return (sum(count == counts[0] for count in counts), counts[0])
