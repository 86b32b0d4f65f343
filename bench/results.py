"""What `make bench-all` found, as lines of JSON: one for each table, with where and when, and one a row."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.table import Row, Table

FILE = Path(__file__).parents[1] / "docs" / "performance.json"


class Part(Struct, frozen=True, tag="part"):
    """A table, whose rows are those of its name; and where and when it was made."""

    name: str
    title: str
    command: str
    date: str
    machine: str
    load: float
    """How many processes wanted a core on average before anything was measured."""
    minutes: float
    quick: bool
    titles: Mapping[str, str]
    ours: Sequence[str]
    apart: str
    notes: str


class Line(Struct, frozen=True, tag="row"):
    part: str
    what: str
    figures: Mapping[str, float]
    most: float | None
    least: float | None
    digits: int
    database: float | None


Entry = Part | Line
Results = Sequence[tuple[Part, Table[str]]]


def write(results: Results, file: Path) -> None:
    entries: list[Entry] = []
    for part, table in results:
        entries.append(part)
        entries += [
            Line(part.name, row.what, row.figures, row.most, row.least, row.digits, row.database) for row in table.rows
        ]
    file.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))


def read(file: Path) -> Results:
    decode = msgspec.json.Decoder(Entry).decode
    parts: dict[str, tuple[Part, Table[str]]] = {}
    for entry in map(decode, file.read_bytes().splitlines()):
        if isinstance(entry, Part):
            parts[entry.name] = (entry, Table(entry.titles, entry.ours, apart=entry.apart, notes=entry.notes))
        else:
            row = Row(entry.what, entry.figures, entry.most, entry.digits, entry.database, entry.least)
            parts[entry.part][1].add(row)
    return list(parts.values())
