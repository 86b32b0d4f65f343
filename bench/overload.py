"""What becomes of a server that is offered three times what it can do: `.venv/bin/python bench/overload.py [--quick]`.

First its peak is found: the most stored turns a second that clients get who ask again as soon as they have their
answer. Then so many times that arrive, answered or not. The one and the other in turn, for some seconds each: how quick
a machine is changes within a minute by more than what is measured here. The server has one core to itself, the model
and those who ask the other one: what one takes is never what the other lacks, and the peak is that of a core.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from tests.parts.run import open_run

from bench.arrivals import Answered, Arrivals
from bench.load import Load
from bench.measure import run_load, say
from bench.running import run_apart
from bench.stream_systems import pin
from bench.systems import House, Kind, System
from bench.table import Row, Table

TIMES = 3

NOTES = """\
All figures are of all rounds together. By the clock, what else the machine does counts too; the server's CPU time tells
what is its own. A refusal's cost is what is left of that once each turn that was done is taken off at the peak's price;
new connections are in it."""

# More than are done in the time.
MANY = 10_000_000


class Size(msgspec.Struct, frozen=True):
    """`at_once`: how many clients at once the peak is looked for with."""

    rounds: int
    at_once: tuple[int, ...]
    peak_seconds: float
    seconds: float
    sessions: int


FULL = Size(rounds=4, at_once=(16, 64), peak_seconds=4, seconds=20, sessions=3000)
QUICK = Size(rounds=1, at_once=(64,), peak_seconds=0.5, seconds=2, sessions=1200)


class Peak(msgspec.Struct, frozen=True):
    """So many at once for so long: turns that were done, and the server's CPU time in seconds."""

    at_once: int
    seconds: float
    turns: int
    cpu: float

    @property
    def rate(self) -> float:
        return self.turns / self.seconds


class Round(msgspec.Struct, frozen=True):
    """`cpu`: what the server took of it while it was offered too much."""

    peaks: list[Peak]
    answered: Answered
    cpu: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Of all rounds. Nanoseconds, seconds, MiB."""

    rounds: list[Round]
    seconds: float
    """Of each round, for which too much was offered."""
    before_mib: float
    most_mib: float

    @property
    def peak(self) -> Peak:
        """With so many at once as were done fastest."""
        by_number: dict[int, list[Peak]] = {}
        for peak in (peak for one in self.rounds for peak in one.peaks):
            by_number.setdefault(peak.at_once, []).append(peak)
        return max((_together(peaks) for peaks in by_number.values()), key=lambda peak: peak.rate)

    @property
    def peak_cpu(self) -> float:
        """Seconds of CPU time a turn."""
        return self.peak.cpu / self.peak.turns

    @property
    def done(self) -> list[int]:
        return [took for one in self.rounds for took in one.answered.done]

    @property
    def refused(self) -> list[int]:
        return [took for one in self.rounds for took in one.answered.refused]

    @property
    def lost(self) -> int:
        """Neither done nor refused, or wrongly."""
        return sum(one.answered.broken + sum(one.answered.others.values()) for one in self.rounds)

    @property
    def unasked(self) -> int:
        """Those for which nobody was left: all conversations still waited for an answer."""
        return sum(one.answered.unheard for one in self.rounds)

    @property
    def share(self) -> float:
        """Of the peak, what is left."""
        in_time = sum(one.answered.done_in_time for one in self.rounds)
        return in_time / (self.seconds * len(self.rounds)) / self.peak.rate

    @property
    def cpu(self) -> float:
        return sum(one.cpu for one in self.rounds)

    @property
    def share_of_cpu(self) -> float:
        """The same by the server's CPU time, whatever the machine has to do besides."""
        return self.peak_cpu * len(self.done) / self.cpu

    @property
    def refusal_cpu(self) -> float:
        return max(self.cpu - self.peak_cpu * len(self.done), 0) / max(len(self.refused), 1)


def _together(peaks: Sequence[Peak]) -> Peak:
    return Peak(
        peaks[0].at_once,
        sum(peak.seconds for peak in peaks),
        sum(peak.turns for peak in peaks),
        sum(peak.cpu for peak in peaks),
    )


async def measure(kind: Kind, size: Size, settings: Mapping[str, str] = {}, rate: float = 0) -> Outcome:
    """`rate`: instead of three times the peak."""
    with open_run() as run:
        house = House(run, None)
        await house.start_llm()
        system = await house.start_ours(kind, settings)
        pin([system.gauge.root], {0})
        pin([house.llm_pid, os.getpid()], {1})
        system.sessions += await add_sessions(system, size)
        before = system.gauge.memory_mib()
        watching = asyncio.create_task(_watch_memory(system))
        rounds = []
        for _ in range(size.rounds):
            peaks = [await find_peak(system, at_once, size.peak_seconds) for at_once in size.at_once]
            rounds.append(await overload(system, size, peaks, rate or TIMES * max(peak.rate for peak in peaks)))
        watching.cancel()
        most = max(before, *await watching)
        await system.stop()
    return Outcome(rounds=rounds, seconds=size.seconds, before_mib=before, most_mib=most)


async def add_sessions(system: System, size: Size) -> list[str]:
    """Few at once: they are not what is measured."""
    sessions: list[str] = []
    while len(sessions) < size.sessions:
        sessions += await system.add_sessions(min(50, size.sessions - len(sessions)))
    return sessions


async def find_peak(system: System, at_once: int, seconds: float) -> Peak:
    bodies = [[system.to_body(session)] for session in system.sessions[:at_once]]
    load = Load(
        port=system.port, path=system.path, token=system.token, bodies=bodies, turns=MANY, seconds=seconds
    )  # fmt: skip
    system.gauge.reset()
    taken = await run_load(load)
    peak = Peak(at_once, seconds, taken.turns, system.gauge.cpu_seconds())
    say(
        f"  {at_once} at once: {peak.rate:.0f} turns/s, p99 {taken.milliseconds(99):.0f} ms, "
        f"{peak.cpu / peak.turns * 1000:.3f} ms CPU"
    )
    return peak


async def overload(system: System, size: Size, peaks: list[Peak], rate: float) -> Round:
    load = Arrivals(
        port=system.port, path=system.path, token=system.token, rate=rate, seconds=size.seconds,
        bodies=[system.to_body(session) for session in system.sessions],
    )  # fmt: skip
    system.gauge.reset()
    answered = await run_apart("bench.arrivals", load, Answered)
    cpu = system.gauge.cpu_seconds()
    say(
        f"  {rate:.0f} turns/s offered: {answered.done_in_time / size.seconds:.0f} done/s, p50 "
        f"{_milliseconds(answered.done, 50):.0f} p99 {_milliseconds(answered.done, 99):.0f} ms, "
        f"{cpu / max(len(answered.done), 1) * 1000:.3f} ms CPU; {len(answered.refused)} refused, p50 "
        f"{_milliseconds(answered.refused, 50):.0f} p99 {_milliseconds(answered.refused, 99):.0f} ms; unheard "
        f"{answered.unheard}, broken {answered.broken}, {answered.others}; {answered.connections} connections; load's "
        f"own share {answered.own_share:.2f}, late {answered.late:.0f} ms"
    )
    return Round(peaks, answered, cpu)


async def _watch_memory(system: System) -> list[float]:
    seen: list[float] = [0.0]
    try:
        while True:
            seen.append(system.gauge.memory_mib())
            await asyncio.sleep(0.5)
    except asyncio.CancelledError:
        return seen


def _milliseconds(nanoseconds: Sequence[int], percent: int) -> float:
    """So many percent of them were no longer."""
    if not nanoseconds:
        return 0.0
    in_order = sorted(nanoseconds)
    return in_order[min(len(in_order) * percent // 100, len(in_order) - 1)] / 1e6


async def measure_table(size: Size) -> Table[Kind]:
    return to_table(await measure("sqlite", size))


def to_table(outcome: Outcome) -> Table[Kind]:
    table: Table[Kind] = Table({"sqlite": "ours, SQLite, one core"}, ["sqlite"], apart="", notes=NOTES)

    def add(what: str, value: float, *, most: float | None = None, least: float | None = None, digits: int = 0) -> None:
        table.add(Row(what, {"sqlite": value}, most=most, least=least, digits=digits))

    add("peak, stored turns a second", outcome.peak.rate)
    add("- CPU ms a turn", outcome.peak_cpu * 1e3, digits=3)
    add(f"{TIMES} × the peak offered: done, % of the peak", 100 * outcome.share, least=90)
    add("- the same by the server's CPU time, %", 100 * outcome.share_of_cpu, least=90)
    add("- a turn that was taken, ms, p50", _milliseconds(outcome.done, 50))
    add("- a turn that was taken, ms, p99", _milliseconds(outcome.done, 99))
    add("- refused after ms, p50", _milliseconds(outcome.refused, 50))
    add("- refused after ms, p99", _milliseconds(outcome.refused, 99), most=200)
    add("- CPU µs a refusal, at most", outcome.refusal_cpu * 1e6)
    add("- neither done nor refused", outcome.lost, most=0)
    add("- not asked, as all conversations still waited", outcome.unasked, most=0)
    add("- memory before, MiB", outcome.before_mib)
    add("- memory at most, MiB", outcome.most_mib)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="What becomes of a server that is offered three times its peak.")
    parser.add_argument("--quick", action="store_true", help="the smallest size: whether it works, not what it costs")
    options = parser.parse_args()
    if not options.quick:
        # What is acknowledged is synced.
        os.environ["PALAVER_TEST_FSYNC"] = "1"
    print(asyncio.run(measure_table(QUICK if options.quick else FULL)).to_markdown())


if __name__ == "__main__":
    main()
