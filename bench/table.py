"""The table that a benchmark prints: what, the bar, a column for each system, and whether ours are within the bar."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

K = TypeVar("K", bound=str)


class Row(Struct, Generic[K], frozen=True):
    """Figures of one kind, by system; `most` is the bar of design.md for ours, or `least`."""

    what: str
    figures: Mapping[K, float]
    most: float | None = None
    digits: int = 2
    database: float | None = None
    least: float | None = None

    @property
    def bar(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}"
        return "" if self.most is None else f"≤ {self.most:g}"

    def is_met(self, system: K) -> bool:
        """Where there is a bar."""
        # As shown: 0.8 is not missed by what rounding hides.
        shown = round(self.figures[system], self.digits)
        return (self.most is None or shown <= self.most) and (self.least is None or shown >= self.least)


class Table(Generic[K]):
    """`titles` are its columns, of which `ours` are judged; `apart` names what comes on top of theirs."""

    def __init__(self, titles: Mapping[K, str], ours: Sequence[K], *, apart: str, notes: str) -> None:
        self.titles = titles
        self.ours = ours
        self.apart = apart
        self.notes = notes
        self.rows: list[Row[K]] = []

    def add(self, row: Row[K]) -> None:
        self.rows.append(row)

    def to_markdown(self) -> str:
        titles = ["what", "bar", *self.titles.values(), self.apart]
        lines = [
            _to_line(titles),
            _to_line(["---"] * len(titles)),
            *(_to_line(self._to_cells(row)) for row in self.rows),
        ]
        judged = [row.is_met(kind) for row in self.rows for kind in row.figures if self.is_judged(row, kind)]
        verdict = f"{sum(judged)} of {len(judged)} bars are met."
        return "\n".join([*lines, "", verdict, "", self.notes])

    def _to_cells(self, row: Row[K]) -> list[str]:
        own = "" if row.database is None else f"{row.database:.{row.digits}f}"
        return [row.what, row.bar, *(self._to_cell(row, kind) for kind in self.titles), own]

    def _to_cell(self, row: Row[K], kind: K) -> str:
        if kind not in row.figures:
            return "not measured"
        shown = f"{row.figures[kind]:.{row.digits}f}"
        if not self.is_judged(row, kind):
            return shown
        return f"{shown} met" if row.is_met(kind) else f"**{shown} missed**"

    def is_judged(self, row: Row[K], kind: K) -> bool:
        return bool(row.bar) and kind in self.ours


def _to_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
