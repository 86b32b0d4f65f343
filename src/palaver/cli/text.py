"""What commands read and write as text: arguments without control characters, columns, times."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from palaver.chat.clock import SECOND, Micros
from palaver.kinds import UNPRINTABLE


class Line(click.ParamType[str]):
    """Text on one line. A byte that is no UTF-8 arrives as a lone surrogate, which no database takes."""

    name = "text"

    def __init__(self, most: int) -> None:
        self._most = most

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if UNPRINTABLE.search(value):
            self.fail("It holds a control character, or bytes that are no UTF-8.", param, ctx)
        if len(value) > self._most:
            self.fail(f"It has more than {self._most} characters.", param, ctx)
        return value


def to_columns(*rows: Sequence[str]) -> str:
    """The rows below each other, the first of them as headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def to_time(micros: Micros | None) -> str:
    """To the minute, in UTC; a stroke for never."""
    if micros is None:
        return "-"
    return f"{datetime.fromtimestamp(micros / SECOND, UTC):%Y-%m-%d %H:%M}"
