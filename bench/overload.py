"""What becomes of a server that is offered three times what it can do: `.venv/bin/python bench/overload.py [--quick]`.

First its peak is found: the most stored turns a second that clients get who ask again as soon as they have their
answer. Then so many times that arrive, answered or not. The server has one core to itself, the model and those who ask
the other one: what one takes is never what the other lacks, and the peak is that of a core.
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
from bench.load import Load, Taken
from bench.measure import run_load, say
from bench.running import run_apart
from bench.stream_systems import pin
from bench.systems import House, Kind, System
from bench.table import Row, Table

TIMES = 3

NOTES = """\
All figures are of the run in the middle. By the clock, what else the machine does counts too; the server's CPU time
tells what is its own. A refusal's cost is what is left of that once each turn that was done is taken off at the peak's
price; new connections are in it."""

# More than are done in the time.
MANY = 10_000_000


class Size(msgspec.Struct, frozen=True):
    """`at_once`: how many clients at once the peak is looked for with."""

    repeats: int
    at_once: tuple[int, ...]
    peak_seconds: float
    seconds: float
    sessions: int


FULL = Size(repeats=3, at_once=(16, 64), peak_seconds=4, seconds=20, sessions=3000)
QUICK = Size(repeats=1, at_once=(64,), peak_seconds=0.5, seconds=2, sessions=1200)


class Peak(msgspec.Struct, frozen=True):
    """Turns a second, and milliseconds of CPU time of the server for each."""

    rate: float
    cpu: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Turns a second, milliseconds, MiB."""

    peak: Peak
    offered: float
    asked: int
    done: float
    taken: int
    """Those that were done, late ones too."""
    done_p50: float
    done_p99: float
    refused: int
    refused_p50: float
    refused_p99: float
    refused_most: float
    lost: int
    """Neither done nor refused, or wrongly."""
    unasked: int
    """Those for which nobody was left: all conversations still waited for an answer."""
    before_mib: float
    most_mib: float
    cpu: float
    """Milliseconds of CPU time of the server for each turn that was done, those refused with it."""

    @property
    def share(self) -> float:
        """Of the peak, what is left."""
        return self.done / self.peak.rate

    @property
    def share_of_cpu(self) -> float:
        """The same by the server's CPU time, whatever the machine has to do besides."""
        return self.peak.cpu / self.cpu

    @property
    def refusal_micros(self) -> float:
        return max(self.cpu - self.peak.cpu, 0) * 1000 * self.taken / max(self.refused, 1)


async def measure(kind: Kind, size: Size, settings: Mapping[str, str] = {}, rate: float = 0) -> Outcome:
    """Of several, the one in the middle. `rate`: instead of three times the peak."""
    with open_run() as run:
        house = House(run, None)
        await house.start_llm()
        system = await house.start_ours(kind, settings)
        pin([system.gauge.root], {0})
        pin([house.llm_pid, os.getpid()], {1})
        system.sessions += await add_sessions(system, size)
        outcomes = []
        for _ in range(size.repeats):
            peak = await find_peak(system, size)
            outcomes.append(await overload(system, size, peak, rate or TIMES * peak.rate))
        await system.stop()
    return sorted(outcomes, key=lambda outcome: outcome.share)[len(outcomes) // 2]


async def add_sessions(system: System, size: Size) -> list[str]:
    """Few at once: they are not what is measured."""
    sessions: list[str] = []
    while len(sessions) < size.sessions:
        sessions += await system.add_sessions(min(50, size.sessions - len(sessions)))
    return sessions


async def find_peak(system: System, size: Size) -> Peak:
    """The highest rate, and the least CPU time for a turn."""
    peaks = []
    for at_once in size.at_once:
        system.gauge.reset()
        taken = await _take(system, at_once, size.peak_seconds)
        peaks.append(Peak(taken.turns / size.peak_seconds, system.gauge.cpu_seconds() / taken.turns * 1000))
        say(
            f"  {at_once} at once: {peaks[-1].rate:.0f} turns/s, p99 {taken.milliseconds(99):.0f} ms, "
            f"{peaks[-1].cpu:.3f} ms CPU"
        )
    return Peak(max(peak.rate for peak in peaks), min(peak.cpu for peak in peaks))


async def _take(system: System, at_once: int, seconds: float) -> Taken:
    bodies = [[system.to_body(session)] for session in system.sessions[:at_once]]
    load = Load(
        port=system.port, path=system.path, token=system.token, bodies=bodies, turns=MANY, seconds=seconds
    )  # fmt: skip
    return await run_load(load)


async def overload(system: System, size: Size, peak: Peak, rate: float) -> Outcome:
    say(f"Offered: {rate:.0f} turns/s, after a peak of {peak.rate:.0f}.")
    load = Arrivals(
        port=system.port, path=system.path, token=system.token, rate=rate, seconds=size.seconds,
        bodies=[system.to_body(session) for session in system.sessions],
    )  # fmt: skip
    before = system.gauge.memory_mib()
    system.gauge.reset()
    watching = asyncio.create_task(_watch_memory(system))
    answered = await run_apart("bench.arrivals", load, Answered)
    cpu = system.gauge.cpu_seconds()
    watching.cancel()
    most = max(before, *await watching)
    outcome = Outcome(
        peak=peak,
        offered=answered.offered / size.seconds,
        asked=answered.offered,
        done=answered.done_in_time / size.seconds,
        taken=len(answered.done),
        done_p50=_percentile(answered.done, 50),
        done_p99=_percentile(answered.done, 99),
        refused=len(answered.refused),
        refused_p50=_percentile(answered.refused, 50),
        refused_p99=_percentile(answered.refused, 99),
        refused_most=_percentile(answered.refused, 100),
        lost=answered.broken + sum(answered.others.values()),
        unasked=answered.unheard,
        before_mib=before,
        most_mib=most,
        cpu=cpu / max(len(answered.done), 1) * 1000,
    )
    say(
        f"  {outcome.done:.0f} done/s ({outcome.share:.0%} of the peak, {outcome.share_of_cpu:.0%} by CPU time), p50 "
        f"{outcome.done_p50:.0f} p99 {outcome.done_p99:.0f} ms; {outcome.refused} refused, p50 "
        f"{outcome.refused_p50:.0f} p99 {outcome.refused_p99:.0f} most {outcome.refused_most:.0f} ms; "
        f"{outcome.lost} lost (unheard {answered.unheard}, broken {answered.broken}, {answered.others}); "
        f"{before:.0f} to {most:.0f} MiB; {answered.connections} connections; CPU {cpu:.1f} s; "
        f"load's own share {answered.own_share:.2f}, late {answered.late:.0f} ms"
    )
    return outcome


async def _watch_memory(system: System) -> list[float]:
    seen: list[float] = [0.0]
    try:
        while True:
            seen.append(system.gauge.memory_mib())
            await asyncio.sleep(0.5)
    except asyncio.CancelledError:
        return seen


def _percentile(nanoseconds: Sequence[int], percent: int) -> float:
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
    add("- CPU ms a turn", outcome.peak.cpu, digits=3)
    add(f"{TIMES} × the peak offered: done, % of the peak", 100 * outcome.share, least=90)
    add("- the same by the server's CPU time, %", 100 * outcome.share_of_cpu, least=90)
    add("- a turn that was taken, ms, p50", outcome.done_p50)
    add("- a turn that was taken, ms, p99", outcome.done_p99)
    add("- refused after ms, p50", outcome.refused_p50)
    add("- refused after ms, p99", outcome.refused_p99, most=200)
    add("- CPU µs a refusal, at most", outcome.refusal_micros)
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
