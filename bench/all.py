"""Everything that is measured, in one go: `.venv/bin/python bench/all.py [--quick]`, or `make bench-all`.

A quarter of an hour, and nothing else should run meanwhile. It writes docs/performance.json and out of it
docs/performance.md with its pictures.
"""

import argparse
import asyncio
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from msgspec.structs import replace

from bench import measure as turn
from bench import overload
from bench import stream_measure as stream
from bench.page import write_page
from bench.results import Circumstances, Part, Results, write
from bench.table import Table
from bench.venvs import make_baseline_venv

# The longest parts of a stream in a shorter form: all of it has to fit into a quarter of an hour.
STREAM = replace(stream.FULL, paced_seconds=5, held_seconds=15, tokens=4000, paced_tokens=500)
STREAM_QUICK = replace(stream.QUICK, listeners=(1, 2), paced_seconds=0.2, held_seconds=0.3, firsts=2)
TURN_QUICK = replace(turn.QUICK, turns=32, seconds=1, lengths=(10, 1000))


def main() -> None:
    parser = argparse.ArgumentParser(description="Everything that is measured, in one go.")
    parser.add_argument("--quick", action="store_true", help="the smallest size: whether it works, not what it costs")
    parser.add_argument("--without-baseline", action="store_true", help="do not make .venv-bench nor measure in it")
    parser.add_argument("--only", default="", metavar="PART", help="of: turn, stream, overload")
    parser.add_argument("--into", type=Path, default=Path(__file__).parents[1] / "docs", help="where the page goes")
    options = parser.parse_args()
    if platform.system() != "Linux":
        parser.exit(2, "The figures come from Linux's /proc, which this system does not have.\n")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not options.quick:
        # What is acknowledged is synced, by PostgreSQL too; tests do without.
        os.environ["PALAVER_TEST_FSYNC"] = "1"
    python = None if options.quick or options.without_baseline else make_baseline_venv()
    load, began = os.getloadavg()[0], time.monotonic()
    parts = asyncio.run(_measure(python, options.only, quick=options.quick))
    minutes = (time.monotonic() - began) / 60
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    results = Results(Circumstances(date, _machine(), round(load, 1), round(minutes, 1), options.quick), parts)
    write(results, options.into / "performance.json")
    write_page(results, options.into / "performance.md", options.into / "images")
    for part, table in parts:
        print(f"## {part.title}\n\n{table.to_markdown()}\n")


async def _measure(python: Path | None, only: str, *, quick: bool) -> Sequence[tuple[Part, Table[str]]]:
    parts: list[tuple[Part, Table[str]]] = []
    if only in ("", "turn"):
        table = await turn.measure(TURN_QUICK if quick else turn.FULL, python)
        parts.append(_part("turn", "A turn, its history, a start", "make bench", table))
    if only in ("", "stream"):
        pieces = await stream.measure(STREAM_QUICK if quick else STREAM, "")
        parts.append(_part("stream", "A stream, idle sockets, two servers", "make bench-stream", pieces))
    if only in ("", "overload"):
        outcome = await overload.measure("sqlite", overload.QUICK if quick else overload.FULL)
        asked = overload.to_table(outcome)
        parts.append(_part("overload", "More than it can do", ".venv/bin/python bench/overload.py", asked))
    return parts


def _part(name: str, title: str, command: str, table: object) -> tuple[Part, Table[str]]:
    # The columns of each are a closed set of their own; here they are names.
    assert isinstance(table, Table)
    titles: Mapping[str, str] = {str(kind): title for kind, title in table.titles.items()}
    ours = [str(kind) for kind in table.ours]
    return Part(name, title, command, titles, ours, table.apart, table.notes), table


def _machine() -> str:
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), "some processor")
    cores = os.cpu_count() or 1
    return f"{cores} cores ({model}), Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
