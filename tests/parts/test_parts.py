"""What tests rely on: parts that are real, fresh for each test, and gone when the run is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from playwright.async_api import Browser
from redis.asyncio import Redis as RedisClient

from tests.parts import PartFailed
from tests.parts.llm import LLM
from tests.parts.postgres import Postgres
from tests.parts.process import Process, wait_until
from tests.parts.redis import Redis
from tests.parts.run import Run

ROOT = Path(__file__).parents[2]


def start_python(run: Run, folder: Path, source: str) -> Process:
    return Process(run, [sys.executable, "-c", source], name="script", log=folder / "log")


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended but that nobody has asked about does not."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() not in ("", "Z")


async def ask(llm: LLM, text: str) -> str:
    body = {"model": "gpt-4", "messages": [{"role": "user", "content": text}]}
    async with aiohttp.ClientSession() as client, client.post(f"{llm.url}/v1/chat/completions", json=body) as response:
        answer: str = (await response.json())["choices"][0]["message"]["content"]
        return answer


@pytest.mark.parametrize("time", [1, 2])
async def test_every_test_gets_a_fresh_postgres_database(empty_postgres_url: str, time: int) -> None:
    connection = await asyncpg.connect(empty_postgres_url)
    await connection.execute("CREATE TABLE note (time int)")
    await connection.execute("INSERT INTO note VALUES ($1)", time)
    assert await connection.fetchval("SELECT sum(time) FROM note") == time
    await connection.close()


async def test_postgres_database_is_dropped_under_a_connection(postgres: Postgres) -> None:
    name = postgres.create_database()
    connection = await asyncpg.connect(postgres.url(name))
    postgres.drop_database(name)
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetchval("SELECT 1")
    connection.terminate()


def test_postgres_knows_vectors(postgres: Postgres, empty_postgres_url: str) -> None:
    database = empty_postgres_url.rpartition("/test_")[2].partition("?")[0]
    postgres.execute("CREATE EXTENSION vector", database=f"test_{database}")
    assert postgres.execute("SELECT '[3,4]'::vector <-> '[0,0]'::vector", database=f"test_{database}") == "5"


def test_postgres_says_what_was_wrong(postgres: Postgres) -> None:
    with pytest.raises(PartFailed, match='relation "nowhere" does not exist'):
        postgres.execute("SELECT * FROM nowhere")


@pytest.mark.parametrize("time", [1, 2])
async def test_every_test_gets_an_empty_redis(redis_url: str, time: int) -> None:
    async with RedisClient.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("time", time)


@pytest.mark.parametrize("time", [1, 2])
async def test_redis_is_back_after_a_test_that_killed_it(redis: Redis, time: int) -> None:
    async with RedisClient.from_url(redis.url) as client:
        await client.set("time", time)
    redis.process.kill()
    assert not redis.process.is_running


@pytest.mark.parametrize("time", [1, 2])
async def test_redis_is_back_after_a_test_that_froze_it(redis: Redis, time: int) -> None:
    async with RedisClient.from_url(redis.url) as client:
        await client.set("time", time)
    redis.process.freeze()


async def test_redis_that_restarts_keeps_its_address_and_nothing_else(redis: Redis) -> None:
    url = redis.url
    async with RedisClient.from_url(url) as client:
        await client.set("name", "alice")
    await redis.restart()
    async with RedisClient.from_url(url) as client:
        assert await client.get("name") is None


@pytest.mark.parametrize("time", [1, 2])
async def test_every_test_gets_an_llm_that_was_told_nothing(llm: LLM, time: int) -> None:
    assert await llm.record() == []
    assert "hello" in await ask(llm, "hello")
    await llm.control(text=f"told {time}")
    assert await ask(llm, "hello") == f"told {time}"
    first, second = await llm.record("ended", n=2)
    assert first.path == "/v1/chat/completions"
    assert second.body["messages"][0]["content"] == "hello"


async def test_llm_that_heard_too_little_says_so(llm: LLM) -> None:
    with pytest.raises(AssertionError, match="Of 1 requests, 0 arrived"):
        await llm.record(n=1, timeout=0.01)


@pytest.mark.parametrize("time", [1, 2])
async def test_llm_is_back_after_a_test_that_killed_it(llm: LLM, time: int) -> None:
    assert f"hello {time}" in await ask(llm, f"hello {time}")
    llm.process.kill()


async def test_llm_that_restarts_keeps_its_address(llm: LLM) -> None:
    url = llm.url
    await llm.restart()
    assert llm.url == url
    assert "hello" in await ask(llm, "hello")


async def test_browser_shows_a_page(browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.set_content("<h1>Palaver</h1>")
    assert await page.get_by_role("heading").inner_text() == "Palaver"
    await context.close()


async def test_process_that_ends_before_it_is_ready_shows_what_it_wrote(run: Run, tmp_path: Path) -> None:
    process = start_python(run, tmp_path, "raise SystemExit('The port is taken.')")
    with pytest.raises(PartFailed, match=r"ended with 1. It wrote:\nThe port is taken."):
        await process.wait_for_line("ready", seconds=60)


async def test_process_that_is_never_ready_is_killed(run: Run, tmp_path: Path) -> None:
    process = start_python(run, tmp_path, "import signal; signal.pause()")
    with pytest.raises(PartFailed, match=r"was not ready within 0.05 s"):
        await process.wait_for_line("ready", seconds=0.05)
    assert not process.is_running


async def test_process_that_will_not_end_is_killed(run: Run, tmp_path: Path) -> None:
    source = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    process = start_python(run, tmp_path, source)
    await process.wait_for_line("deaf", seconds=60)
    process.send(signal.SIGTERM)
    with pytest.raises(PartFailed, match=r"had not ended after 0.05 s"):
        await process.wait_for_end(seconds=0.05)
    assert process.returncode == -signal.SIGKILL


async def test_process_that_is_killed_takes_its_children_with_it(run: Run, tmp_path: Path) -> None:
    source = "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); child.wait()"
    process = start_python(run, tmp_path, source)
    child = int((await process.wait_for_line(r"^(\d+)$", seconds=60))[1])
    assert is_alive(child)
    process.kill()
    assert await wait_until(lambda: not is_alive(child), seconds=60)


async def test_frozen_process_stands_still_until_it_is_thawed(run: Run, tmp_path: Path) -> None:
    source = (
        "import signal; signal.signal(signal.SIGTERM, lambda *_: print('heard', flush=True) or exit());"
        "print('ready', flush=True); signal.pause()"
    )
    process = start_python(run, tmp_path, source)
    await process.wait_for_line("ready", seconds=60)
    process.freeze()
    process.send(signal.SIGTERM)
    assert not await wait_until(lambda: "heard" in process.log_text(), seconds=0.1)
    process.thaw()
    assert await process.wait_for_end(seconds=60) == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_run_that_dies_leaves_nothing(run: Run, tmp_path: Path, how: signal.Signals) -> None:
    source = """
import signal
from pathlib import Path
from tests.parts.postgres import Postgres
from tests.parts.process import Process
from tests.parts.run import open_run

with open_run() as run:
    postgres = Postgres(run)
    sleeper = Process(run, ["sleep", "600"], name="sleep", log=run.folder / "log")
    postmaster = (postgres.folder / "data" / "postmaster.pid").read_text().split()[0]
    print(run.folder, run.memory, sleeper.pid, postmaster, flush=True)
    signal.pause()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", source]
    doomed = Process(run, command, name="run", log=tmp_path / "log", environment=environment)
    line = await doomed.wait_for_line(r"^(\S+) (\S+) (\d+) (\d+)$", seconds=60)
    folders, pids = [Path(line[1]), Path(line[2])], [int(line[3]), int(line[4])]
    assert [folder.exists() for folder in folders] == [True, True]
    assert [is_alive(pid) for pid in pids] == [True, True]
    doomed.send(how)
    await doomed.wait_for_end(seconds=60)

    def is_gone() -> bool:
        return not any(folder.exists() for folder in folders) and not any(is_alive(pid) for pid in pids)

    assert await wait_until(is_gone, seconds=60)
