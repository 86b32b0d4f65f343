"""`palaver serve --workers 2`: who serves, and what becomes of a worker that dies."""

import json
import os
import re
import signal
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.journeys.client import open_client
from tests.parts.palaver import Server, StartServer
from tests.parts.postgres import Postgres
from tests.serve.crew import Crew, ask

LINK = re.compile(r"^Sign in as admin .*(http://\S+)/sign-in/(\S+)$", re.MULTILINE)


@pytest.fixture
def database_name(server: Server) -> str:
    return urlsplit(server.environment["PALAVER_DATABASE_URL"]).path.removeprefix("/")


async def test_readiness_is_said_once_and_then_the_link_that_signs_in(server: Server, crew: Crew) -> None:
    assert crew.count_served() == 2
    assert server.log_text().count("Palaver is ready") == 1
    [(url, code)] = LINK.findall(server.log_text())
    assert url == server.url
    assert server.log_text().index("Palaver is ready") < server.log_text().index(code)
    async with open_client(server) as client:
        assert (await client.get(f"/sign-in/{code}")).status == 303


async def test_both_workers_serve_and_the_supervisor_does_not(crew: Crew, http: aiohttp.ClientSession) -> None:
    assert set(await crew.who_answers(http, requests=40)) == set(crew.pids().values())
    assert crew.server.pid not in crew.pids().values()


async def test_number_of_workers_may_come_from_the_environment(start_server: StartServer, redis_url: str) -> None:
    server = await start_server(PALAVER_WORKERS="3", PALAVER_REDIS_URL=redis_url)
    assert len(set(Crew(server).pids().values())) == 3


async def test_others_serve_while_a_dead_worker_is_replaced(
    server: Server, crew: Crew, http: aiohttp.ClientSession
) -> None:
    dead, living = crew.pids()[1], crew.pids()[2]
    os.kill(dead, signal.SIGKILL)
    await crew.wait_log(f"worker {dead} has died: killed by SIGKILL; the next one for slot 1 starts at once")
    while crew.count_served() < 3:
        await ask(http, server)
    assert crew.pids()[2] == living
    assert crew.pids()[1] not in (dead, living)
    assert set(await crew.who_answers(http, requests=40)) == set(crew.pids().values())


async def test_worker_that_dies_again_and_again_comes_back_ever_later_and_swallows_no_connection(
    crew: Crew, http: aiohttp.ClientSession, postgres: Postgres, database_name: str
) -> None:
    living = crew.pids()[2]
    postgres.execute(f"ALTER DATABASE {database_name} ALLOW_CONNECTIONS false")
    os.kill(crew.pids()[1], signal.SIGKILL)
    await crew.wait_log("has died: killed by SIGKILL; the next one for slot 1 starts at once")
    await crew.wait_log(r"has died: exit code 1; the next one for slot 1 starts in 0\.5 s")
    assert set(await crew.who_answers(http, requests=60)) == {living}
    await crew.wait_log(r"has died: exit code 1; the next one for slot 1 starts in 1 s")
    assert set(await crew.who_answers(http, requests=60)) == {living}
    postgres.execute(f"ALTER DATABASE {database_name} ALLOW_CONNECTIONS true")
    await crew.wait_served(3)
    assert set(await crew.who_answers(http, requests=40)) == {living, crew.pids()[1]}


async def test_each_line_of_the_log_says_which_worker_speaks(
    start_server: StartServer, redis_url: str, http: aiohttp.ClientSession
) -> None:
    server = await start_server("--workers", "2", PALAVER_REDIS_URL=redis_url, PALAVER_LOG_FORMAT="json")
    for _ in range(20):
        await ask(http, server)
    served = dict(re.findall(r"worker (\d+) serves in slot (\d+)", server.log_text()))
    folders = {folder for pid in served for folder in folders_of_numbers(pid)}
    assert await server.stop() == 0
    lines = [json.loads(line) for line in server.log_text().splitlines() if line.startswith("{")]
    assert {line["worker"] for line in lines if line["logger"] == "palaver.api"} == {"1", "2"}
    assert {line["process"] for line in lines if "worker" not in line} == {server.pid}
    # In memory, and gone with the server.
    assert [(len(folders), folder.exists()) for folder in folders] == [(1, False)]


def folders_of_numbers(pid: str) -> set[Path]:
    """Where the process keeps what it counts."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {Path(found).parent for found in re.findall(r"\S+/palaver-numbers-\S+", maps)}
