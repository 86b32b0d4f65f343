"""The table that a benchmark prints: what, the bar, a column for each system, and whether ours are within the bar."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from bench.systems import Kind

TITLES: Mapping[Kind, str] = {
    "floor": "floor",
    "sqlite": "ours, SQLite",
    "postgres": "ours, PostgreSQL",
    "baseline": "baseline",
}
OURS: Sequence[Kind] = ("sqlite", "postgres")

NOTES = """\
CPU is user and system time of the server's process, by the scheduler's count; "PostgreSQL's own" comes on top of that
of ours. All are medians. Ours, floor and baseline send the model at most the last 20 messages; in the rows on long
conversations floor and baseline send all, as most apps do. Those rows, and what is written, count PostgreSQL too. Ours
asks the model for a stream, floor and baseline for one answer. Written to disk is write_bytes of /proc/PID/io, and for
PostgreSQL wchar. Waiting times are noise on a busy machine."""


class Row(Struct, frozen=True):
    """Figures of one kind, by system; `most` is the bar of design.md for ours."""

    what: str
    figures: Mapping[Kind, float]
    most: float | None = None
    digits: int = 2
    database: float | None = None


class Table:
    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def to_markdown(self) -> str:
        titles = ["what", "bar", *(TITLES[kind] for kind in TITLES), "PostgreSQL's own"]
        lines = [
            _to_line(titles),
            _to_line(["---"] * len(titles)),
            *(_to_line(self._to_cells(row)) for row in self.rows),
        ]
        judged = [_is_met(row, kind) for row in self.rows if row.most is not None for kind in OURS]
        verdict = f"{sum(judged)} of {len(judged)} bars are met."
        return "\n".join([*lines, "", verdict, "", NOTES])

    def _to_cells(self, row: Row) -> list[str]:
        bar = "" if row.most is None else f"≤ {row.most:g}"
        cells = [_to_cell(row, kind) if kind in self._kinds else "not measured" for kind in TITLES]
        own = "" if row.database is None else f"{row.database:.{row.digits}f}"
        return [row.what, bar, *cells, own]


def _to_cell(row: Row, kind: Kind) -> str:
    shown = f"{row.figures[kind]:.{row.digits}f}"
    if row.most is None or kind not in OURS:
        return shown
    return f"{shown} met" if _is_met(row, kind) else f"**{shown} missed**"


def _is_met(row: Row, kind: Kind) -> bool:
    # As shown: 0.8 is not missed by what rounding hides.
    return row.most is not None and round(row.figures[kind], row.digits) <= row.most


def _to_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
