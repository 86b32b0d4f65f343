"""`kill -9` of the worker that makes a reply: those who hear it by the other one see it end, with all they have heard.

The moments are random; their seed is printed and can be given again by PALAVER_SEED.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import pytest

from tests.chaos.device import Device, list_messages, open_alice, open_session
from tests.chaos.workers import enter_at
from tests.journeys.client import Client
from tests.journeys.socket import Socket, said_by
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.promises import Measured
from tests.serve.crew import Crew

pytestmark = pytest.mark.proof("streams")

SECONDS_TO_END = 15.0
PIECES = 3000


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def server(start_server: StartServer, redis_url: str, prove: bool) -> Server:
    # The full size has time to wait for the usual lease.
    lease = {} if prove else {"PALAVER_LEASE_SECONDS": "3"}
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis_url, **lease)


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    async with open_alice(server, await server.token("admin")) as alice:
        yield alice


async def hear_for(socket: Socket, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                await socket.next()


async def kill_the_one_that_talks(alice: Client, crew: Crew, llm: LLM, dice: random.Random) -> float:
    """Gives how long it took until the others knew."""
    session = await open_session(alice)
    pids = set(crew.pids().values())
    served = crew.count_served()
    async with (
        enter_at(alice, session, pids, pids) as (asker, owner),
        enter_at(alice, session, pids, pids - {owner}) as (listener, _),
    ):
        # However late it is killed, the reply is not over.
        hold = uuid4().hex
        await llm.let_go(hold, pieces=PIECES - 1)
        await asker.say(f"go on [[pieces={PIECES}&delay={dice.choice((0.001, 0.005, 0.02))}&hold={hold}]]")
        chunk = await listener.until("ai_message_chunk")
        await asyncio.gather(hear_for(listener, seconds := dice.uniform(0, 2.5)), hear_for(asker, seconds))
        os.kill(owner, signal.SIGKILL)
        killed_at = time.monotonic()
        end = await listener.until("ai_typing_stop", seconds=SECONDS_TO_END)
        seconds = time.monotonic() - killed_at
        assert seconds < SECONDS_TO_END
        assert (end["message_id"], end["reason"]) == (chunk["message_id"], "interrupted")
        messages = await list_messages(alice, session)
        assert (messages[-1]["id"], messages[-1]["status"]) == (chunk["message_id"], "interrupted")
        assert said_by(listener.heard) == messages[-1]["content"]
        assert "snapshot" not in listener.types

        # Whoever was at the dead worker comes back to the living one; what it alone has heard may be lost.
        came_back = Device(alice, session, asker.cursor, texts={messages[-1]["number"]: said_by(asker.heard)})
        number = messages[-1]["number"]
        stop = ("ai_typing_stop", end["message_id"])
        assert await came_back.by_socket(lambda device: stop in device.told or number in device.ends)
        assert came_back.texts[number] == messages[-1]["content"]

        await listener.say("go on")
        assert (await listener.turn())[-1]["reason"] == "complete"
    await crew.wait_served(served + 1)
    return seconds


async def test_reply_of_a_dead_worker_ends_for_those_at_the_other_with_what_they_have_heard(
    alice: Client, server: Server, llm: LLM, dice: random.Random, prove: bool, measured: Measured
) -> None:
    crew = Crew(server)
    took = [await kill_the_one_that_talks(alice, crew, llm, dice) for _ in range(50 if prove else 3)]
    measured("kills", len(took), "")
    measured("known to the others after at most", round(max(took), 1), "s")
