"""The load: clients that ask again as soon as they have their answer.

A process of its own, so that what it costs is not counted: `python -m bench.load` reads a `Load` as JSON from its
standard input and writes a `Taken` to its standard output.
"""

import asyncio
import sys
from collections.abc import Iterator
from itertools import cycle
from time import monotonic, perf_counter_ns

import msgspec
import uvloop

from bench.wire import connect, to_request


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A client for each entry of `bodies`, all at once, until `turns` are done in all or the `seconds` are over.

    A client sends its own bodies in order, over and over.
    """

    port: int
    path: str
    token: str | None
    bodies: list[list[str]]
    turns: int
    seconds: float


class Taken(msgspec.Struct, frozen=True):
    """What became of it. Nanoseconds from each request to its whole answer."""

    nanoseconds: list[int]

    @property
    def turns(self) -> int:
        return len(self.nanoseconds)

    def milliseconds(self, percent: int) -> float:
        """So many percent of the turns took no longer."""
        in_order = sorted(self.nanoseconds)
        return in_order[min(len(in_order) * percent // 100, len(in_order) - 1)] / 1e6


class Failed(Exception):
    """An answer was not 200."""


async def carry_out(load: Load) -> Taken:
    taken = Taken([])
    until = monotonic() + load.seconds
    left = iter(range(load.turns))
    async with asyncio.TaskGroup() as clients:
        for bodies in load.bodies:
            clients.create_task(_be_client(load, bodies, taken, left, until))
    return taken


async def _be_client(load: Load, bodies: list[str], taken: Taken, left: Iterator[int], until: float) -> None:
    requests = cycle([to_request(load.path, body.encode(), load.token) for body in bodies])
    connection = await connect("127.0.0.1", load.port)
    try:
        for _turn, request in zip(left, requests, strict=False):
            start = perf_counter_ns()
            answer = await connection.ask(request)
            taken.nanoseconds.append(perf_counter_ns() - start)
            if answer.status != 200:
                raise Failed(f"{load.path} answered {answer.status}: {answer.body[:500].decode(errors='replace')}")
            if monotonic() > until:
                return
    finally:
        connection.close()


def main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken = runner.run(carry_out(load))
    sys.stdout.buffer.write(msgspec.json.encode(taken))


if __name__ == "__main__":
    main()
