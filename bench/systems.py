"""What is measured, each as a process of its own: ours on either store, the floor, the baseline; and their model."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from tests.parts.palaver import Server
from tests.parts.postgres import Postgres
from tests.parts.process import Process, bare_environment
from tests.parts.run import Run

from bench.gauge import Gauge
from bench.load import Failed
from bench.wire import Answer, Connection, connect, to_request

ROOT = Path(__file__).parents[1]
WINDOW = 20
WHOLE = -1
MESSAGE = "What is a yeast starter, and how do I keep one alive?"
PREFILLED = "Flour and water that wild yeast has moved into, fed once a day and kept at the temperature of the room."

_SECONDS_TO_START = 30

# Each conversation has a first turn already; with it there are `count` messages.
_PREFILL_OURS = """
WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO messages (conversation_id, number, parent_number, uuid, role, status, content, created_at, token_count)
SELECT c.id, i, i - 1, 'bench-' || c.id || '-' || i, CASE i % 2 WHEN 1 THEN 'user' ELSE 'assistant' END, 'complete',
  '{text}', c.created_at + i, 25 FROM conversations c, n WHERE c.uuid IN ({ids}) AND {count} > 2;
UPDATE conversations SET last_number = {count}, leaf_number = {count}, message_count = {count},
  exchange_count = {count} / 2 WHERE uuid IN ({ids})
"""
_PREFILL_PLAIN = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO messages (session_id, role, content, created_at)
SELECT s, CASE i % 2 WHEN 1 THEN 'user' ELSE 'assistant' END, '{text}', {now}
FROM (SELECT value AS s FROM json_each('{ids}')), n
"""

Kind = Literal["floor", "sqlite", "postgres", "baseline"]


class System:
    """A running server with a way in, and sessions of its clients."""

    kind: Kind
    path = "/api/chat"
    token: str | None = None

    def __init__(self, url: str, pid: int) -> None:
        self.port = urlsplit(url).port or 80
        self.gauge = Gauge(pid)
        self.database_gauge: Gauge | None = None
        self.sessions: list[str] = []

    async def add_sessions(self, count: int) -> list[str]:
        """New conversations, with what a first turn leaves in them."""
        return await asyncio.gather(*(self._add_session() for _ in range(count)))

    def prefill(self, sessions: Sequence[str], count: int) -> None:
        """Has `count` messages in each of them, straight in the store."""
        raise NotImplementedError

    def settle(self) -> None:
        """Has the store do now what it has put off, so that it does not fall into what is measured next."""

    async def stop(self) -> None:
        raise NotImplementedError

    def to_body(self, session: str) -> str:
        return msgspec.json.encode({"message": MESSAGE, "sessionId": session}).decode()

    async def _add_session(self) -> str:
        answer = await ask_once(self.port, self.path, {"message": MESSAGE}, self.token)
        return str(msgspec.json.decode(answer.body)["sessionId"])


class Ours(System):
    def __init__(self, kind: Kind, server: Server, token: str, postgres: Postgres | None, database: str) -> None:
        super().__init__(server.url, server.pid)
        self.kind = kind
        self.token = token
        self.server = server
        self._postgres = postgres
        self._database = database
        if postgres is not None:
            self.database_gauge = Gauge(read_postmaster(postgres))

    def prefill(self, sessions: Sequence[str], count: int) -> None:
        sql = _PREFILL_OURS.format(count=count, text=PREFILLED, ids=",".join(f"'{session}'" for session in sessions))
        if self._postgres is not None:
            self._postgres.execute(sql, database=self._database)
            self._postgres.execute("VACUUM ANALYZE", database=self._database)
        else:
            _execute(Path(self.server.environment["PALAVER_DATA_DIR"], "palaver.sqlite3"), sql)

    def settle(self) -> None:
        if self._postgres is not None:
            self._postgres.execute("CHECKPOINT")

    async def stop(self) -> None:
        await self.server.end()


class Plain(System):
    """The floor or the baseline: started with FOLDER LLM-URL WINDOW."""

    def __init__(self, kind: Kind, process: Process, url: str, file: Path) -> None:
        super().__init__(url, process.pid)
        self.kind = kind
        self._process = process
        self._file = file
        self._count = 0

    async def _add_session(self) -> str:
        if self.kind == "baseline":
            return await super()._add_session()
        self._count += 1
        return f"session-{self._count}"

    def prefill(self, sessions: Sequence[str], count: int) -> None:
        now = "'2026-01-01 00:00:00.000000'" if self.kind == "baseline" else "0"
        have = 2 if self.kind == "baseline" else 0
        ids = msgspec.json.encode(list(sessions)).decode()
        _execute(self._file, _PREFILL_PLAIN.format(count=count - have, text=PREFILLED, ids=ids, now=now))

    async def stop(self) -> None:
        self._process.kill()


class Started(msgspec.Struct, frozen=True):
    """How long a start took, from the spawn to its line that it is ready, and what it holds when it rests."""

    first_seconds: float
    again_seconds: float
    memory_mib: float


class House:
    """Starts everything within one `Run`, which ends it."""

    def __init__(self, run: Run, baseline_python: Path | None) -> None:
        self._run = run
        self._baseline_python = baseline_python
        self._postgres: Postgres | None = None
        self.llm_url = ""
        self.llm_pid = 0

    @property
    def llm_port(self) -> int:
        return urlsplit(self.llm_url).port or 80

    @property
    def kinds(self) -> tuple[Kind, ...]:
        ours: tuple[Kind, ...] = ("floor", "sqlite", "postgres")
        return ours if self._baseline_python is None else (*ours, "baseline")

    async def start_llm(self) -> None:
        command = [sys.executable, "-m", "palaver.llm_server", "--port", "0", "--record", "0"]
        process = Process(self._run, command, name="llm-server", log=self._run.make_folder("llm") / "log")
        line = await process.wait_for_line(r"^llm-server on (http://\S+)$", seconds=_SECONDS_TO_START)
        self.llm_url, self.llm_pid = line[1], process.pid

    async def start(self, kind: Kind, window: int = WINDOW) -> System:
        if kind in ("floor", "baseline"):
            return await self._start_plain(kind, self._run.make_folder(kind), window)
        return await self.start_ours(kind)

    async def start_ours(self, kind: Kind, settings: Mapping[str, str] = {}, command: Sequence[str] = ()) -> Ours:
        """`command` stands for `palaver`."""
        server, database = self._make_server(kind, settings, command)
        await server.start()
        return Ours(kind, server, await server.token("bench"), self._postgres_of(kind), database)

    async def measure_start(self, kind: Kind, times: int, rest: float) -> Started:
        if kind in ("floor", "baseline"):
            return await self._measure_plain_start(kind, times, rest)
        server, _ = self._make_server(kind)
        seconds = []
        memory = 0.0
        for _ in range(times + 1):
            begin = time.perf_counter()
            await server.start()
            seconds.append(time.perf_counter() - begin)
            await asyncio.sleep(rest)
            memory = Gauge(server.pid).memory_mib()
            await server.end()
            server.url = ""
        return Started(seconds[0], sorted(seconds[1:])[times // 2], memory)

    async def _measure_plain_start(self, kind: Kind, times: int, rest: float) -> Started:
        folder = self._run.make_folder(kind)
        seconds = []
        memory = 0.0
        for _ in range(times + 1):
            begin = time.perf_counter()
            plain = await self._start_plain(kind, folder, WINDOW)
            seconds.append(time.perf_counter() - begin)
            await asyncio.sleep(rest)
            memory = plain.gauge.memory_mib()
            await plain.stop()
        return Started(seconds[0], sorted(seconds[1:])[times // 2], memory)

    async def _start_plain(self, kind: Kind, folder: Path, window: int) -> Plain:
        if kind == "floor":
            command = [sys.executable, "-m", "bench.floor"]
        else:
            assert self._baseline_python is not None
            command = [str(self._baseline_python), str(ROOT / "bench" / "baseline" / "app.py")]
        command += [str(folder), self.llm_url, str(window)]
        environment = {**bare_environment(), "PYTHONPATH": str(ROOT)}
        process = Process(self._run, command, name=kind, log=folder / "log", environment=environment)
        line = await process.wait_for_line(r"^ready on (http://\S+)$", seconds=_SECONDS_TO_START)
        return Plain(kind, process, line[1], folder / f"{kind}.sqlite3")

    def _make_server(
        self, kind: Kind, settings: Mapping[str, str] = {}, command: Sequence[str] = ()
    ) -> tuple[Server, str]:
        environment = {
            "PALAVER_DISCOVER_PORTS": "",
            "PALAVER_EXACT_TOKENS": "off",
            "LLM_SERVER_URL": self.llm_url,
            "PALAVER_DRAIN_SECONDS": "1",
            **settings,
        }
        database = ""
        postgres = self._postgres_of(kind)
        if postgres is not None:
            database = postgres.create_database()
            environment["PALAVER_DATABASE_URL"] = postgres.url(database)
        return Server(self._run, self._run.make_folder("palaver"), environment, command=command), database

    def _postgres_of(self, kind: Kind) -> Postgres | None:
        if kind != "postgres":
            return None
        if self._postgres is None:
            self._postgres = Postgres(self._run)
        return self._postgres


async def ask_once(port: int, path: str, body: Mapping[str, object], token: str | None = None) -> Answer:
    connection: Connection = await connect("127.0.0.1", port)
    try:
        answer = await connection.ask(to_request(path, msgspec.json.encode(body), token))
    finally:
        connection.close()
    if answer.status != 200:
        raise Failed(f"{path} answered {answer.status}: {answer.body[:500]!r}")
    return answer


def read_postmaster(postgres: Postgres) -> int:
    return int(postgres.execute("SELECT pg_read_file('postmaster.pid')").split()[0])


def _execute(file: Path, sql: str) -> None:
    database = sqlite3.connect(file, timeout=30)
    try:
        database.executescript(sql)
        database.commit()
    finally:
        database.close()
