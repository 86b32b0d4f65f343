"""Turns that arrive at a rate, whether the ones before have their answers or not: what people do who know nothing of
each other. Clients that wait for their answer before they ask again can never ask for more than a server gives.

A process of its own, so that what it costs is not counted: `python -m bench.arrivals` reads `Arrivals` as JSON from its
standard input and writes `Answered` to its standard output.
"""

import asyncio
import resource
import sys
from array import array
from collections import deque
from time import perf_counter, perf_counter_ns, process_time

import msgspec
import uvloop

from bench.wire import Connection, connect, to_request

# How often it is looked whether somebody is due. Latencies count from when one was due, not from when it was looked.
TICK_SECONDS = 0.002

# The server closes what says nothing for five seconds, and may do so while the next request is on its way.
STALE_NANOSECONDS = 4_000_000_000

# Where nobody has had an answer for so long, nobody gets one any more.
PATIENCE_SECONDS = 60.0


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` a second, for so many `seconds`; each says the one of `bodies` that has had its answer for longest.

    Each takes a connection that is idle, or a new one. Whoever finds all of `bodies` still waiting for their answers
    asks nothing, and counts as `unheard`: nobody says more in a conversation that does not answer.
    """

    port: int
    path: str
    token: str | None
    bodies: list[str]
    rate: float
    seconds: float


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of them. Nanoseconds from when each was due to its whole answer."""

    offered: int
    done: list[int]
    done_in_time: int
    """Those of `done` that were answered while others still arrived."""
    refused: list[int]
    others: dict[int, int]
    """Further statuses, and how often they came."""
    unheard: int
    broken: int
    """Connections that were closed instead of an answer, and answers that never came."""
    connections: int
    late: float
    """The latest that one was sent after it was due, in milliseconds: this process's own fault."""
    own_share: float
    """Of a core."""


class Crowd:
    def __init__(self, load: Arrivals) -> None:
        self._load = load
        self._requests = deque(to_request(load.path, body.encode(), load.token) for body in load.bodies)
        # With when each was used last: the latest at the end.
        self._idle: list[tuple[Connection, int]] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._done, self._refused = array("q"), array("q")
        self._others: dict[int, int] = {}
        self._in_time = self._unheard = self._broken = self._connections = 0
        self._over = False

    async def come(self) -> Answered:
        load = self._load
        count = int(load.rate * load.seconds)
        late = 0.0
        spent, start = process_time(), perf_counter_ns()
        each = 1e9 / load.rate
        number = 0
        while number < count:
            now = perf_counter_ns()
            while number < count and start + number * each <= now:
                due = int(start + number * each)
                late = max(late, (now - due) / 1e6)
                self._send(due)
                number += 1
            await asyncio.sleep(TICK_SECONDS)
        self._over = True
        took = (perf_counter_ns() - start) / 1e9
        own_share = (process_time() - spent) / took
        await self._wait_for_all()
        return Answered(
            offered=count, done=list(self._done), done_in_time=self._in_time, refused=list(self._refused),
            others=self._others, unheard=self._unheard, broken=self._broken, connections=self._connections, late=late,
            own_share=own_share,
        )  # fmt: skip

    async def _wait_for_all(self) -> None:
        left = set(self._asking)
        while left:
            answered, left = await asyncio.wait(left, timeout=PATIENCE_SECONDS)
            if not answered:
                break
        self._broken += len(left)

    def _send(self, due: int) -> None:
        if not self._requests:
            self._unheard += 1
            return
        connection = None
        # One may have been due long before: this process may have stood still.
        now = perf_counter_ns()
        while self._idle and connection is None:
            connection, used = self._idle.pop()
            if connection.is_closed or now - used > STALE_NANOSECONDS:
                connection = None
        self._connections += connection is None
        task = asyncio.ensure_future(self._ask(connection, self._requests.popleft(), due))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, connection: Connection | None, request: bytes, due: int) -> None:
        try:
            connection = connection or await connect("127.0.0.1", self._load.port)
            answer = await connection.ask(request)
        except OSError:
            self._broken += 1
            return
        took = perf_counter_ns() - due
        self._requests.append(request)
        self._idle.append((connection, due + took))
        if answer.status == 200:
            self._done.append(took)
            self._in_time += not self._over
        elif answer.status == 503:
            self._refused.append(took)
        else:
            self._others[answer.status] = self._others.get(answer.status, 0) + 1


def main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Arrivals)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    begun = perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answered = runner.run(Crowd(load).come())
    print(f"{perf_counter() - begun:.1f} s", file=sys.stderr)
    sys.stdout.buffer.write(msgspec.json.encode(answered))


if __name__ == "__main__":
    main()
