"""The load of a streaming benchmark: people who ask, and people who listen.

A process of its own, so that what it costs is not counted: `python -m bench.stream_load` reads a `StreamLoad` or an
`IdleLoad` as JSON from its standard input and writes a `Heard` or a `Held` to its standard output.
"""

import asyncio
import sys
from array import array
from collections.abc import Mapping, Sequence
from time import monotonic_ns, perf_counter, process_time
from typing import Literal, TypeVar, assert_never
from urllib.parse import quote
from uuid import uuid4

import msgspec
import uvloop

from bench.gauge import Gauge
from bench.stream_wire import Broken, Completion, Events, Frames, Hearing, to_get, to_handshake
from bench.wire import connect, to_request

# A reply whose end is not heard for so long after its last piece was due is lost.
PATIENCE_SECONDS = 30

# How many sockets are opened at once.
_OPENING = 64

# For what was put off at an opening to be done before memory is read.
_SETTLE_SECONDS = 2.0

Way = Literal["sse", "ws", "direct"]


class StreamLoad(msgspec.Struct, frozen=True, kw_only=True, tag="stream"):
    """A reply for each of `sessions`, every one of them heard by so many `listeners`.

    `together`: all are asked for within `spread` seconds, and CPU time counts once all listeners are there. Otherwise
    one after the other, and all of it counts; a session may then come more than once. `elsewhere` is another server of
    the same conversations: the listeners are there, and who asks leaves at once.
    """

    way: Way
    port: int
    elsewhere: int | None = None
    token: str | None = None
    path: str
    """Where one asks; of a socket, with `{}` for the session."""
    message: str
    """With `hold={}` in its script where the model is told when it may begin."""
    held_by: int | None = None
    """The port of that model. It begins once all listeners are there, or later, as the script says."""
    sessions: list[str]
    listeners: int = 1
    pieces: int
    stamped: bool = True
    """Whether each piece says when it was written; only then can be counted how many came, and how late."""
    together: bool
    spread: float = 0.0
    seconds: float
    """How long a reply takes."""
    gauges: Mapping[str, list[int]] = {}
    """Whose CPU time to count, by name."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Times in milliseconds; `late` is from where a piece was written to where it was heard."""

    replies: int
    lost: int
    pieces: int
    """Those that were said while CPU time was counted, however many heard them."""
    bytes: int
    text_bytes: int
    late_p50: float
    late_p99: float
    late_most: float
    first_p50: float
    first_p99: float
    cpu: Mapping[str, float]
    own_share: float
    """Of a core, while it was counted."""
    seconds: float


class IdleLoad(msgspec.Struct, frozen=True, kw_only=True, tag="idle"):
    """Sockets at `paths` that do nothing. The memory of `pid` is read when so many as `counts` say are open."""

    port: int
    token: str | None
    paths: list[str]
    counts: list[int]
    pid: int


class Held(msgspec.Struct, frozen=True):
    kib: list[float]


Load = StreamLoad | IdleLoad

H = TypeVar("H", bound=Hearing)


class Talk:
    """One reply and its listeners; the first of them is there first."""

    def __init__(self, hearers: Sequence[Hearing], asked_at: int) -> None:
        self.hearers = hearers
        self.asked_at = asked_at

    @property
    def pieces(self) -> int:
        return self.hearers[0].pieces


class People:
    """They ask and listen as the load says."""

    def __init__(self, load: StreamLoad) -> None:
        self.load = load
        self.late: array[int] = array("q")
        self.firsts: array[int] = array("q")
        self.bytes = self.text_bytes = self.lost = self.replies = 0
        self._hold = uuid4().hex
        self._sockets: dict[str, list[Frames]] = {}
        self._askers: dict[str, Frames] = {}

    async def come(self) -> None:
        """Whoever is there before anybody asks."""
        if self.load.way != "ws":
            return
        opening = asyncio.Semaphore(_OPENING)

        async def come(session: str) -> None:
            async with opening:
                port = self.load.elsewhere or self.load.port
                self._sockets[session] = [await self._open(port, session) for _ in range(self.load.listeners)]
                if self.load.elsewhere:
                    self._askers[session] = await self._open(self.load.port, session)

        async with asyncio.TaskGroup() as group:
            for session in dict.fromkeys(self.load.sessions):
                group.create_task(come(session))

    async def ask(self, session: str) -> Talk:
        """Returns once all listeners of the reply are there."""
        match self.load.way:
            case "sse":
                return await self._ask_by_events(session)
            case "ws":
                return await self._ask_by_socket(session)
            case "direct":
                return await self._ask_directly()
            case _:
                assert_never(self.load.way)

    @property
    def _message(self) -> str:
        return self.load.message.format(self._hold) if self.load.held_by else self.load.message

    async def let_go(self) -> None:
        """The model may begin with all that was asked; with what is asked from now on it waits again."""
        if self.load.held_by is None:
            return
        connection = await connect("127.0.0.1", self.load.held_by)
        answer = await connection.ask(to_request("/_let_go", msgspec.json.encode({"hold": self._hold})))
        connection.close()
        if answer.status != 200:
            raise Broken(f"the model goes on holding: {answer}")
        self._hold = uuid4().hex

    async def hear_out(self, talk: Talk) -> None:
        """Until all have heard the end; what was heard is added up."""
        self.replies += 1
        waiting = [hearer.ended for hearer in talk.hearers]
        done, late = await asyncio.wait(waiting, timeout=self.load.seconds + PATIENCE_SECONDS)
        broken = [error for future in done if (error := future.exception())]
        short = [hearer.pieces for hearer in talk.hearers if hearer.pieces != self.load.pieces]
        if broken or late or (short and self.load.stamped):
            self.lost += 1
            print(f"lost: {broken} {len(late)} never ended, pieces: {short}", file=sys.stderr)
        if talk.hearers[0].first_at:
            self.firsts.append(talk.hearers[0].first_at - talk.asked_at)
        for hearer in talk.hearers:
            self.bytes += hearer.bytes
            self.text_bytes += hearer.text_bytes
            hearer.bytes = hearer.text_bytes = 0
            if self.load.way != "ws":
                hearer.close()

    async def _ask_by_events(self, session: str) -> Talk:
        load = self.load
        asked_at = monotonic_ns()
        first = await self._connect(Events, load.port)
        body = msgspec.json.encode({"message": self._message, "session_id": session})
        first.say(to_request(load.path, body, load.token))
        await first.started
        hearers = [first]
        if load.elsewhere:
            first.close()
            hearers = []
        on = to_get(f"{load.path}?session_id={quote(session)}", load.token)
        for _ in range(load.listeners - len(hearers)):
            further = await self._connect(Events, load.elsewhere or load.port)
            further.say(on)
            await further.started
            further.since = monotonic_ns()
            hearers.append(further)
        return Talk(hearers, asked_at)

    async def _ask_by_socket(self, session: str) -> Talk:
        hearers = self._sockets[session]
        for hearer in hearers:
            hearer.await_next()
        asker = self._askers.get(session, hearers[0])
        asked_at = monotonic_ns()
        asker.say_text(msgspec.json.encode({"type": "send_message", "message": self._message}))
        if asker is not hearers[0]:
            await asker.started
            asker.close()
        for hearer in hearers:
            await hearer.started
        return Talk(hearers, asked_at)

    async def _ask_directly(self) -> Talk:
        asked_at = monotonic_ns()
        hearer = await self._connect(Completion, self.load.port)
        messages = [{"role": "user", "content": self._message}]
        body = msgspec.json.encode({"model": "gpt-4", "messages": messages, "stream": True})
        hearer.say(to_request(self.load.path, body))
        return Talk([hearer], asked_at)

    async def _open(self, port: int, session: str) -> Frames:
        socket = await self._connect(Frames, port)
        socket.say(to_handshake(self.load.path.format(session), self.load.token))
        await socket.opened
        return socket

    async def _connect(self, kind: type[H], port: int) -> H:
        loop = asyncio.get_running_loop()
        _transport, hearing = await loop.create_connection(lambda: kind(self.late), "127.0.0.1", port)
        return hearing


class Account:
    """CPU time and pieces from one moment to another."""

    def __init__(self, gauges: Mapping[str, list[int]]) -> None:
        self._gauges = {name: [Gauge(pid) for pid in pids] for name, pids in gauges.items()}
        self._own = process_time()
        self._begun = perf_counter()

    def cpu(self) -> dict[str, float]:
        return {name: sum(gauge.cpu_seconds() for gauge in gauges) for name, gauges in self._gauges.items()}

    def seconds(self) -> float:
        return perf_counter() - self._begun

    def own_share(self) -> float:
        return (process_time() - self._own) / self.seconds()


async def stream(load: StreamLoad) -> Heard:
    people = People(load)
    await people.come()
    account = Account(load.gauges)
    heard_before = 0
    if load.together:
        talks = await _ask_all(people, load)
        account = Account(load.gauges)
        heard_before = sum(talk.pieces for talk in talks)
        await people.let_go()
        await asyncio.gather(*(people.hear_out(talk) for talk in talks))
    else:
        for session in load.sessions:
            talk = await people.ask(session)
            await people.let_go()
            await people.hear_out(talk)
    pieces = load.pieces * len(load.sessions) - heard_before
    return Heard(
        replies=people.replies,
        lost=people.lost,
        pieces=pieces,
        bytes=people.bytes,
        text_bytes=people.text_bytes,
        late_p50=_percentile(people.late, 50),
        late_p99=_percentile(people.late, 99),
        late_most=_percentile(people.late, 100),
        first_p50=_percentile(people.firsts, 50),
        first_p99=_percentile(people.firsts, 99),
        own_share=account.own_share(),
        seconds=account.seconds(),
        cpu=account.cpu(),
    )


async def _ask_all(people: People, load: StreamLoad) -> list[Talk]:
    count = len(load.sessions)

    async def ask(index: int) -> Talk | None:
        await asyncio.sleep(load.spread * index / count)
        try:
            return await people.ask(load.sessions[index])
        except (Broken, OSError) as error:
            print(f"lost: {error}", file=sys.stderr)
            people.replies += 1
            people.lost += 1
            return None

    asked = await asyncio.gather(*(ask(index) for index in range(count)))
    return [talk for talk in asked if talk is not None]


async def be_idle(load: IdleLoad) -> Held:
    loop = asyncio.get_running_loop()
    late: array[int] = array("q")
    open_sockets: list[Frames] = []
    opening = asyncio.Semaphore(_OPENING)
    gauge = Gauge(load.pid)

    async def open_one(path: str) -> None:
        async with opening:
            _transport, socket = await loop.create_connection(lambda: Frames(late), "127.0.0.1", load.port)
            socket.say(to_handshake(path, load.token))
            await socket.opened
            open_sockets.append(socket)

    kib = []
    for count in load.counts:
        async with asyncio.TaskGroup() as group:
            for path in load.paths[len(open_sockets) : count]:
                group.create_task(open_one(path))
        await asyncio.sleep(_SETTLE_SECONDS)
        kib.append(gauge.memory_mib() * 1024)
    for socket in open_sockets:
        socket.close()
    return Held(kib)


def _percentile(nanoseconds: "array[int]", percent: int) -> float:
    """Milliseconds; so many percent took no longer."""
    if not nanoseconds:
        return 0.0
    in_order = sorted(nanoseconds)
    return in_order[min(len(in_order) * percent // 100, len(in_order) - 1)] / 1e6


async def carry_out(load: Load) -> Heard | Held:
    return await (stream(load) if isinstance(load, StreamLoad) else be_idle(load))


def main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        done = runner.run(carry_out(load))
    sys.stdout.buffer.write(msgspec.json.encode(done))


if __name__ == "__main__":
    main()
