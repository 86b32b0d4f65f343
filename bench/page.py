"""`docs/performance.md` and its pictures, out of `docs/performance.json`: `.venv/bin/python bench/page.py`.

What stands below the mark on the page is written by hand, and stays.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.picture import bars
from bench.results import FILE, Part, Results, read
from bench.table import Row, Table

PAGE = FILE.with_name("performance.md")
IMAGES = FILE.with_name("images")
MARK = "<!-- Written by hand from here on; above is made by bench/page.py. -->"

# Why a bar is missed, by how its row begins.
REASONS: Mapping[str, str] = {
    "stored turn, CPU ms, 1 ": "Each of the two commits is a hand-over to a thread and back, for one alone.",
    "stored turn, CPU ms, 16 ": "The same code took 0.45 to 1.8 on machines of one kind, in one week.",
    "- times the floor": "The floor knows nobody, checks nothing and tells nobody.",
    "- each further listener": "A listener has a cursor of its own, and each piece is framed for it.",
    "written to disk per turn": "What is written alone is a page of each table and index that a turn touches, twice.",
    "start to ready": "Its imports are most of it: on a busy machine they take twice as long.",
    "3 × the peak offered": "Two refusals for each turn that is done take their part of the core (0021).",
    "- refused after ms": "Thousands of connections are opened in the first second, and accepted first (0021).",
    "- the same by the server's CPU time": "As above.",
    "piece, 64 replies": "A piece that comes alone wakes the loop, reads and writes for itself: the floor's half.",
    "500 replies started": "Who comes beyond what a machine can do in a second is refused, and told so (0021).",
    "time to first piece": "The message is committed and synced before the model is asked.",
    "- delay added": "The model and the listeners share the two cores with the server.",
}  # fmt: skip
UNEXPLAINED = "No reason is known yet."

# Pictures: a file, its title and unit, and the rows that it shows.
PICTURES: Sequence[tuple[str, str, str, str, Sequence[str]]] = (
    ("turn", "turn", "A stored turn", "ms of CPU time", ("stored turn, CPU ms",)),
    ("turn", "history", "A turn in a long conversation, times a short one", "times", ("- of 1,000", "- of 10,000")),
    ("stream", "piece", "A streamed piece", "µs of CPU time", ("piece in a burst, CPU µs, 1 ", "piece, 64 replies")),
    ("overload", "overload", "Three times the peak", "see the row", ("3 × the", "- the same by", "- refused after")),
)  # fmt: skip


def write_page(results: Results, page: Path, images: Path) -> None:
    kept = page.read_text().partition(MARK)[2] if page.exists() else "\n"
    images.mkdir(exist_ok=True)
    shown: dict[str, list[str]] = {}
    for part, name, title, unit, rows in PICTURES:
        picture = _draw(results, part, title, unit, rows)
        if picture is not None:
            (images / f"performance-{name}.svg").write_text(picture)
            shown.setdefault(part, []).append(f"![{title}](images/performance-{name}.svg)\n")
    page.write_text("\n".join([*_head(results), *_parts(results, shown), MARK]) + kept)


def _head(results: Results) -> Iterable[str]:
    yield "# Performance\n"
    yield "What things cost, beside the least that one could do (the floor) and what most would write (the baseline)."
    yield "`make bench-all` measures it again and makes this page, all on one machine over its loopback.\n"
    judged = list(_judged(results))
    missed = [(row, title, value) for row, title, value, met in judged if not met]
    yield f"{len(judged) - len(missed)} of {len(judged)} bars of the design are met.\n"
    if missed:
        yield "## Not met\n"
        for row, title, value in missed:
            yield f"- {row.what.removeprefix('- ')}, {title}: {value} ({row.bar}). {_reason(row)}"
        yield ""


def _where(part: Part) -> Iterable[str]:
    yield f"`{part.command}` on {part.date}, in {part.minutes:.0f} minutes, on {part.machine}.\n"
    if part.quick:
        yield "**This was the smallest size: it shows that everything works, and not what it costs.**\n"
    if part.load > 1:
        yield (
            f"**The machine had other work (a load of {part.load:.1f}): what is told by the clock is worse than it "
            "would be alone, and CPU time by up to twice.**\n"
        )


def _judged(results: Results) -> Iterable[tuple[Row[str], str, str, bool]]:
    for _, table in results:
        for row in table.rows:
            for kind, figure in row.figures.items():
                if table.is_judged(row, kind):
                    yield row, table.titles[kind], f"{figure:.{row.digits}f}", row.is_met(kind)


def _reason(row: Row[str]) -> str:
    return next((why for beginning, why in REASONS.items() if row.what.startswith(beginning)), UNEXPLAINED)


def _parts(results: Results, shown: Mapping[str, Sequence[str]]) -> Iterable[str]:
    for part, table in results:
        yield f"## {part.title}\n"
        yield from _where(part)
        yield from shown.get(part.name, ())
        yield table.to_markdown() + "\n"


def _draw(results: Results, name: str, title: str, unit: str, beginnings: Sequence[str]) -> str | None:
    for part, table in results:
        if part.name == name:
            return bars(title, unit, *_to_groups(part, table, beginnings))
    return None


def _to_groups(
    part: Part, table: Table[str], beginnings: Sequence[str]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    rows = [row for row in table.rows if row.what.startswith(tuple(beginnings))]
    groups = {row.what: {part.titles[kind]: value for kind, value in row.figures.items()} for row in rows}
    limits = {row.what: row.least or row.most or 0.0 for row in rows if row.bar}
    return groups, limits


if __name__ == "__main__":
    write_page(read(FILE), PAGE, IMAGES)
