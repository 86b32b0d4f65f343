"""What a stored turn and a streamed piece cost, beside the same by the code of another checkout:
`.venv/bin/python bench/against.py CHECKOUT [--quick]`.

The other one has been made ready by a `make install` of its own. Its servers and ours are there at once and take the
same in turn, so that what the machine does besides hits both. Who asks, and the model that answers, are of this code.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

from msgspec import Struct

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.parts.run import open_run

from bench.measure import AT_ONCE, BARS, Figures, measure_system, say
from bench.measure import FULL as FULL_TURNS
from bench.measure import QUICK as QUICK_TURNS
from bench.measure import Size as TurnSize
from bench.stream_measure import Kind as Way
from bench.stream_measure import micros, take, take_paced
from bench.stream_systems import System
from bench.systems import House, Ours
from bench.systems import Kind as Store
from bench.table import Row, Table

Side = Literal["other", "this"]

WAYS: Mapping[Way, str] = {"sse": "SSE", "ws": "WebSocket"}
PALAVER = Path(".venv", "bin", "palaver")

NOTES = """\
CPU is user and system time of the server's process, by the scheduler's count; PostgreSQL's comes on top. All are
medians of rounds that the two took in turn; "times that" is the median of what it was in each round. Pieces are on
SQLite, with one listening to each reply; a burst counts the whole turn."""


class Size(Struct, frozen=True):
    """`rounds` of each, and how much is taken in one."""

    stores: Sequence[Store]
    at_once: Sequence[int]
    rounds: int
    in_round: TurnSize
    burst_pieces: int
    paced_replies: int
    paced_seconds: float
    paced_first: float


FULL = Size(
    stores=("sqlite", "postgres"), at_once=AT_ONCE, rounds=6, in_round=FULL_TURNS, burst_pieces=3000, paced_replies=64,
    paced_seconds=5, paced_first=2,
)  # fmt: skip
QUICK = Size(
    stores=("sqlite",), at_once=AT_ONCE[:1], rounds=1, in_round=QUICK_TURNS, burst_pieces=200, paced_replies=4,
    paced_seconds=0.2, paced_first=0.3,
)  # fmt: skip


class Bench:
    """`commands` stand for `palaver`."""

    def __init__(self, house: House, size: Size, commands: Mapping[Side, Sequence[str]], name: str) -> None:
        self._house = house
        self._size = size
        self._commands = commands
        titles: Mapping[Side, str] = {"other": name, "this": "this code"}
        self.table: Table[Side] = Table(titles, ("this",), apart="", notes=NOTES)

    async def run(self) -> None:
        await self._house.start_llm()
        for store in self._size.stores:
            servers = {side: await self._house.start_ours(store, {}, self._commands[side]) for side in self._commands}
            for at_once in self._size.at_once:
                await self._measure_turns(store, servers, at_once)
            if store == "sqlite":
                await self._measure_pieces(servers)
            for server in servers.values():
                await server.stop()

    async def _measure_turns(self, store: Store, servers: Mapping[Side, Ours], at_once: int) -> None:
        found: dict[Side, list[Figures]] = {side: [] for side in servers}
        for side in self._in_turn(f"Turns, {store}, {at_once} at once"):
            found[side].append(await measure_system(servers[side], self._size.in_round, at_once))
        cpu = {side: [figures.cpu for figures in some] for side, some in found.items()}
        self._add(f"stored turn, {store}, {at_once} at once, CPU ms", cpu, BARS.get(at_once))
        if store == "postgres":
            own = {side: median(figures.database_cpu for figures in some) for side, some in found.items()}
            self.table.add(Row("- PostgreSQL", own))

    async def _measure_pieces(self, servers: Mapping[Side, Ours]) -> None:
        size, port = self._size, self._house.llm_port
        systems = {side: System(server.port, server.token, [server.server.pid]) for side, server in servers.items()}
        for way, title in WAYS.items():
            bursts: dict[Side, list[float]] = {side: [] for side in systems}
            paced: dict[Side, list[float]] = {side: [] for side in systems}
            for side in self._in_turn(f"Pieces, {title}"):
                heard = await take(way, systems[side], port, replies=8, pieces=size.burst_pieces)
                bursts[side].append(micros(heard))
                heard = await take_paced(
                    way, systems[side], port, replies=size.paced_replies, rate=100, seconds=size.paced_seconds,
                    listeners=1, first=size.paced_first,
                )  # fmt: skip
                paced[side].append(micros(heard))
            self._add(f"piece in a burst, {title}, CPU µs", bursts, 10)
            self._add(f"piece, {size.paced_replies} replies × 100 a second, {title}, CPU µs", paced, 40)

    def _in_turn(self, what: str) -> Iterable[Side]:
        """Each in every round, about as often before as after the other."""
        for number in range(self._size.rounds):
            say(f"{what}, round {number + 1} of {self._size.rounds}.")
            yield from ("this", "other") if number % 2 else ("other", "this")

    def _add(self, what: str, costs: Mapping[Side, Sequence[float]], most: float | None) -> None:
        times = median(this / other for this, other in zip(costs["this"], costs["other"], strict=True))
        self.table.add(Row(what, {side: median(some) for side, some in costs.items()}, most=most))
        self.table.add(Row("- times that", {"other": 1, "this": times}))


async def measure(size: Size, checkout: Path) -> Table[Side]:
    commands: Mapping[Side, Sequence[str]] = {
        "other": [str(checkout / PALAVER)],
        "this": [str(Path(__file__).parents[1] / PALAVER)],
    }
    with open_run() as run:
        bench = Bench(House(run, None), size, commands, _name_of(checkout))
        await bench.run()
        return bench.table


def _name_of(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or checkout.name


def main() -> None:
    parser = argparse.ArgumentParser(description="What this code costs beside another checkout's. Prints a table.")
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--quick", action="store_true", help="the smallest size: whether it works, not what it costs")
    options = parser.parse_args()
    if not (options.checkout / PALAVER).exists():
        parser.exit(2, f"There is no palaver in {options.checkout}: run `make install` there.\n")
    if not options.quick:
        # What is acknowledged is synced, by PostgreSQL too; tests do without.
        os.environ["PALAVER_TEST_FSYNC"] = "1"
    print(asyncio.run(measure(QUICK if options.quick else FULL, options.checkout.resolve())).to_markdown())


if __name__ == "__main__":
    main()
