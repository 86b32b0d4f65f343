"""SIGHUP: every worker is replaced, and nobody who talks with the server notices."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from palaver.store.migrate import ADVISORY_LOCK
from tests.chaos.kept import Kept
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.parts.postgres import Postgres
from tests.parts.process import wait_until
from tests.promises import Measured
from tests.serve.crew import Crew, ask, wait_gone
from tests.serve.streams import Hearer, ask_every_worker, check_whole

pytestmark = pytest.mark.proof("operating")

PIECES = 40
AWHILE = "[[pieces=20&delay=0.1]]"
REQUESTS = 200


@pytest.fixture
async def keeping() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that uses its connections again."""
    async with aiohttp.ClientSession() as http:
        yield http


async def roll(crew: Crew, *, times: int = 1) -> None:
    """Ask for new workers, and wait until they are there."""
    crew.server.process.send(signal.SIGHUP)
    await crew.wait_log("all workers are new", times)


async def test_nothing_is_refused_lost_or_cut_while_all_workers_are_replaced(
    server: Server,
    crew: Crew,
    alice: Hearer,
    kept: Kept,
    http: aiohttp.ClientSession,
    keeping: aiohttp.ClientSession,
    measured: Measured,
) -> None:
    old = crew.pids()
    patient = alice.through(keeping)
    async with AsyncExitStack() as stack:
        streams = await ask_every_worker(alice, kept, stack, AWHILE)
        rolling = asyncio.create_task(roll(crew))
        asked = 0
        while asked < REQUESTS or not rolling.done():
            # A turn is never asked for a second time by the client itself, as a mere look is.
            await asyncio.gather(ask(http, server), patient.turn("hello"))
            asked += 2
        await rolling
        measured("streams", len(streams), "")
        measured("requests meanwhile", asked, "")
        for stream in streams:
            await check_whole(stream)
    assert not set(crew.pids().values()) & set(old.values())
    assert crew.pids().keys() == old.keys()
    await wait_gone(*old.values())
    assert set(await crew.who_answers(http, requests=40)) == set(crew.pids().values())
    assert "Traceback" not in server.log_text()


async def test_those_who_hear_the_reply_of_another_worker_hear_it_whole(crew: Crew, alice: Hearer, llm: LLM) -> None:
    session = uuid4().hex
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(alice.ask(f"[[pieces={PIECES}&hold=long]]", session))
        await llm.let_go("long", pieces=1)
        await told.wait_piece()
        # Six connections of their own: all but never they all are where the reply is made.
        others = [await stack.enter_async_context(alice.listen(session)) for _ in range(6)]
        await asyncio.gather(roll(crew), llm.let_go("long", pieces=PIECES // 2))
        await llm.let_go("long")
        for heard in (told, *others):
            await check_whole(heard)


async def test_socket_of_a_replaced_worker_is_closed_with_1012(
    server: Server, crew: Crew, http: aiohttp.ClientSession
) -> None:
    async with http.ws_connect(f"{server.url}/ws/keepalive") as socket:
        assert (await socket.receive_json())["type"] == "ping"
        await roll(crew)
        # Another ping comes with each half minute that it takes.
        while (last := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert last == (aiohttp.WSMsgType.CLOSE, 1012, "")


async def test_rolls_that_are_asked_for_during_a_roll_become_one(crew: Crew) -> None:
    database = await asyncpg.connect(crew.server.environment["PALAVER_DATABASE_URL"])
    try:
        async with database.transaction():
            # The first of the new workers cannot come while another Palaver seems to migrate.
            await database.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
            crew.server.process.send(signal.SIGHUP)
            await crew.wait_log("another Palaver changes the schema of the database just now")
            for _ in range(3):
                crew.server.process.send(signal.SIGHUP)
    finally:
        await database.close()
    for times in (1, 2):
        await crew.wait_log("all workers are new", times)
    for slot in crew.pids():
        assert len(re.findall(rf"worker \d+ serves in slot {slot}", crew.server.log_text())) == 3
    assert await crew.server.stop() == 0
    assert crew.server.log_text().count("all workers are replaced") == 2
    assert crew.count_served() == 6


async def test_worker_whose_successor_cannot_start_stays(
    crew: Crew, http: aiohttp.ClientSession, postgres: Postgres
) -> None:
    name = urlsplit(crew.server.environment["PALAVER_DATABASE_URL"]).path.removeprefix("/")
    old = crew.pids()
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    crew.server.process.send(signal.SIGHUP)
    await crew.wait_log(f"worker {old[1]} stays, and the others behind it: its successor did not start: exit code 1")
    assert set(await crew.who_answers(http, requests=40)) == set(old.values())
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await roll(crew)
    assert not set(crew.pids().values()) & set(old.values())


async def test_server_of_one_process_ignores_it_and_says_so(start_server: StartServer) -> None:
    server = await start_server()
    server.process.send(signal.SIGHUP)
    assert await wait_until(lambda: "SIGHUP is ignored" in server.log_text(), seconds=10)
    async with aiohttp.ClientSession() as http:
        await ask(http, server)
    assert server.is_running
