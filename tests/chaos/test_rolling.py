"""SIGHUP while sockets listen and replies run: every socket is sent away, comes back, and misses nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from tests.chaos.device import Device, list_messages, open_alice, open_session
from tests.journeys.client import Client
from tests.journeys.socket import enter
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.serve.crew import Crew, wait_gone

DEVICES = 6
"""In each conversation: they are at both workers, all but never at one."""


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def server(start_server: StartServer, redis_url: str) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis_url, PALAVER_DRAIN_SECONDS="30")


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    async with open_alice(server, await server.token("admin")) as alice:
        yield alice


async def stay(device: Device, *, replies: int) -> None:
    """Comes back whenever it is sent away, until it has heard so many replies end."""

    def is_over(device: Device) -> bool:
        return [kind for kind, _ in device.told].count("ai_typing_stop") == replies

    while not await device.by_socket(is_over):
        pass


async def say(alice: Client, session: str, message: str) -> str:
    """Gives the place before it."""
    async with enter(alice, session) as socket:
        before = socket.cursor
        await socket.say(message)
        await socket.until("ai_typing")
        return before


async def test_sockets_are_sent_away_in_a_roll_and_miss_nothing(alice: Client, server: Server, prove: bool) -> None:
    crew = Crew(server)
    for rolls in range(1, (5 if prove else 1) + 1):
        old = crew.pids().values()
        sessions = [await open_session(alice) for _ in range(4)]
        places = [await say(alice, session, "go on [[pieces=150&delay=0.02]]") for session in sessions]
        devices = [
            Device(alice, session, place)
            for session, place in zip(sessions, places, strict=True)
            for _ in range(DEVICES)
        ]
        staying = asyncio.gather(*(stay(device, replies=2) for device in devices))
        server.process.send(signal.SIGHUP)
        await crew.wait_log("all workers are new", rolls)
        await wait_gone(*old)
        # At the new workers.
        for session in sessions:
            await say(alice, session, "and now?")
        await staying
        for number, session in enumerate(sessions):
            messages = await list_messages(alice, session)
            replies = {one["number"]: one["content"] for one in messages if one["role"] == "assistant"}
            assert [one["status"] for one in messages] == ["complete"] * 4
            some = devices[number * DEVICES : (number + 1) * DEVICES]
            for device in some:
                assert device.texts == replies
                assert device.told == some[0].told
                assert all(device.recovered)
                assert device.returns > 1
    assert "Traceback" not in server.log_text()
