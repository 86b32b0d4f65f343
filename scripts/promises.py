"""Writes `docs/promises.md`: what is promised, how it was tried at full size, and what came of it: `make promises`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.promises import GROUPS, Figure, Promise, Try, find_promises, read_tries

TARGET = Path(__file__).parent.parent / "docs" / "promises.md"
COMMAND = "PALAVER_PROVE=1 .venv/bin/python -m pytest"

HEAD = f"""\
# What is promised, and how it was tried

`make prove` tries all of this at full size and then writes this page; `make test` tries the same in small, every time.
Each promise is a test, whose name stands below it. It is tried again by

    {COMMAND} …

and with the same choices at random where `PALAVER_SEED=…` stands in front. What was not tried again keeps what it had.

What it costs stands elsewhere: the processor time of a stored turn and of a streamed piece, the time to the first
piece, turns in long conversations, bytes on the wire and on the disk, idle WebSockets, start, memory and size, and 500
replies begun in a second: see docs/performance.md.
"""


def to_page(promises: Sequence[Promise], tries: Iterable[Try]) -> str:
    by_test: dict[str, list[Try]] = {}
    for one in tries:
        by_test.setdefault(one.test, []).append(one)
    known = {promise.test: by_test.get(promise.test, []) for promise in promises}
    parts = [HEAD, *_summary(promises, known)]
    for group, title in GROUPS.items():
        those = [promise for promise in promises if promise.group == group]
        if those:
            parts += [f"## {title}\n", *(_row(promise, known[promise.test]) for promise in those)]
    return "\n".join(parts)


def _summary(promises: Sequence[Promise], tries: dict[str, list[Try]]) -> Iterator[str]:
    broken = [promise for promise in promises if any(not one.held for one in tries[promise.test])]
    untried = [promise for promise in promises if not tries[promise.test]]
    held = len(promises) - len(broken) - len(untried)
    yield f"{len(promises)} promises: {held} held when they were last tried, {len(broken)} did not, " + (
        f"{len(untried)} were not tried at full size yet.\n"
    )
    dates = sorted({one.date for those in tries.values() for one in those})
    if dates:
        minutes = sum(one.seconds for those in tries.values() for one in those) / 60
        load = max(one.load for those in tries.values() for one in those)
        yield f"They were tried {_span(dates)}, which took {minutes:.0f} minutes in all.\n"
        yield f"The load of the machine, with all that ran beside, was up to {load:.0f}: figures of time show that.\n"
    if broken:
        yield "**These did not hold:**\n"
        yield "".join(f"- {promise.words}: `{promise.test}`\n" for promise in broken)


def _row(promise: Promise, tries: Sequence[Try]) -> str:
    lines = [f"**{promise.words}.** {promise.more}".rstrip()]
    if tries:
        lines += [_result(tries), *_figures(tries)]
    else:
        lines.append("Not tried at full size yet.")
    return "  \n".join([*lines, f"`{promise.test}`"]) + "\n"


def _result(tries: Sequence[Try]) -> str:
    failed = [one for one in tries if not one.held]
    dates = sorted({one.date for one in tries})
    cases = f", {len(tries)} cases" if len(tries) > 1 else ""
    took = f"{sum(one.seconds for one in tries):,.0f} s, seed {' and '.join(sorted({one.seed for one in tries}))}"
    if not failed:
        return f"Held {_span(dates)}{cases}, {took}."
    seeds = ", ".join(f"{one.parameters or 'it'} on {one.date} with seed {one.seed}" for one in failed)
    return f"**Failed** ({seeds}); tried {_span(dates)}{cases}, {took}."


def _figures(tries: Sequence[Try]) -> Iterator[str]:
    """Those of each case; said once, where they are the same for all."""
    by_figures: dict[tuple[Figure, ...], list[str]] = {}
    for one in tries:
        if one.figures:
            by_figures.setdefault(one.figures, []).append(one.parameters)
    for figures, cases in by_figures.items():
        whose = "" if len(cases) == len(tries) else f"({', '.join(cases)}) "
        said = "; ".join(f"{figure.what}: {_number(figure.value)} {figure.unit}".rstrip() for figure in figures)
        yield f"{whose}{said}."


def _number(value: float | int | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _span(dates: Sequence[str]) -> str:
    return f"on {dates[0]}" if len(dates) == 1 else f"from {dates[0]} to {dates[-1]}"


if __name__ == "__main__":
    TARGET.write_text(to_page(find_promises(), read_tries()))
