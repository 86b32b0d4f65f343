"""What `make bench-all` found, as lines of JSON: the first says where and when, then there is one for each row."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.table import Row, Table

FILE = Path(__file__).parents[1] / "docs" / "performance.json"


class Circumstances(Struct, frozen=True, tag="circumstances"):
    date: str
    machine: str
    load: float
    """How many processes wanted a core on average before anything was measured."""
    minutes: float
    quick: bool


class Part(Struct, frozen=True, tag="part"):
    """A table, whose rows are those of its name."""

    name: str
    title: str
    command: str
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


Entry = Circumstances | Part | Line


class Results(Struct, frozen=True):
    circumstances: Circumstances
    parts: Sequence[tuple[Part, Table[str]]]


def write(results: Results, file: Path) -> None:
    entries: list[Entry] = [results.circumstances]
    for part, table in results.parts:
        entries.append(part)
        entries += [
            Line(part.name, row.what, row.figures, row.most, row.least, row.digits, row.database) for row in table.rows
        ]
    file.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))


def read(file: Path) -> Results:
    decode = msgspec.json.Decoder(Entry).decode
    first, *entries = [decode(line) for line in file.read_bytes().splitlines()]
    assert isinstance(first, Circumstances), "the first line says where and when"
    parts: dict[str, tuple[Part, Table[str]]] = {}
    for entry in entries:
        if isinstance(entry, Part):
            parts[entry.name] = (entry, Table(entry.titles, entry.ours, apart=entry.apart, notes=entry.notes))
        elif isinstance(entry, Line):
            row = Row(entry.what, entry.figures, entry.most, entry.digits, entry.database, entry.least)
            parts[entry.part][1].add(row)
    return Results(first, list(parts.values()))
