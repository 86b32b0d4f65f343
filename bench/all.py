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
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from msgspec.structs import replace

from bench import measure as turn
from bench import overload
from bench import stream_measure as stream
from bench.page import write_page
from bench.results import Part, Results, read, write
from bench.table import Table
from bench.venvs import make_baseline_venv

# The longest parts of a stream in a shorter form: all of it has to fit into a quarter of an hour.
STREAM = replace(stream.FULL, paced_seconds=5, held_seconds=15, tokens=4000, paced_tokens=500)
TITLES: Mapping[str, tuple[str, str]] = {
    "turn": ("A turn, its history, a start", "make bench"),
    "stream": ("A stream, idle sockets, two servers", "make bench-stream"),
    "overload": ("More than it can do", ".venv/bin/python bench/overload.py"),
}
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
    with_baseline = not (options.quick or options.without_baseline) and options.only in ("", "turn")
    python = make_baseline_venv() if with_baseline else None
    results = asyncio.run(_measure(python, options.only, quick=options.quick))
    file = options.into / "performance.json"
    if options.only and file.exists():
        results = [one for one in read(file) if one[0].name != options.only] + list(results)
    write(results, file)
    write_page(results, options.into / "performance.md", options.into / "images")
    for part, table in results:
        print(f"## {part.title}\n\n{table.to_markdown()}\n")


async def _measure(python: Path | None, only: str, *, quick: bool) -> Results:
    measures: Mapping[str, Callable[[], Awaitable[object]]] = {
        "turn": lambda: turn.measure(TURN_QUICK if quick else turn.FULL, python),
        "stream": lambda: stream.measure(stream.QUICK if quick else STREAM, ""),
        "overload": lambda: overload.measure_table(overload.QUICK if quick else overload.FULL),
    }
    results: list[tuple[Part, Table[str]]] = []
    for name, measure in measures.items():
        if only in ("", name):
            load, began = os.getloadavg()[0], time.monotonic()
            table = await measure()
            # The columns of each are a closed set of their own; here they are names.
            assert isinstance(table, Table)
            title, command = TITLES[name]
            part = Part(
                name, title, command, datetime.now(UTC).strftime("%Y-%m-%d"), _machine(), round(load, 1),
                round((time.monotonic() - began) / 60, 1), quick,
                {str(kind): name for kind, name in table.titles.items()}, [str(kind) for kind in table.ours],
                table.apart, table.notes,
            )  # fmt: skip
            results.append((part, table))
    return results


def _machine() -> str:
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), "some processor")
    cores = os.cpu_count() or 1
    return f"{cores} cores ({model}), Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
