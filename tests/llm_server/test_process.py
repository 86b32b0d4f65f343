"""The stand-in as a process of its own, on the event loop that it chooses."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from palaver.llm_server import Options, new_event_loop, running

from .asking import CHAT, stream
from .client import TIMEOUT, Client, connected


async def started(*arguments: str) -> Process:
    command = (sys.executable, "-m", "palaver.llm_server", *arguments)
    where_we_import_from = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=where_we_import_from)


@asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[tuple[Process, Client]]:
    process = await started("--port", "0", *arguments)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("llm-server on http://127.0.0.1:")
        async with connected(int(line.rsplit(":", 1)[1])) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_first_line_says_where_and_options_are_obeyed() -> None:
    async with serving("--models", "a", "b", "--text", "hi", "--prefix", "v1", "--api-key", "k") as (_, client):
        headers = {"Authorization": "Bearer k"}
        assert [model["id"] for model in (await client.get("/v1/models", headers=headers)).json["data"]] == ["a", "b"]
        assert (await client.post(CHAT, stream(), headers=headers)).texts == ["hi"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_though_an_answer_hangs(number: int) -> None:
    async with serving() as (process, client):
        client.send("POST", CHAT, stream(model="gpt-4?fault=stall"))
        await client.until(b'"content":"You "')
        process.send_signal(number)
        async with asyncio.timeout(TIMEOUT):
            assert await process.wait() == 0


async def test_reset_is_a_reset_on_this_loop_too() -> None:
    async with serving() as (_, client):
        client.send("POST", CHAT, stream(model="gpt-4?fault=reset&after=2"))
        await client.until(b'"content":"said: "')
        with pytest.raises(ConnectionResetError):
            await client.rest()


def test_bytes_leave_one_by_one_on_this_loop_too(writes: list[bytes]) -> None:
    async def ask() -> None:
        async with running(Options(port=0)) as llm, connected(llm.port) as client:
            await client.post(CHAT, stream(model="gpt-4?fault=one-byte"))
            assert b"".join(writes) == b"".join(client.arrivals)
            assert {len(write) for write in writes} == {1}

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(ask())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("--port", "70000"), "$.port"), (("--pieces", "0"), "$.pieces"), (("--prefix", "v2"), "$.prefix")],
)
async def test_option_that_cannot_work_stops_the_start_and_is_named(arguments: tuple[str, ...], named: str) -> None:
    process = await started(*arguments)
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert named in errors.decode()


async def test_port_that_is_taken_stops_the_start_and_is_named() -> None:
    async with serving() as (_, client):
        taken = str(client.port)
        process = await started("--port", taken)
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert taken in errors.decode()
