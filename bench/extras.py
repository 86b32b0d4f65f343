"""What limits, ledger and metrics cost a turn together: `.venv/bin/python bench/extras.py [--quick]`.

Four servers take the same turns, one after the other within each of many short rounds, so that a noisy second hits them
all, and none is always the first: ours as it is; ours with a limit of each kind for users, as one would set them; ours
with every limit and budget there is; and ours with all of it taken out (bench/bare.py). All of them are started anew
several times: two processes of the very same server differ by some hundredths for as long as they live.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Literal, TypeAlias

from msgspec.structs import replace

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.parts.run import open_run

from bench.measure import FULL, QUICK, Size, measure_system, say
from bench.systems import ROOT, House, System
from bench.systems import Kind as Store
from bench.table import Row, Table

Kind = Literal["without", "usual", "each", "all"]

TITLES: Mapping[Kind, str] = {
    "without": "without",
    "usual": "as it is",
    "each": "with a limit of each kind",
    "all": "with every limit and budget",
}
STORES: Sequence[Store] = ("sqlite", "postgres")
AT_ONCE = (1, 16, 64)
STARTS = 7
ROUNDS = 3
TURNS = 500

SHORT = replace(FULL, turns=TURNS)

MANY = "100000"
PLENTY = "1000000000000"
EACH: Mapping[str, str] = {
    "PALAVER_TURNS_A_MINUTE": MANY,
    "PALAVER_REPLIES_AT_ONCE": MANY,
    "PALAVER_TOKENS_A_DAY": PLENTY,
    "PALAVER_MONEY_A_MONTH": "1000000",
}
EVERY: Mapping[str, str] = {
    **{f"PALAVER_{name}TURNS_A_MINUTE": MANY for name in ("", "APP_", "CONVERSATION_")},
    **{f"PALAVER_{name}REPLIES_AT_ONCE": MANY for name in ("", "APP_")},
    **{f"PALAVER_{name}TOKENS_A_{period}": PLENTY for name in ("", "APP_") for period in ("DAY", "MONTH")},
    **{f"PALAVER_{name}MONEY_A_MONTH": "1000000" for name in ("", "APP_")},
    "PALAVER_CONVERSATION_TOKENS": PLENTY,
}

NOTES = """\
CPU ms of a stored turn, the server's process alone; PostgreSQL's own comes on top and is not compared here. Medians of
rounds in which each of the four takes the same turns after the other. "Without" is bench/bare.py: the same server
with limits, ledger and metrics taken out."""


Costs: TypeAlias = Mapping[Kind, list[float]]
"""CPU ms a turn, of each round."""


async def measure(
    size: Size, starts: int, rounds: int, stores: Sequence[Store], at_once_each: Sequence[int]
) -> Table[Kind]:
    table: Table[Kind] = Table(TITLES, ["usual", "each", "all"], apart="", notes=NOTES)
    with open_run() as run:
        house = House(run, None)
        await house.start_llm()
        for store in stores:
            costs: Mapping[int, Costs] = {at_once: {kind: [] for kind in TITLES} for at_once in at_once_each}
            for start in range(starts):
                say(f"Turns, {store}, start {start + 1} of {starts}.")
                await _measure_once(house, store, size, rounds, start, costs)
            for at_once, of_kinds in costs.items():
                found = {kind: median(some) for kind, some in of_kinds.items()}
                table.add(Row(f"stored turn, {store}, {at_once} at once, CPU ms", found, digits=3))
                table.add(Row("- times that without", _times_without(of_kinds), most=1.1))
    return table


async def _measure_once(
    house: House, store: Store, size: Size, rounds: int, start: int, costs: Mapping[int, Costs]
) -> None:
    systems: Mapping[Kind, System] = {
        "without": await house.start_ours(store, {"PYTHONPATH": str(ROOT)}, [sys.executable, "-m", "bench.bare"]),
        "usual": await house.start_ours(store),
        "each": await house.start_ours(store, EACH),
        "all": await house.start_ours(store, EVERY),
    }
    for at_once, of_kinds in costs.items():
        for round_ in range(rounds):
            for kind in _in_turn(start * rounds + round_):
                of_kinds[kind].append((await measure_system(systems[kind], size, at_once)).cpu)
    for system in systems.values():
        await system.stop()


def _times_without(costs: Costs) -> Mapping[Kind, float]:
    """Round by round: what slows down a whole round is in none of it."""
    return {
        kind: median(cost / without for cost, without in zip(some, costs["without"], strict=True))
        for kind, some in costs.items()
    }


def _in_turn(round_: int) -> Sequence[Kind]:
    """Each of them about as often before as after another."""
    kinds: Sequence[Kind] = tuple(TITLES)
    first = round_ // 2 % len(kinds)
    order = (*kinds[first:], *kinds[:first])
    return order if round_ % 2 else order[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description="What limits, ledger and metrics cost a turn. Prints a table.")
    parser.add_argument("--quick", action="store_true", help="the smallest size: whether it works, not what it costs")
    quick = parser.parse_args().quick
    if not quick:
        # What is acknowledged is synced, by PostgreSQL too; tests do without.
        os.environ["PALAVER_TEST_FSYNC"] = "1"
    if quick:
        table = asyncio.run(measure(QUICK, 1, 1, STORES[:1], AT_ONCE[:1]))
    else:
        table = asyncio.run(measure(SHORT, STARTS, ROUNDS, STORES, AT_ONCE))
    print(table.to_markdown())


if __name__ == "__main__":
    main()
