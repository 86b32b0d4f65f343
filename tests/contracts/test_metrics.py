"""What a server counts and who may read it, alone and with two workers; and whether it can be given work."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from aiohttp import ClientConnectionError

from tests.contracts.talking import STALLED, make
from tests.journeys.client import TEXT, Answer, Client, ask_until, open_client
from tests.journeys.socket import enter
from tests.parts.llm import LLM
from tests.parts.metrics import Metrics, scrape, scrape_until
from tests.parts.palaver import Database, Server, StartServer
from tests.parts.proxies import Nginx
from tests.parts.redis import Redis
from tests.parts.run import Run
from tests.serve.crew import Crew
from tests.serve.streams import Hearer, check_whole

TURNS = 12
PIECES = 4
SECONDS = 60.0
REPLY: dict[str, str | float] = {"text": "one two three four", "pieces": PIECES}

# What is the same whoever is asked, and not changed by asking.
STEADY = ("palaver_turn", "palaver_reply", "palaver_token", "palaver_first", "palaver_upstream")

only_postgres = pytest.mark.parametrize("store_kind", ["postgres"], indirect=True)
only_sqlite = pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    # One of them has Redis go away, and waits for that to be told.
    return {**scaled, "PALAVER_REDIS_SECONDS": "1", "PALAVER_LLM_TRIES": "1"}


@pytest.fixture
async def nobody(shared_server: Server) -> AsyncIterator[Client]:
    async with open_client(shared_server, Connection="close") as client:
        yield client


@pytest.fixture
async def alice(nobody: Client, shared_server: Server, llm: LLM) -> Client:
    await llm.control(**REPLY)
    return nobody.bearing(await shared_server.token("alice"))


async def until_ready(client: Client) -> Answer:
    """A database that is slow to answer is not ready, for a moment."""
    return await ask_until(lambda: client.get("/ready"), lambda answer: answer.status == 200, seconds=SECONDS)


async def talk(person: Client, turns: int = TURNS) -> None:
    """Each turn over a connection of its own, so that all workers get some."""
    for _ in range(turns):
        answer = await person.post("/api/chat", message="hello")
        assert answer.status == 200, answer.text


def growth(before: Metrics, after: Metrics, *samples: str) -> dict[str, float]:
    return {sample: after[sample] - before[sample] for sample in samples}


# What is counted


async def test_turns_are_told_by_api_and_end_with_their_pieces_characters_and_tokens(
    nobody: Client, alice: Client, llm: LLM
) -> None:
    await llm.control(**REPLY, delay=0.01)
    before = await scrape(nobody)
    await talk(alice)
    after = await scrape(nobody)
    expected = {
        'palaver_turns_begun_total{api="chat_domain"}': TURNS,
        'palaver_turns_ended_total{api="chat_domain",end="complete"}': TURNS,
        'palaver_turn_seconds_count{api="chat_domain"}': TURNS,
        'palaver_turn_seconds_bucket{api="chat_domain",le="600"}': TURNS,
        "palaver_first_piece_seconds_count": TURNS,
        "palaver_reply_characters_total": TURNS * len("one two three four"),
        'palaver_http_requests_total{method="POST",route="/api/chat",status="200"}': TURNS,
        'palaver_http_request_seconds_count{api="chat_domain"}': TURNS,
    }
    assert growth(before, after, *expected) == expected
    tokens = growth(before, after, 'palaver_tokens_total{kind="in"}', 'palaver_tokens_total{kind="out"}')
    assert min(tokens.values()) >= TURNS
    # Those that came in one read are one.
    assert TURNS <= after["palaver_reply_pieces_total"] - before["palaver_reply_pieces_total"] <= TURNS * PIECES
    commits = growth(before, after, "palaver_store_commit_size_sum", "palaver_store_commit_seconds_count")
    assert commits["palaver_store_commit_size_sum"] >= 2 * TURNS
    assert commits["palaver_store_commit_seconds_count"] > 0


async def test_pieces_of_a_reply_that_come_apart_are_told_apart(
    nobody: Client, alice: Client, shared_server: Server, llm: LLM
) -> None:
    before = await scrape(nobody)
    hearer = Hearer(alice._http, shared_server, await shared_server.token("alice"))
    async with hearer.ask("[[hold=apart]]", uuid4().hex) as reply:
        for _ in range(PIECES):
            await llm.let_go("apart", pieces=1)
            await reply.wait_piece()
        await llm.let_go("apart")
        await check_whole(reply)
    whole = before["palaver_reply_pieces_total"] + PIECES
    await scrape_until(nobody, lambda told: told["palaver_reply_pieces_total"] == whole)


async def test_failed_turn_is_told_with_the_server_that_failed_it(nobody: Client, alice: Client, llm: LLM) -> None:
    await llm.control(fault="500")
    failed = 'palaver_turns_ended_total{api="chat_domain",end="failed"}'
    upstream = 'palaver_upstream_failures_total{server="llm-server",why="500"}'
    before = await scrape(nobody)
    assert (await alice.post("/api/chat", message="hello")).status == 503
    assert growth(before, await scrape(nobody), failed, upstream) == {failed: 1, upstream: 1}


async def test_answer_that_is_not_stored_is_told_as_a_turn(nobody: Client, alice: Client) -> None:
    ended = 'palaver_turns_ended_total{api="chatify",end="complete"}'
    before = await scrape(nobody)
    assert (await alice.post("/api/v1/chat/", message="hello")).status == 200
    assert growth(before, await scrape(nobody), ended) == {ended: 1}


async def test_what_is_open_and_runs_is_told_until_it_has_ended(nobody: Client, alice: Client) -> None:
    session = await make(alice)
    async with enter(alice.having(Connection="Upgrade"), session) as socket:
        await socket.say(STALLED)
        await scrape_until(nobody, lambda told: open_now(told) == (1, 0, 1, 0))
        await socket.say("and then?")
        async with hearing(alice, "heard"):
            await scrape_until(nobody, lambda told: open_now(told) == (2, 1, 1, 1))
            await alice.post("/api/chat/stop/", session_id="heard")
        await socket.send("stop")
        await scrape_until(nobody, lambda told: open_now(told) == (0, 0, 1, 0))
    await scrape_until(nobody, lambda told: open_now(told) == (0, 0, 0, 0))


def open_now(told: Metrics) -> tuple[float, ...]:
    names = ("palaver_replies_running", "palaver_replies_queued", "palaver_websockets_open", "palaver_streams_open")
    return tuple(told[name] for name in names)


@asynccontextmanager
async def hearing(person: Client, session: str) -> AsyncIterator[None]:
    """A stream of events of a reply that has begun, and does not end by itself."""
    body = {"message": STALLED, "session_id": session}
    async with person._http.post(f"{person.url}/api/chat/stream/", json=body, headers=person._headers) as response:
        await response.content.readline()
        yield


def hear_of_each_other(told: Metrics, workers: Iterable[int]) -> bool:
    """Whoever has just connected again does not yet."""
    return all(told[f'palaver_bus_up{{worker="{worker}"}}'] == 1 for worker in workers)


async def test_workers_tell_of_themselves(nobody: Client, shared_server: Server) -> None:
    workers = range(1, int(shared_server.environment.get("PALAVER_WORKERS", "1")) + 1)
    told = await scrape_until(
        nobody, lambda told: told["palaver_loop_lag_seconds_count"] > 0 and hear_of_each_other(told, workers)
    )
    for worker in workers:
        assert told[f'palaver_process_memory_bytes{{worker="{worker}"}}'] > 20 * 2**20
        assert told[f'palaver_process_cpu_seconds_total{{worker="{worker}"}}'] > 0.1
    assert list(told.of("palaver_build_info").values()) == [1]


async def test_no_label_holds_what_anybody_has_sent(nobody: Client, alice: Client) -> None:
    await alice.send("PROPFIND", "/api/chat/sessions/SENT")
    await alice.get("/SENT?token=SENT")
    await alice.having(X_Request_Id="SENT").post("/api/chat", message="SENT", sessionId="SENT")
    assert "SENT" not in (await scrape(nobody)).text


async def test_every_family_says_what_it_is(nobody: Client) -> None:
    text = (await scrape(nobody)).text
    said = re.findall(r"^# HELP (\S+) \S.*\n# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.MULTILINE)
    assert len(said) == text.count("# TYPE ") == text.count("# HELP ") > 20
    assert all(help_name == type_name for help_name, type_name in said)


# The whole of several workers


def steady(series: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in series.items() if name.startswith(STEADY)}


@only_postgres
async def test_whole_is_the_sum_of_the_workers_whoever_is_asked(nobody: Client, alice: Client) -> None:
    await talk(alice)
    each = await scrape(nobody, "?by=worker")
    begun = each.of("palaver_turns_begun_total")
    assert {f'palaver_turns_begun_total{{worker="{slot}",api="chat_domain"}}' for slot in (1, 2)} <= set(begun)
    assert sum(begun.values()) >= TURNS
    told = [await scrape(nobody) for _ in range(8)]
    assert [steady(one.samples) for one in told] == [steady(each.over_workers())] * 8


@only_postgres
async def test_killed_worker_takes_no_number_with_it(nobody: Client, alice: Client, shared_server: Server) -> None:
    crew = Crew(shared_server)
    await talk(alice)
    before, served = await scrape(nobody), crew.count_served()
    os.kill(crew.pids()[1], signal.SIGKILL)
    told = [before]
    while crew.count_served() < served + 1:
        # What waited for the dead one to accept is reset.
        with suppress(ClientConnectionError):
            told.append(await scrape(nobody))
    told += [await scrape(nobody) for _ in range(8)]
    assert [steady(one.lasting()) for one in told] == [steady(before.lasting())] * len(told)
    for earlier, later in pairwise(told):
        assert [name for name, value in earlier.lasting().items() if later[name] < value] == []
    await talk(alice)
    begun = 'palaver_turns_begun_total{api="chat_domain"}'
    after = await scrape(nobody)
    assert growth(before, after, begun, "palaver_replies_running") == {begun: TURNS, "palaver_replies_running": 0}


@only_postgres
async def test_workers_that_are_replaced_leave_their_numbers(
    nobody: Client, alice: Client, shared_server: Server
) -> None:
    await talk(alice)
    before = await scrape(nobody)
    shared_server.process.send(signal.SIGHUP)
    await Crew(shared_server).wait_log(r"worker \d+ has left", 2)
    after = await scrape(nobody, "?by=worker")
    assert steady(after.over_workers()) == steady(before.samples)
    assert set(after.of("palaver_process_memory_bytes")) == {
        f'palaver_process_memory_bytes{{worker="{slot}"}}' for slot in (1, 2)
    }


@only_postgres
async def test_bus_that_is_away_is_told_and_its_server_is_ready(nobody: Client, redis: Redis) -> None:
    await scrape_until(nobody, lambda told: told["palaver_bus_seconds_count"] > 0 and hear_of_each_other(told, (1, 2)))
    redis.process.freeze()
    away = await scrape_until(nobody, lambda told: told['palaver_bus_up{worker="1"}'] == 0)
    await scrape_until(nobody, lambda told: told["palaver_bus_gaps_total"] > away["palaver_bus_gaps_total"])
    ready = await until_ready(nobody)
    assert ready.body == {"status": "ready"}


# Who may read it


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("Host", "chat.example.org"),
        ("Host", "["),
    ],
    ids=lambda header: f"{header[0]}={header[1]}",
)
async def test_by_default_nobody_reads_it_by_way_of_a_proxy(nobody: Client, header: tuple[str, str]) -> None:
    somebody = nobody.sending(dict([header])).having(Accept_Language="de")
    answer, nothing = [await somebody.get(path) for path in ("/metrics", "/metric")]
    assert (answer.status, answer.body) == (nothing.status, nothing.body) == (404, {"detail": TEXT})


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:8000"])
async def test_by_default_this_machine_reads_it_by_its_own_names(nobody: Client, host: str) -> None:
    await scrape(nobody.sending({"Host": host}))


@only_sqlite
async def test_proxy_as_it_comes_passes_no_numbers_on(run: Run, shared_server: Server) -> None:
    # One that speaks HTTP/1.0 and asks for this machine.
    nginx = Nginx(run, shared_server.url)
    await nginx.start()
    async with open_client(shared_server) as client:
        answer = await Client(client._http, nginx.url, {}).get("/metrics")
    nginx.process.kill()
    assert answer.status == 404


@only_sqlite
async def test_server_that_is_told_of_a_proxy_wants_the_token_from_this_machine_too(start_server: StartServer) -> None:
    server = await start_server(PALAVER_METRICS_TOKEN="s3cret", PALAVER_PUBLIC_URL="https://chat.example.org")
    async with open_client(server) as client:
        assert [(await c.get("/metrics")).status for c in (client, client.bearing("other"))] == [401, 401]
        await scrape(client.bearing("s3cret"))
        await scrape(client.bearing("s3cret").having(X_Forwarded_For="203.0.113.9"))
        assert "s3cret" not in server.log_text()


# Whether it can be given work


@pytest.fixture
def cable(tmp_path: Path) -> "Cable":
    return Cable(tmp_path)


class Cable:
    """Between a server and its database; it can be held, so that nothing passes and nothing is cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    @asynccontextmanager
    async def laid(self, url: str) -> AsyncIterator[str]:
        """The address of the same database at its other end."""
        self._socket = Path(parse_qs(urlsplit(url).query)["host"][0]) / ".s.PGSQL.5432"
        server = await asyncio.start_unix_server(self._connect, self._folder / self._socket.name)
        yield url.partition("?")[0] + f"?host={self._folder}"
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._socket)
        for one in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass_on(*one))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                await self._open.wait()
                writer.write(data)
        writer.close()


@only_postgres
async def test_server_whose_database_says_nothing_is_not_ready_within_seconds_and_then_is_again(
    start_server: StartServer, cable: Cable, database: Database
) -> None:
    async with cable.laid(database.environment["PALAVER_DATABASE_URL"]) as url:
        server = await start_server(PALAVER_WORKERS="1", PALAVER_DATABASE_URL=url)
        async with open_client(server) as client:
            for _ in range(2):
                await until_ready(client)
            cable.hold()
            health = asyncio.create_task(client.get("/health"))
            # Else the client gives up.
            answers = await asyncio.gather(*(client.get("/ready") for _ in range(30)))
            assert {answer.status for answer in answers} == {503}
            assert answers[0].body == {"status": "unavailable"}
            # What was counted is worth most just then; what waits, nobody knows.
            assert (await scrape(client)).of("palaver_replies_queued") == {}
            # That one waits as long as it takes.
            assert not health.done()
            cable.release()
            await until_ready(client)
            assert (await health).status == 200
        await server.stop()


@only_sqlite
async def test_server_that_drains_is_not_ready(start_server: StartServer) -> None:
    server = await start_server(PALAVER_DRAIN_SECONDS="30")
    token = await server.token("alice")
    async with open_client(server) as client, hearing(client.bearing(token), "heard"):
        server.process.send(signal.SIGTERM)
        answer = await ask_until(lambda: client.get("/ready"), lambda answer: answer.status == 503, seconds=SECONDS)
        assert answer.body == {"status": "draining"}
        server.process.send(signal.SIGTERM)


@only_sqlite
async def test_server_that_starts_is_ready_with_its_first_answer(server: Server) -> None:
    # Until it serves, whoever connects waits: no answer says more than it knows.
    server.kill()
    starting = asyncio.create_task(server.start())
    async with open_client(server) as client:
        answers = [answer async for answer in first_answers(client)]
        await starting
    assert [answer.status for answer in answers] == [200]


async def first_answers(client: Client) -> AsyncIterator[Answer]:
    """Of a server that begins to listen some time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(ClientConnectionError):
            yield await client.get("/ready")
            return
