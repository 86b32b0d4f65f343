"""How a server with workers ends: asked, pressed, or left behind by its supervisor."""

import asyncio
import logging
import os
import signal
import socket
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from palaver.chat.reply import Replies
from palaver.serve.connections import NEWCOMER_SECONDS
from palaver.serve.draining import Draining
from palaver.serve.server import Server as Serving
from palaver.settings import Settings
from tests.chaos.kept import Kept
from tests.contracts.raw import Raw, connect, request
from tests.parts.palaver import Server
from tests.parts.process import wait_until
from tests.serve.crew import Crew, is_alive, wait_gone
from tests.serve.streams import Hearer, ask_every_worker, check_whole

AWHILE = "[[pieces=25&delay=0.1]]"
ENDLESS = "[[pieces=3000&delay=0.01]]"

NEWCOMERS = 8
LISTENS = "0A"


def listening_at(port: int) -> int:
    """How many sockets listen there: a worker that lets nobody in any more has closed its own."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum((int(fields[1].split(":")[1], 16), fields[3]) == (port, LISTENS) for fields in lines)


@pytest.mark.parametrize("to_all", [False, True], ids=["to the supervisor", "to all its processes"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_server_that_is_asked_to_end_finishes_the_replies_of_all_workers(
    server: Server, crew: Crew, alice: Hearer, kept: Kept, number: signal.Signals, to_all: bool
) -> None:
    async with AsyncExitStack() as stack:
        streams = await ask_every_worker(alice, kept, stack, AWHILE)
        # A terminal, and most keepers of services, signal all processes of a group.
        signal_it = {False: os.kill, True: os.killpg}[to_all]
        signal_it(server.pid, number)
        await crew.wait_log("draining: no new turns", 2)
        for stream in streams:
            await check_whole(stream)
    assert await server.process.wait_for_end(seconds=20) == 0
    await wait_gone(*crew.pids().values())
    assert not await kept.open_replies()
    assert "died" not in server.log_text()
    assert "Traceback" not in server.log_text()


async def test_whoever_comes_while_one_worker_after_the_other_ends_is_answered(
    server: Server, crew: Crew, alice: Hearer
) -> None:
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(alice.ask(ENDLESS, uuid4().hex))
        await stream.wait_piece()
        began = time.monotonic()
        newcomers = [await stack.enter_async_context(connect(server.url)) for _ in range(NEWCOMERS)]
        port = int(server.url.rpartition(":")[2])
        assert listening_at(port) == 2
        server.process.send(signal.SIGTERM)
        # From now on a worker that does not wait for newcomers would be gone.
        assert await wait_until(lambda: listening_at(port) == 1, seconds=20)
        for raw in newcomers:
            raw.send_and_forget(request("/api/v1/", {}))
        answers = [await status_of(raw) for raw in newcomers]
        # Where all of it has taken longer than newcomers are waited for, they may have asked too late.
        assert answers == [200] * NEWCOMERS or time.monotonic() - began >= NEWCOMER_SECONDS, answers
        assert await wait_until(lambda: not all(map(is_alive, crew.pids().values())), seconds=20)
        for _ in range(NEWCOMERS):
            async with connect(server.url) as raw:
                await raw.send(request("/api/v1/", {}))
                assert (await raw.head())[0] == 200
        server.process.send(signal.SIGTERM)


async def status_of(raw: Raw) -> int | None:
    """None where the connection is closed without an answer."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        return (await raw.head())[0]
    return None


async def test_second_signal_does_not_wait_for_replies_and_keeps_what_was_said(
    server: Server, crew: Crew, alice: Hearer, kept: Kept
) -> None:
    session = uuid4().hex
    async with alice.ask(ENDLESS, session) as stream:
        await stream.wait_piece()
        server.process.send(signal.SIGTERM)
        await crew.wait_log("draining: no new turns", 2)
        server.process.send(signal.SIGTERM)
        assert await server.process.wait_for_end(seconds=20) == 0
    [reply] = [message for message in await kept.messages() if message.role == "assistant"]
    assert (reply.status, reply.reason) == ("interrupted", "draining")
    assert reply.content


async def test_worker_that_stands_still_is_killed_at_the_third_signal(server: Server, crew: Crew) -> None:
    frozen = crew.pids()[2]
    os.kill(frozen, signal.SIGSTOP)
    server.process.send(signal.SIGTERM)
    await crew.wait_log("draining: no new turns")
    await wait_gone(crew.pids()[1])
    server.process.send(signal.SIGTERM)
    await crew.wait_log("all workers are to end now")
    server.process.send(signal.SIGTERM)
    assert await server.process.wait_for_end(seconds=20) == 0
    assert f"worker {frozen} does not end and is killed" in server.log_text()
    await wait_gone(frozen)


async def test_workers_of_a_supervisor_that_was_killed_finish_their_replies_and_leave_the_port(
    server: Server, crew: Crew, alice: Hearer, kept: Kept
) -> None:
    left = crew.pids()
    async with AsyncExitStack() as stack:
        streams = await ask_every_worker(alice, kept, stack, AWHILE)
        os.kill(server.pid, signal.SIGKILL)
        assert await wait_until(lambda: not server.is_running, seconds=10)
        await crew.wait_log("the supervisor has gone", 2)
        # The next one does not have to wait for them.
        await server.start()
        for stream in streams:
            await check_whole(stream)
    await wait_gone(*left.values())
    assert not set(crew.pids().values()) & set(left.values())


async def test_death_of_the_supervisor_is_said_once_its_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    address = listening.sockets[0].getsockname()
    serving = Serving.__new__(Serving)
    serving.servers = [listening]
    started: list[str] = []

    class Next(logging.Handler):
        """The next server, started by who has read that."""

        def emit(self, record: logging.LogRecord) -> None:
            with socket.create_server(address):
                started.append(record.getMessage())

    monkeypatch.setattr(Draining, "begin", lambda _: None)
    monkeypatch.setattr(logging.getLogger("palaver"), "handlers", [Next()])
    Draining(Replies.__new__(Replies), serving, Settings()).orphaned()
    assert started == ["the supervisor has gone"]
