"""What streams, each as processes of its own: ours alone, ours as two servers, the floor; and their model."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from tests.parts.palaver import Server
from tests.parts.postgres import Postgres
from tests.parts.process import Process, bare_environment
from tests.parts.redis import Redis
from tests.parts.run import Run

from bench.load import Failed
from bench.stream_load import Load
from bench.systems import ROOT, House, read_postmaster
from bench.wire import connect, to_request

T = TypeVar("T")

_SECONDS_TO_START = 30
_AT_ONCE = 16
_SHOWN = 3000


class System(msgspec.Struct, frozen=True):
    """A running server, or two of the same conversations. `gauges` are the processes whose CPU time counts."""

    port: int
    token: str | None
    pids: list[int]
    elsewhere: int | None = None
    apart: Mapping[str, list[int]] = {}

    @property
    def gauges(self) -> dict[str, list[int]]:
        return {"server": self.pids, **self.apart}

    async def add_sessions(self, count: int) -> list[str]:
        """New conversations of ai_chat."""
        left = iter(range(count))
        sessions: list[str] = []

        async def add() -> None:
            connection = await connect("127.0.0.1", self.port)
            for _ in left:
                answer = await connection.ask(to_request("/ai-chat/api/sessions/", b"{}", self.token))
                if answer.status != 201:
                    raise Failed(f"A session was answered with {answer.status}: {answer.body[:500]!r}")
                sessions.append(msgspec.json.decode(answer.body)["id"])
            connection.close()

        await asyncio.gather(*(add() for _ in range(min(_AT_ONCE, count))))
        return sessions


class StreamHouse:
    """Starts everything within one `Run`, which ends it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._house = House(run, None)

    async def start_llm(self) -> int:
        """The model's port."""
        await self._house.start_llm()
        return self._house.llm_port

    async def start_floor(self) -> System:
        folder = self._run.make_folder("floor")
        command = [sys.executable, "-m", "bench.stream_floor", str(folder), self._house.llm_url]
        environment = {**bare_environment(), "PYTHONPATH": str(ROOT)}
        process = Process(self._run, command, name="floor", log=folder / "log", environment=environment)
        line = await process.wait_for_line(r"^ready on (http://\S+)$", seconds=_SECONDS_TO_START)
        return System(_to_port(line[1]), None, [process.pid])

    async def start_ours(self) -> System:
        """With SQLite."""
        server = await self._start({})
        return System(_to_port(server.url), await server.token("bench"), [server.pid])

    async def start_pair(self) -> System:
        """Two servers over PostgreSQL and Redis. Clients choose between them here, as a load balancer would."""
        postgres, redis = Postgres(self._run), Redis(self._run)
        await redis.start()
        environment = {
            "PALAVER_DATABASE_URL": postgres.url(postgres.create_database()),
            "PALAVER_REDIS_URL": redis.url,
        }
        one, other = await self._start(environment), await self._start(environment)
        apart = {"PostgreSQL": [read_postmaster(postgres)], "Redis": [redis.process.pid]}
        token = await one.token("bench")
        return System(_to_port(one.url), token, [one.pid, other.pid], _to_port(other.url), apart)

    async def _start(self, environment: Mapping[str, str]) -> Server:
        usual = {
            "PALAVER_DISCOVER_PORTS": "",
            "PALAVER_EXACT_TOKENS": "off",
            "LLM_SERVER_URL": self._house.llm_url,
            "PALAVER_DRAIN_SECONDS": "1",
        }
        server = Server(self._run, self._run.make_folder("palaver"), {**usual, **environment})
        await server.start()
        return server


async def run_load(load: Load, outcome: type[T]) -> T:
    """What came of it. `Failed` where it was not carried out; what was lost is told on standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.stream_load", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        output, errors = await process.communicate(msgspec.json.encode(load))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if errors:
        print(errors.decode(errors="replace")[:_SHOWN], file=sys.stderr, flush=True)
    if process.returncode != 0:
        raise Failed(errors.decode(errors="replace"))
    return msgspec.json.decode(output, type=outcome)


def pin(pids: list[int], cores: set[int]) -> None:
    """Has these processes run on those cores alone."""
    for pid in pids:
        for thread in Path("/proc", str(pid), "task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def _to_port(url: str) -> int:
    return urlsplit(url).port or 80
