"""Half an hour of everything at once, and then nothing may have grown: `.venv/bin/python bench/soak.py [--minutes N]`.

Turns in one body, over server-sent events and over WebSockets that come and go, reads, messages between people, and
replies that are stopped. Descriptors, asyncio's tasks, threads, memory and SQLite's log are looked at all along; a line
through the second half of what was seen must be level.
"""

import argparse
import asyncio
import os
import random
import sys
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

# Run by its path, Python looks for modules in this folder only.
sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from msgspec import Struct
from tests.parts.palaver import Server
from tests.parts.run import open_run

from bench.load import Failed
from bench.picture import lines
from bench.stream_wire import Broken, Events, Frames, to_get, to_handshake
from bench.systems import ROOT, House, Ours
from bench.wire import Connection, connect, to_request

MINUTES = 30.0
SAMPLES = 240
LEAST_SECONDS = 0.25
PATIENCE_SECONDS = 60.0

# So much may be more at the end of the second half than at its beginning, by the line through it: what a server that
# stays as it is still varies by. A leak of one thing for each turn is thousands by then.
MAY_GROW: Mapping[str, float] = {"descriptors": 20, "tasks": 40, "threads": 2, "memory, MiB": 6, "WAL, MiB": 4}

EACH = 4
TALK = "[[pieces=20&delay=0.005]]"
LONG = "[[pieces=4000&delay=0.02]]"


class Sample(Struct, frozen=True):
    seconds: float
    seen: Mapping[str, float]


class Soaked(Struct, frozen=True):
    samples: Sequence[Sample]
    done: Mapping[str, int]
    broken: Mapping[str, int]

    def growth(self, what: str) -> float:
        """From the middle to the end, along the line that fits best; none where it was looked only once."""
        later = self.samples[len(self.samples) // 2 :]
        times, values = [one.seconds for one in later], [one.seen[what] for one in later]
        mean_time, mean = sum(times) / len(times), sum(values) / len(values)
        spread = sum((time - mean_time) ** 2 for time in times)
        if not spread:
            return 0.0
        slope = sum((time - mean_time) * (value - mean) for time, value in zip(times, values, strict=True)) / spread
        return slope * (times[-1] - times[0])

    @property
    def grown(self) -> Sequence[str]:
        return [what for what, most in MAY_GROW.items() if self.growth(what) > most]

    def to_markdown(self) -> str:
        rows = ["| what | at the beginning | in the middle | at the end | growth over the second half | may be |"]
        rows.append("| --- | --- | --- | --- | --- | --- |")
        first, middle, last = self.samples[0], self.samples[len(self.samples) // 2], self.samples[-1]
        for what, most in MAY_GROW.items():
            cells = (f"{one.seen[what]:.1f}" for one in (first, middle, last))
            rows.append(f"| {what} | {' | '.join(cells)} | {self.growth(what):+.1f} | {most:g} |")
        told = ", ".join(f"{count:,} {kind}" for kind, count in self.done.items())
        return "\n".join(
            [*rows, "", f"In {last.seconds / 60:.1f} minutes: {told}. Broken: {dict(self.broken) or 'none'}."]
        )

    def to_picture(self) -> str:
        series = {what: [(one.seconds, one.seen[what]) for one in self.samples] for what in MAY_GROW}
        return lines(f"{self.samples[-1].seconds / 60:.0f} minutes of everything at once", series)


class Life:
    """Those who use the server, until told to stop."""

    def __init__(self, port: int, alice: str, bob_uuid: str, pair: str, seed: int) -> None:
        self._port, self._token, self._pair = port, alice, pair
        self.bob = bob_uuid
        self._dice = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.over = False
        self._late: array[int] = array("q")

    async def live(self) -> None:
        kinds: Mapping[str, Callable[[], Awaitable[None]]] = {
            "turns": self._turn,
            "streams": self._stream,
            "sockets": self._socket,
            "reads": self._read,
            "messages to people": self._tell_person,
            "stops": self._stop,
        }
        async with asyncio.TaskGroup() as group:
            for kind, act in kinds.items():
                for _ in range(EACH):
                    group.create_task(self._repeat(kind, act))

    async def _repeat(self, kind: str, act: Callable[[], Awaitable[None]]) -> None:
        while not self.over:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await act()
                self.done[kind] += 1
            except (Broken, Failed, OSError, TimeoutError) as error:
                self.broken[f"{kind}: {error}"[:200]] += 1
            await asyncio.sleep(self._dice.uniform(0, 0.1))

    async def _turn(self) -> None:
        connection = await connect("127.0.0.1", self._port)
        try:
            body = await self._post(connection, "/api/chat", message="hello")
            for _ in range(4):
                await self._post(connection, "/api/chat", message="and then?", sessionId=body["sessionId"])
        finally:
            connection.close()

    async def _stream(self) -> None:
        hearer = await self._hearer(f"s{self._dice.getrandbits(64):x}", TALK)
        try:
            await hearer.ended
        finally:
            hearer.close()

    async def _stop(self) -> None:
        session = f"s{self._dice.getrandbits(64):x}"
        hearer = await self._hearer(session, LONG)
        try:
            await hearer.started
            connection = await connect("127.0.0.1", self._port)
            await self._post(connection, "/api/chat/stop/", session_id=session)
            connection.close()
            await hearer.ended
        finally:
            hearer.close()

    async def _hearer(self, session: str, message: str) -> Events:
        loop = asyncio.get_running_loop()
        _, hearer = await loop.create_connection(lambda: Events(self._late), "127.0.0.1", self._port)
        body = msgspec.json.encode({"message": message, "session_id": session})
        hearer.say(to_request("/api/chat/stream/", body, self._token))
        return hearer

    async def _socket(self) -> None:
        connection = await connect("127.0.0.1", self._port)
        session = (await self._post(connection, "/ai-chat/api/sessions/"))["id"]
        connection.close()
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(lambda: Frames(self._late), "127.0.0.1", self._port)
        try:
            socket.say(to_handshake(f"/ws/ai-chat/session/{session}/?full_content=0", self._token))
            await socket.opened
            for _ in range(3):
                socket.await_next()
                socket.say_text(msgspec.json.encode({"type": "send_message", "message": TALK}))
                await socket.ended
            if self._dice.random() < 0.5:
                # Some leave in the middle of it.
                socket.await_next()
                socket.say_text(msgspec.json.encode({"type": "send_message", "message": TALK}))
                await socket.started
        finally:
            socket.close()

    async def _read(self) -> None:
        connection = await connect("127.0.0.1", self._port)
        try:
            for path in ("/api/chat/sessions", f"/api/people/conversations/{self._pair}/messages", "/api/usage"):
                _check(await connection.ask(to_get(path, self._token)), path)
        finally:
            connection.close()

    async def _tell_person(self) -> None:
        connection = await connect("127.0.0.1", self._port)
        try:
            for number in range(5):
                await self._post(
                    connection, f"/api/people/conversations/{self._pair}/messages", content=f"No. {number}"
                )
        finally:
            connection.close()

    async def _post(self, connection: Connection, path: str, **fields: object) -> dict[str, str]:
        answer = await connection.ask(to_request(path, msgspec.json.encode(fields), self._token))
        body: dict[str, str] = msgspec.json.decode(_check(answer, path))
        return body


def _check(answer: tuple[int, bytes], path: str) -> bytes:
    status, body = answer
    if not 200 <= status < 300:
        raise Failed(f"{path} answered {status}: {body[:200]!r}")
    return body


async def soak(minutes: float, seed: int) -> Soaked:
    seconds = minutes * 60
    with open_run() as run:
        house = House(run, None)
        await house.start_llm()
        counted = run.folder / "tasks"
        command = [sys.executable, "-m", "bench.counted"]
        settings = {"PYTHONPATH": str(ROOT), "BENCH_TASKS": str(counted)}
        system = await house.start_ours("sqlite", settings, command)
        assert isinstance(system, Ours)
        assert system.token is not None
        server = system.server
        await server.token("bob")
        connection = await connect("127.0.0.1", system.port)
        request = to_request("/api/people/conversations", b'{"members": ["bob"]}', system.token)
        pair = msgspec.json.decode(_check(await connection.ask(request), "people"))
        connection.close()
        life = Life(system.port, system.token, "bob", pair["id"], seed)
        living = asyncio.create_task(life.live())
        samples = await _watch(system, server, counted, seconds, living)
        life.over = True
        await living
        await system.stop()
        return Soaked(samples, dict(life.done), dict(life.broken))


async def _watch(
    system: Ours, server: Server, counted: Path, seconds: float, living: "asyncio.Task[None]"
) -> Sequence[Sample]:
    samples: list[Sample] = []
    begun = monotonic()
    while (now := monotonic() - begun) < seconds and not living.done():
        samples.append(Sample(now, _look(system, server, counted)))
        await asyncio.sleep(max(seconds / SAMPLES, LEAST_SECONDS))
    return samples


def _look(system: Ours, server: Server, counted: Path) -> dict[str, float]:
    pid = system.gauge.root
    log = Path(server.environment["PALAVER_DATA_DIR"], "palaver.sqlite3-wal")
    tasks = 0.0
    with suppress(OSError, ValueError):
        tasks = float(counted.read_text())
    return {
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "tasks": tasks,
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "memory, MiB": system.gauge.memory_mib(),
        "WAL, MiB": log.stat().st_size / 1024 / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Everything at once, for long: nothing may grow.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"how long; {MINUTES:g} unless said otherwise")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--picture", type=Path, help="a file for a picture (SVG) of what was seen")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    soaked = asyncio.run(soak(options.minutes, options.seed))
    print(soaked.to_markdown())
    if options.picture:
        options.picture.write_text(soaked.to_picture())
    if soaked.grown or soaked.broken:
        parser.exit(1, f"Grown: {', '.join(soaked.grown) or 'nothing'}; broken: {len(soaked.broken)} kinds.\n")


if __name__ == "__main__":
    main()
