"""What a turn costs, beside the floor and a plain app under the same load. Prints a table.

`.venv/bin/python bench/turn.py`, or `make bench`. Everything runs on this machine, over its loopback, in a temporary
folder, and ends with this process, however that ends. Linux only: the figures are the kernel's.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec
from tests.parts.run import open_run

from bench.installed import installed_mib
from bench.load import Load, Taken
from bench.running import run_apart
from bench.systems import MESSAGE, PREFILLED, WHOLE, House, Kind, Started, System
from bench.table import Row, Table
from bench.venvs import BASELINE, make_baseline_venv

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

AT_ONCE = (1, 16, 64)
# CPU ms of a turn, by how many are asked for at once.
BARS = {1: 0.8, 16: 0.5}
LENGTHS = (10, 1_000, 10_000)


class Size(msgspec.Struct, frozen=True):
    """How much is measured. Each repeat takes so many turns, or seconds where they come first.

    `warm_up` turns of each client come before: enough of them fill its window of history, so that later ones all cost
    the same.
    """

    repeats: int
    warm_up: int
    turns: int
    seconds: float
    starts: int
    rest: float
    length_sessions: int
    length_turns: int
    lengths: tuple[int, ...]


FULL = Size(
    repeats=3,
    warm_up=12,
    turns=2000,
    seconds=6,
    starts=3,
    rest=1,
    length_sessions=20,
    length_turns=200,
    lengths=LENGTHS,
)
QUICK = Size(
    repeats=1, warm_up=1, turns=64, seconds=2, starts=1, rest=0.1, length_sessions=2, length_turns=10, lengths=LENGTHS
)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, by turn: milliseconds of CPU time and of waiting, KiB written."""

    cpu: float
    database_cpu: float
    p50: float
    p99: float
    disk: float
    calls: float


async def measure(size: Size, baseline_python: Path | None) -> Table[Kind]:
    with open_run() as run:
        house = House(run, baseline_python)
        await house.start_llm()
        table = Table(TITLES, OURS, apart="PostgreSQL's own", notes=NOTES)
        say("Starting each of them, first and again.")
        _add_starts(table, {kind: await house.measure_start(kind, size.starts, size.rest) for kind in house.kinds})
        table.add(Row("installed, MiB", {kind: installed_mib(kind) for kind in house.kinds}, most=150, digits=0))
        await _measure_turns(table, house, size)
        await _measure_lengths(table, house, size)
        return table


async def _measure_turns(table: Table[Kind], house: House, size: Size) -> None:
    systems = [await house.start(kind) for kind in house.kinds]
    found: dict[tuple[Kind, int], list[Figures]] = {}
    direct: dict[int, list[Figures]] = {}
    for repeat in range(1, size.repeats + 1):
        for at_once in AT_ONCE:
            say(f"Turns, {at_once} at once, {repeat} of {size.repeats}.")
            direct.setdefault(at_once, []).append(await _measure_direct(house, size, at_once))
            # One after the other within a repeat: a noisy minute hits them all.
            for system in systems:
                figures = await measure_system(system, size, at_once)
                found.setdefault((system.kind, at_once), []).append(figures)
    best = {key: _to_median(figures) for key, figures in found.items()}
    alone = {at_once: _to_median(figures) for at_once, figures in direct.items()}
    _add_turns(table, house.kinds, best, alone)


async def measure_system(system: System, size: Size, at_once: int) -> Figures:
    if len(system.sessions) < at_once:
        fresh = await system.add_sessions(at_once - len(system.sessions))
        system.sessions += fresh
        await _take(system, [[session] for session in fresh], turns=size.warm_up * len(fresh), seconds=size.seconds)
    sessions = [[session] for session in system.sessions[:at_once]]
    return await _take(system, sessions, turns=size.turns, seconds=size.seconds)


async def _take(system: System, sessions: Sequence[Sequence[str]], *, turns: int, seconds: float) -> Figures:
    bodies = [[system.to_body(session) for session in mine] for mine in sessions]
    load = Load(
        port=system.port, path=system.path, token=system.token, bodies=bodies, turns=turns, seconds=seconds
    )  # fmt: skip
    system.settle()
    system.gauge.reset()
    database = system.database_gauge
    if database is not None:
        database.reset()
    taken = await run_load(load)
    cpu = system.gauge.cpu_seconds()
    database_cpu = database.cpu_seconds() if database else 0
    written = system.gauge.written()
    by_database = database.written().calls if database else 0
    return Figures(
        cpu=cpu / taken.turns * 1000,
        database_cpu=database_cpu / taken.turns * 1000,
        p50=taken.milliseconds(50),
        p99=taken.milliseconds(99),
        # PostgreSQL answers by `send`, so that its `wchar` is what went to files. Its `write_bytes` tell nothing: for
        # each commit the kernel counts the whole large folio of the log that it touches, a megabyte for eight KiB.
        disk=(written.disk + by_database) / taken.turns,
        calls=(written.calls + by_database) / taken.turns,
    )


async def _measure_direct(house: House, size: Size, at_once: int) -> Figures:
    """The model asked without anything between, with a window of history as in the middle of a conversation."""
    past = [{"role": "user", "content": MESSAGE}, {"role": "assistant", "content": PREFILLED}] * 8
    body = msgspec.json.encode({"model": "gpt-4", "messages": [*past, {"role": "user", "content": MESSAGE}]}).decode()
    load = Load(
        port=house.llm_port, path="/v1/chat/completions", token=None, bodies=[[body]] * at_once, turns=size.turns,
        seconds=size.seconds,
    )  # fmt: skip
    taken = await run_load(load)
    return Figures(
        cpu=0, database_cpu=0, p50=taken.milliseconds(50), p99=taken.milliseconds(99), disk=0, calls=0
    )  # fmt: skip


async def _measure_lengths(table: Table[Kind], house: House, size: Size) -> None:
    found: dict[tuple[Kind, int], float] = {}
    for kind in house.kinds:
        say(f"Conversations of {', '.join(f'{length:,}' for length in size.lengths)} messages: {kind}.")
        system = await house.start(kind, WHOLE)
        sessions = {length: await system.add_sessions(size.length_sessions) for length in size.lengths}
        for length in size.lengths:
            system.prefill(sessions[length], length)
        took: dict[int, list[float]] = {}
        for _ in range(size.repeats):
            for length in size.lengths:
                figures = await _take(system, [sessions[length]], turns=size.length_turns, seconds=size.seconds)
                took.setdefault(length, []).append(figures.cpu + figures.database_cpu)
        for length, costs in took.items():
            found[kind, length] = median(costs)
        await system.stop()
    _add_lengths(table, house.kinds, size.lengths, found)


async def run_load(load: Load) -> Taken:
    """`Failed` where an answer was not a success."""
    return await run_apart("bench.load", load, Taken)


def _to_median(figures: Sequence[Figures]) -> Figures:
    return Figures(**{name: median(getattr(one, name) for one in figures) for name in Figures.__struct_fields__})


def _add_turns(
    table: Table[Kind], kinds: Sequence[Kind], found: dict[tuple[Kind, int], Figures], direct: dict[int, Figures]
) -> None:
    for at_once in AT_ONCE:
        table.add(
            Row(
                f"stored turn, CPU ms, {at_once} at once",
                {kind: found[kind, at_once].cpu for kind in kinds},
                most=BARS.get(at_once),
                digits=2,
                database=found["postgres", at_once].database_cpu,
            )
        )
    for at_once in AT_ONCE:
        floor = found["floor", at_once].cpu
        ratios = {kind: found[kind, at_once].cpu / floor for kind in kinds}
        table.add(Row(f"- times the floor, {at_once} at once", ratios, most=3 if at_once in BARS else None, digits=1))
    for at_once in AT_ONCE[:2]:
        for name, alone in (("p50", direct[at_once].p50), ("p99", direct[at_once].p99)):
            added = {kind: getattr(found[kind, at_once], name) - alone for kind in kinds}
            table.add(Row(f"latency added to the model's, ms, {name}, {at_once} at once", added, digits=1))
    disk = {kind: found[kind, 1].disk for kind in kinds}
    table.add(Row("written to disk per turn, KiB, 1 at once", disk, most=16, digits=1))
    disk = {kind: found[kind, 16].disk for kind in kinds}
    table.add(Row("written to disk per turn, KiB, 16 at once", disk, most=16, digits=1))
    calls = {kind: found[kind, 1].calls for kind in kinds}
    table.add(Row("handed to write() per turn, KiB, 1 at once (wchar, sockets too)", calls, digits=1))


def _add_lengths(
    table: Table[Kind], kinds: Sequence[Kind], lengths: Sequence[int], found: dict[tuple[Kind, int], float]
) -> None:
    first, *others = lengths
    table.add(Row(f"turn in a conversation of {first} messages, CPU ms", {k: found[k, first] for k in kinds}, digits=2))
    for length in others:
        ratios = {kind: found[kind, length] / found[kind, first] for kind in kinds}
        table.add(Row(f"- of {length:,} messages, times that", ratios, most=1.2, digits=2))


def _add_starts(table: Table[Kind], started: dict[Kind, Started]) -> None:
    first = {kind: one.first_seconds for kind, one in started.items()}
    table.add(Row("first start to ready, s", first, digits=2))
    again = {kind: one.again_seconds for kind, one in started.items()}
    table.add(Row("start to ready, s", again, most=1, digits=2))
    memory = {kind: one.memory_mib for kind, one in started.items()}
    table.add(Row("memory at rest, MiB (PSS)", memory, most=80, digits=0))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a turn costs. Prints a table.")
    parser.add_argument("--quick", action="store_true", help="the smallest size: whether it works, not what it costs")
    parser.add_argument(
        "--without-baseline", action="store_true", help=f"do not make {BASELINE.name} nor measure in it"
    )
    options = parser.parse_args()
    if platform.system() != "Linux":
        parser.exit(2, "The figures come from Linux's /proc, which this system does not have.\n")
    if not options.quick:
        # What is acknowledged is synced, by PostgreSQL too; tests do without.
        os.environ["PALAVER_TEST_FSYNC"] = "1"
    python = None if options.without_baseline else make_baseline_venv()
    try:
        table = asyncio.run(measure(QUICK if options.quick else FULL, python))
    except KeyboardInterrupt:
        parser.exit(130, "Stopped; what it had started is ended.\n")
    print(table.to_markdown())
