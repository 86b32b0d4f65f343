"""What a stream costs, beside the floor and the model asked directly. Prints a table.

`.venv/bin/python bench/stream.py`, or `make bench-stream`. Everything runs on this machine, over its loopback, in a
temporary folder, and ends with this process, however that ends. Linux only: the figures are the kernel's.
"""

import argparse
import asyncio
import os
import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal
from uuid import uuid4

import msgspec
from tests.parts.run import open_run

from bench.stream_load import Heard, Held, IdleLoad, StreamLoad, Way
from bench.stream_systems import StreamHouse, System, pin, run_load
from bench.table import Row, Table

Kind = Literal["floor-sse", "floor-ws", "sse", "ws", "whole"]

TITLES: Mapping[Kind, str] = {
    "floor-sse": "floor, SSE",
    "floor-ws": "floor, WebSocket",
    "sse": "ours, SSE",
    "ws": "ours, WebSocket, full_content=0",
    "whole": "ours, WebSocket",
}
FLOORS: Sequence[Kind] = ("floor-sse", "floor-ws")
OURS: Sequence[Kind] = ("sse", "ws")
ALL: Sequence[Kind] = tuple(TITLES)

NOTES = """\
CPU is user and system time of the server's processes, by the scheduler's count; that of PostgreSQL and Redis comes on
top. Ours keeps to SQLite but for the rows on two servers. A burst counts the whole turn, and of server-sent events the
coming of each listener; paced figures count from when all listeners are there. How late a piece is: from its writing by
the model to its reading by the client, less the same for a client that asks the model itself. Times are noise on a busy
machine."""


class Size(msgspec.Struct, frozen=True):
    """How much is measured."""

    repeats: int
    burst_replies: int
    burst_pieces: int
    listeners: tuple[int, ...]
    paced_replies: int
    paced_seconds: float
    paced_first: float
    held_replies: int
    held_seconds: float
    started: int
    firsts: int
    tokens: int
    paced_tokens: int
    sockets: tuple[int, int]


FULL = Size(
    repeats=3,
    burst_replies=10,
    burst_pieces=2000,
    listeners=(1, 2, 10),
    paced_replies=64,
    paced_seconds=6,
    paced_first=2,
    held_replies=300,
    held_seconds=60,
    started=500,
    firsts=300,
    tokens=10_000,
    paced_tokens=1000,
    sockets=(1000, 5000),
)
QUICK = Size(
    repeats=1,
    burst_replies=2,
    burst_pieces=200,
    listeners=(1, 2),
    paced_replies=4,
    paced_seconds=0.2,
    paced_first=0.3,
    held_replies=6,
    held_seconds=0.3,
    started=20,
    firsts=2,
    tokens=500,
    paced_tokens=20,
    sockets=(10, 50),
)


class Bench:
    """The systems under measurement, and the table that comes of it."""

    def __init__(self, house: StreamHouse, size: Size) -> None:
        self._house = house
        self._size = size
        self.table: Table[Kind] = Table(TITLES, OURS, apart="PostgreSQL's and Redis's own", notes=NOTES)
        self._llm_port = 0
        self._systems: dict[Kind, System] = {}

    async def run(self, only: str) -> None:
        self._llm_port = await self._house.start_llm()
        floor, ours = await self._house.start_floor(), await self._house.start_ours()
        self._systems = {kind: floor if kind in FLOORS else ours for kind in ALL}
        parts = {
            "burst": self._measure_burst,
            "paced": self._measure_paced,
            "held": self._measure_held,
            "start": self._measure_start,
            "first": self._measure_first,
            "bytes": self._measure_bytes,
            "memory": self._measure_memory,
            "pair": self._measure_pair,
        }
        for name, part in parts.items():
            if only in ("", name):
                await part()

    async def _measure_burst(self) -> None:
        size = self._size
        costs: dict[int, dict[Kind, float]] = {}
        for listeners in size.listeners:
            # A single one is there anyway; the others need a moment to come in.
            first = 0.0 if listeners == 1 else 0.2
            costs[listeners] = {}
            for kind in ALL if listeners == 1 else [kind for kind in ALL if kind not in FLOORS]:
                say(f"A burst of {size.burst_pieces:,} pieces, {listeners} listening: {TITLES[kind]}.")
                found = [
                    await self._take(
                        kind,
                        replies=size.burst_replies,
                        listeners=listeners,
                        pieces=size.burst_pieces,
                        first=first,
                        held=listeners > 1,
                    )
                    for _ in range(size.repeats)
                ]
                costs[listeners][kind] = median(micros(heard) for heard in found)
        for listeners, by_kind in costs.items():
            most = 10 if listeners == 1 else None
            self.table.add(Row(f"piece in a burst, CPU µs, {listeners} listening", by_kind, most=most, digits=1))
        self._add_further("burst", costs, most=3)

    async def _measure_paced(self) -> None:
        size = self._size
        costs: dict[int, dict[Kind, float]] = {}
        late: dict[int, dict[Kind, Heard]] = {}
        direct = await self._take_direct(size.paced_replies, 100, size.paced_seconds)
        for listeners in size.listeners:
            costs[listeners], late[listeners] = {}, {}
            for kind in ALL if listeners == 1 else [kind for kind in ALL if kind not in FLOORS]:
                say(f"{size.paced_replies} replies of 100 pieces a second, {listeners} listening: {TITLES[kind]}.")
                found = [
                    await self._take_paced(
                        kind, replies=size.paced_replies, rate=100, seconds=size.paced_seconds, listeners=listeners
                    )
                    for _ in range(size.repeats if listeners == 1 else 1)
                ]
                costs[listeners][kind] = median(micros(heard) for heard in found)
                late[listeners][kind] = sorted(found, key=lambda heard: heard.late_p99)[len(found) // 2]
        name = f"{size.paced_replies} replies × 100 a second"
        for listeners, by_kind in costs.items():
            most = 40 if listeners == 1 else None
            self.table.add(Row(f"piece, {name}, CPU µs, {listeners} listening", by_kind, most=most, digits=1))
            self._add_late(late[listeners], direct, listeners=listeners, most=5 if listeners == 1 else None)
        self._add_further("paced", costs, most=None)

    async def _measure_held(self) -> None:
        size = self._size
        direct = await self._take_direct(size.held_replies, 30, min(size.held_seconds, 15))
        ours = self._systems["sse"]
        cores = os.sched_getaffinity(0)
        pin(ours.pids, {min(cores)})
        late: dict[Kind, Heard] = {}
        for kind in OURS:
            say(f"{size.held_replies} replies of 30 pieces a second on one core: {TITLES[kind]}.")
            late[kind] = await self._take_paced(
                kind, replies=size.held_replies, rate=30, seconds=size.held_seconds, listeners=1
            )
        pin(ours.pids, cores)
        name = f"{size.held_replies} replies × 30 a second, {size.held_seconds:g} s, one core"
        lost = {kind: float(heard.lost) for kind, heard in late.items()}
        self.table.add(Row(f"{name}, replies lost", lost, most=0, digits=0))
        share = {kind: heard.cpu["server"] / heard.seconds for kind, heard in late.items()}
        self.table.add(Row("- share of the core", share, digits=2))
        self._add_late(late, direct, listeners=1, most=100)

    async def _measure_start(self) -> None:
        size = self._size
        late: dict[Kind, Heard] = {}
        for kind in OURS:
            say(f"{size.started} replies started within a second: {TITLES[kind]}.")
            late[kind] = await self._take(
                kind, replies=size.started, pieces=20, delay=0.05, together=True, spread=1.0, seconds=1
            )
        lost = {kind: float(heard.lost) for kind, heard in late.items()}
        self.table.add(Row(f"{size.started} replies started within a second, lost", lost, most=0, digits=0))
        self.table.add(Row("- asked for to first piece, ms, p99", {k: h.first_p99 for k, h in late.items()}, digits=0))

    async def _measure_first(self) -> None:
        found: dict[Kind, list[Heard]] = {}
        alone = []
        for _ in range(self._size.repeats):
            alone.append(await self._take_direct_firsts())
            for kind in (*FLOORS, *OURS):
                say(f"Time to the first piece: {TITLES[kind]}.")
                found.setdefault(kind, []).append(await self._take(kind, replies=self._size.firsts, pieces=2))
        least = median(heard.first_p50 for heard in alone)
        added = {kind: median(heard.first_p50 for heard in some) - least for kind, some in found.items()}
        self.table.add(Row("time to first piece added, ms, p50", added, most=1.5))
        least = median(heard.first_p99 for heard in alone)
        added = {kind: median(heard.first_p99 for heard in some) - least for kind, some in found.items()}
        self.table.add(Row("time to first piece added, ms, p99", added))

    async def _measure_bytes(self) -> None:
        size = self._size
        for tokens, delay, name in (
            (size.tokens, 0.0, "at once"),
            (size.tokens, 0.002, "500 a second"),
            (size.paced_tokens, 0.01, "100 a second"),
        ):
            say(f"Bytes of a reply of {tokens:,} tokens, {name}.")
            ratios: dict[Kind, float] = {}
            for kind in ALL if tokens == size.paced_tokens or not delay else (*FLOORS, *OURS):
                heard = await self._take(
                    kind, replies=1, pieces=tokens, delay=delay, stamped=False, seconds=tokens * delay
                )
                ratios[kind] = heard.bytes / heard.text_bytes
            # Tokens that come one by one are events one by one; the bar is for what can be gathered.
            most = None if delay else 4
            self.table.add(Row(f"reply of {tokens:,} tokens, {name}, bytes × its text", ratios, most=most, digits=1))

    async def _measure_memory(self) -> None:
        few, many = self._size.sockets
        kib: dict[Kind, float] = {}
        for kind in ("floor-ws", "ws"):
            say(f"Memory of {many:,} idle sockets: {TITLES[kind]}.")
            # Fresh ones: what was measured before has left its marks.
            system = await (self._house.start_floor() if kind in FLOORS else self._house.start_ours())
            sessions = await _add_sessions(kind, system, many)
            path = _path_of(kind)
            load = IdleLoad(
                port=system.port, token=system.token, paths=[path.format(session) for session in sessions],
                counts=[few, many], pid=system.pids[0],
            )  # fmt: skip
            held = await run_load(load, Held)
            kib[kind] = (held.kib[1] - held.kib[0]) / (many - few)
        self.table.add(Row(f"idle WebSocket, KiB, from {few:,} to {many:,}", kib, most=24, digits=1))

    async def _measure_pair(self) -> None:
        size = self._size
        pair = await self._house.start_pair()
        direct = await self._take_direct(size.paced_replies, 100, size.paced_seconds)
        name = f"{size.paced_replies} replies × 100 a second"
        for listeners in (1, 2):
            late: dict[Kind, Heard] = {}
            for kind in OURS:
                say(f"Two servers, {listeners} listening at the other one: {TITLES[kind]}.")
                late[kind] = await self._take_paced(
                    kind, replies=size.paced_replies, rate=100, seconds=size.paced_seconds, listeners=listeners,
                    system=pair,
                )  # fmt: skip
            costs = {kind: micros(heard) for kind, heard in late.items()}
            apart = sum(median(micros(heard, part) for heard in late.values()) for part in pair.apart)
            what = f"piece over two servers, {name}, CPU µs of both, {listeners} listening"
            self.table.add(Row(what, costs, digits=1, database=apart))
            self._add_late(late, direct, listeners=listeners, most=None)

    def _add_further(self, name: str, costs: Mapping[int, Mapping[Kind, float]], most: float | None) -> None:
        few, many = min(costs), max(costs)
        further = {kind: (cost - costs[few][kind]) / (many - few) for kind, cost in costs[many].items()}
        self.table.add(Row(f"- each further listener, {name}, CPU µs a piece", further, most=most, digits=1))

    def _add_late(self, late: Mapping[Kind, Heard], direct: Heard, *, listeners: int, most: float | None) -> None:
        added = {kind: heard.late_p50 - direct.late_p50 for kind, heard in late.items()}
        self.table.add(Row(f"- delay added, ms, p50, {listeners} listening", added, digits=1))
        added = {kind: heard.late_p99 - direct.late_p99 for kind, heard in late.items()}
        self.table.add(Row(f"- delay added, ms, p99, {listeners} listening", added, most=most, digits=1))

    async def _take_paced(
        self, kind: Kind, *, replies: int, rate: int, seconds: float, listeners: int, system: System | None = None
    ) -> Heard:
        return await take_paced(
            kind, system or self._systems[kind], self._llm_port, replies=replies, rate=rate, seconds=seconds,
            listeners=listeners, first=self._size.paced_first,
        )  # fmt: skip

    async def _take(
        self, kind: Kind, *, replies: int, pieces: int, delay: float = 0.0, first: float = 0.0, listeners: int = 1,
        together: bool = False, held: bool = False, spread: float = 0.0, seconds: float = 0.0, stamped: bool = True,
    ) -> Heard:  # fmt: skip
        return await take(
            kind, self._systems[kind], self._llm_port, replies=replies, pieces=pieces, delay=delay, first=first,
            listeners=listeners, together=together, held=held, spread=spread, seconds=seconds, stamped=stamped,
        )  # fmt: skip

    async def _take_direct(self, replies: int, rate: int, seconds: float) -> Heard:
        say(f"{replies} replies of {rate} pieces a second, from the model itself.")
        pieces = int(rate * seconds)
        load = StreamLoad(
            way="direct", port=self._llm_port, path="/v1/chat/completions",
            message=_to_message(pieces, 1 / rate, 0.5, stamped=True), sessions=[""] * replies, pieces=pieces,
            together=True, spread=0.3, seconds=seconds + 0.5,
        )  # fmt: skip
        return await _run(load)

    async def _take_direct_firsts(self) -> Heard:
        load = StreamLoad(
            way="direct", port=self._llm_port, path="/v1/chat/completions",
            message=_to_message(2, 0, 0, stamped=True), sessions=[""] * self._size.firsts, pieces=2, together=False,
            seconds=0,
        )  # fmt: skip
        return await _run(load)


async def take_paced(
    kind: Kind, where: System, llm_port: int, *, replies: int, rate: int, seconds: float, listeners: int, first: float
) -> Heard:
    return await take(
        kind, where, llm_port, replies=replies, pieces=int(rate * seconds), delay=1 / rate, first=first,
        listeners=listeners, together=True, held=True, spread=first / 4, seconds=seconds,
    )  # fmt: skip


async def take(
    kind: Kind, where: System, llm_port: int, *, replies: int, pieces: int, delay: float = 0.0, first: float = 0.0,
    listeners: int = 1, together: bool = False, held: bool = False, spread: float = 0.0, seconds: float = 0.0,
    stamped: bool = True,
) -> Heard:  # fmt: skip
    """`held`: however long they take to come, no piece is said before all listeners are there."""
    load = StreamLoad(
        way=_way_of(kind), port=where.port, elsewhere=where.elsewhere, token=where.token, path=_path_of(kind),
        message=_to_message(pieces, delay, first, stamped=stamped, held=held), held_by=llm_port if held else None,
        sessions=await _add_sessions(kind, where, replies), listeners=listeners, pieces=pieces, stamped=stamped,
        together=together, spread=spread, seconds=seconds + first, gauges=where.gauges,
    )  # fmt: skip
    return await _run(load)


async def _run(load: StreamLoad) -> Heard:
    heard = await run_load(load, Heard)
    cpu = ", ".join(f"{name} {seconds / heard.seconds:.2f}" for name, seconds in heard.cpu.items())
    say(
        f"  {heard.replies} replies, {heard.lost} lost, {heard.seconds:.1f} s; "
        f"late {heard.late_p50:.1f} / {heard.late_p99:.1f} / {heard.late_most:.1f} ms; "
        f"shares of a core: load {heard.own_share:.2f}, {cpu or 'none'}"
    )
    return heard


async def _add_sessions(kind: Kind, system: System, count: int) -> list[str]:
    if kind in ("ws", "whole"):
        return await system.add_sessions(count)
    return [uuid4().hex for _ in range(count)]


def _way_of(kind: Kind) -> Way:
    return "sse" if kind in ("floor-sse", "sse") else "ws"


def _path_of(kind: Kind) -> str:
    match kind:
        case "floor-sse":
            return "/"
        case "floor-ws":
            return "/{}"
        case "sse":
            return "/api/chat/stream/"
        case "ws":
            return "/ws/ai-chat/session/{}/?full_content=0"
        case "whole":
            return "/ws/ai-chat/session/{}/"


def _to_message(pieces: int, delay: float, first: float, *, stamped: bool, held: bool = False) -> str:
    further = f"{'&stamp=true' if stamped else ''}{'&hold={}' if held else ''}"
    return f"[[pieces={pieces}&delay={delay:g}&first={first:g}{further}]]"


def micros(heard: Heard, name: str = "server") -> float:
    return heard.cpu[name] / heard.pieces * 1e6


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def measure(size: Size, only: str) -> Table[Kind]:
    with open_run() as run:
        bench = Bench(StreamHouse(run), size)
        await bench.run(only)
        return bench.table


def main() -> None:
    parser = argparse.ArgumentParser(description="What a stream costs. Prints a table.")
    parser.add_argument("--quick", action="store_true", help="the smallest size: whether it works, not what it costs")
    parser.add_argument(
        "--only", default="", metavar="PART", help="of: burst, paced, held, start, first, bytes, memory, pair"
    )
    options = parser.parse_args()
    if platform.system() != "Linux":
        parser.exit(2, "The figures come from Linux's /proc, which this system does not have.\n")
    size = QUICK if options.quick else FULL
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < max(size.sockets) + 500:
        parser.exit(2, f"{max(size.sockets):,} sockets need a higher limit on open files (ulimit -Hn says {hard:,}).\n")
    if not options.quick:
        # What is acknowledged is synced, by PostgreSQL too; tests do without.
        os.environ["PALAVER_TEST_FSYNC"] = "1"
    try:
        table = asyncio.run(measure(size, options.only))
    except KeyboardInterrupt:
        parser.exit(130, "Stopped; what it had started is ended.\n")
    print(table.to_markdown())
