"""What limits, ledger and metrics cost a turn together: `.venv/bin/python bench/extras.py [--quick]`.

Three servers: ours as it comes; ours with a limit of each kind for users, as one would set them; and ours with every
limit and budget there is. Each takes the same turns with and without all that (bench/bare.py), in turn, and is compared
with itself alone: two processes of the very same server differ by more than what is asked here, for as long as they
live. What they differ by is in the comparison as well, if less: each is started several times. Rounds are short and
many: one of them may differ from the next by a fifth, whatever the machine does besides.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import uvloop
from msgspec import Struct, field

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.parts.run import open_run

from bench.load import Load, carry_out
from bench.measure import say
from bench.systems import ROOT, House, Ours
from bench.systems import Kind as Store
from bench.table import Row, Table

Kind = Literal["usual", "each", "all"]

TITLES: Mapping[Kind, str] = {
    "usual": "as it comes",
    "each": "with a limit of each kind",
    "all": "with every limit and budget",
}
STORES: Sequence[Store] = ("sqlite", "postgres")
AT_ONCE = (1, 16, 64)
STARTS = 8
# Even: each is taken with the next one.
ROUNDS = 16
SETTLED_EVERY = 10


class Size(Struct, frozen=True):
    """Turns of each round, two for each that is asked at once at the least; after each change of what it does a server
    is slower for some turns, which `settle` it."""

    turns: int
    settle: int
    warm_up: int


FULL, QUICK = Size(turns=60, settle=16, warm_up=500), Size(turns=32, settle=1, warm_up=1)

MANY = "100000"
PLENTY = "1000000000000"
SETTINGS: Mapping[Kind, Mapping[str, str]] = {
    "usual": {},
    "each": {
        "PALAVER_TURNS_A_MINUTE": MANY,
        "PALAVER_REPLIES_AT_ONCE": MANY,
        "PALAVER_TOKENS_A_DAY": PLENTY,
        "PALAVER_MONEY_A_MONTH": "1000000",
    },
    "all": {
        **{f"PALAVER_{name}TURNS_A_MINUTE": MANY for name in ("", "APP_", "CONVERSATION_")},
        **{f"PALAVER_{name}REPLIES_AT_ONCE": MANY for name in ("", "APP_")},
        **{f"PALAVER_{name}TOKENS_A_{period}": PLENTY for name in ("", "APP_") for period in ("DAY", "MONTH")},
        **{f"PALAVER_{name}MONEY_A_MONTH": "1000000" for name in ("", "APP_")},
        "PALAVER_CONVERSATION_TOKENS": PLENTY,
    },
}

NOTES = """\
CPU ms of a stored turn; "server" is its process alone, "PostgreSQL" what that takes besides. Medians of rounds in which
a server takes the same turns with limits, ledger and metrics and without them (bench/bare.py)."""


class Cpu(NamedTuple):
    """CPU ms a turn."""

    server: float
    database: float


class Costs(Struct):
    """Of each round, with limits, ledger and metrics, and without them."""

    whole: list[Cpu] = field(default_factory=list)
    bare: list[Cpu] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Round by round: what slows down a whole round is in none of it. Whatever is measured first in a round is some
        hundredths dearer; in the next round it is the other one, so two make one figure."""
        ratios = [whole.server / bare.server for whole, bare in zip(self.whole, self.bare, strict=True)]
        return median(sqrt(one * other) for one, other in zip(ratios[::2], ratios[1::2], strict=True))


class Switched:
    """A server that does with or without them, whatever it is told."""

    def __init__(self, system: Ours) -> None:
        self.system = system
        self._switches = count(1)

    async def measure(self, size: Size, at_once: int, *, bare: bool) -> Cpu:
        process = self.system.server.process
        process.send(signal.SIGUSR1 if bare else signal.SIGUSR2)
        await process.wait_for_line(rf"^with(out)? {next(self._switches)}$", seconds=10)
        system, database = self.system, self.system.database_gauge
        fresh = at_once - len(system.sessions)
        if fresh > 0:
            system.sessions += await system.add_sessions(fresh)
            await self._take(at_once, size.warm_up)
        await self._take(at_once, max(size.settle, at_once))
        system.gauge.reset()
        if database is not None:
            database.reset()
        turns = max(size.turns, 2 * at_once)
        await self._take(at_once, turns)
        own = 0 if database is None else database.cpu_seconds()
        return Cpu(system.gauge.cpu_seconds() / turns * 1000, own / turns * 1000)

    async def _take(self, at_once: int, turns: int) -> None:
        """Asked for by this very process: to start one for each of so many rounds would take longer than the round."""
        system = self.system
        bodies = [[system.to_body(session)] for session in system.sessions[:at_once]]
        load = Load(port=system.port, path=system.path, token=system.token, bodies=bodies, turns=turns, seconds=60)
        taken = await carry_out(load)
        assert taken.turns == turns, "a minute is enough for a round"


async def measure(
    size: Size, starts: int, rounds: int, stores: Sequence[Store], at_once_each: Sequence[int]
) -> Table[Kind]:
    table: Table[Kind] = Table(TITLES, tuple(TITLES), apart="", notes=NOTES)
    with open_run() as run:
        house = House(run, None)
        await house.start_llm()
        for store in stores:
            costs: Mapping[int, Mapping[Kind, Costs]] = {
                at_once: {kind: Costs() for kind in TITLES} for at_once in at_once_each
            }
            for start in range(starts):
                say(f"Turns, {store}, start {start + 1} of {starts}.")
                await _measure_once(house, store, size, rounds, costs)
            for at_once, of_kinds in costs.items():
                _add(table, store, at_once, of_kinds)
    return table


def _add(table: Table[Kind], store: Store, at_once: int, of_kinds: Mapping[Kind, Costs]) -> None:
    def row(what: str, of: Callable[[Costs], Iterable[float]]) -> Row[Kind]:
        return Row(what, {kind: median(of(some)) for kind, some in of_kinds.items()}, digits=3)

    turn = f"stored turn, {store}, {at_once} at once"
    table.add(row(f"{turn}, server", lambda some: [cpu.server for cpu in some.whole]))
    table.add(row("- without limits, ledger and metrics", lambda some: [cpu.server for cpu in some.bare]))
    table.add(Row("- times that", {kind: some.ratio for kind, some in of_kinds.items()}, most=1.1))
    if store == "postgres":
        table.add(row("- PostgreSQL", lambda some: [cpu.database for cpu in some.whole]))
        table.add(row("- PostgreSQL without them", lambda some: [cpu.database for cpu in some.bare]))


async def _measure_once(
    house: House, store: Store, size: Size, rounds: int, costs: Mapping[int, Mapping[Kind, Costs]]
) -> None:
    command = [sys.executable, "-m", "bench.bare"]
    servers = {
        kind: Switched(await house.start_ours(store, {"PYTHONPATH": str(ROOT), **settings}, command))
        for kind, settings in SETTINGS.items()
    }
    for at_once, of_kinds in costs.items():
        for round_ in range(rounds):
            for kind, server in servers.items():
                if round_ % SETTLED_EVERY == 0:
                    server.system.settle()
                # Each about as often before as after the other.
                for bare in (True, False) if round_ % 2 else (False, True):
                    found = of_kinds[kind].bare if bare else of_kinds[kind].whole
                    found.append(await server.measure(size, at_once, bare=bare))
    for server in servers.values():
        await server.system.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="What limits, ledger and metrics cost a turn. Prints a table.")
    parser.add_argument("--quick", action="store_true", help="the smallest size: whether it works, not what it costs")
    quick = parser.parse_args().quick
    if not quick:
        # What is acknowledged is synced, by PostgreSQL too; tests do without.
        os.environ["PALAVER_TEST_FSYNC"] = "1"
    chosen = (QUICK, 1, 2, STORES[:1], AT_ONCE[:1]) if quick else (FULL, STARTS, ROUNDS, STORES, AT_ONCE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        table = runner.run(measure(*chosen))
    print(table.to_markdown())


if __name__ == "__main__":
    main()
