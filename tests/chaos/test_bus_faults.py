"""Redis restarted, standing still, taking no writes, or gone, while replies run at two workers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from math import inf
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from redis.asyncio import Redis as RedisClient

from tests.chaos.device import list_messages, open_alice, open_session
from tests.chaos.workers import enter_at
from tests.journeys.client import Client
from tests.journeys.socket import Event, Socket, said_by
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.redis import Redis
from tests.promises import Measured
from tests.serve.crew import Crew

pytestmark = pytest.mark.proof("streams")

# These are looked at where nothing else runs. Otherwise it has to be enough that all is answered, and heard to its end,
# before a fault that lasts is over.
SECONDS_TO_ANSWER = 2.0
"""In which whatever is said is acknowledged, or refused."""

SECONDS_SILENT = 1.0
"""So long those who hear a reply where it is made may wait for its next piece."""

SECONDS_BEHIND = 4.0
"""So late the others hear by the store: a checkpoint in each second, a look in each second, and a busy machine."""

Fault = Callable[[Redis], Awaitable[None]]


async def restart(redis: Redis) -> None:
    await redis.restart()


async def stand_still(redis: Redis) -> None:
    redis.process.freeze()


async def take_no_writes(redis: Redis) -> None:
    # Not all of its methods have types.
    client: Any = RedisClient.from_url(redis.url)
    async with client:
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")


async def be_gone(redis: Redis) -> None:
    redis.process.kill()


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def server(start_server: StartServer, redis: Redis) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis.url)


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    async with open_alice(server, await server.token("admin")) as alice:
        yield alice


@dataclass
class Talk:
    """A conversation with somebody at each of the workers."""

    session: str
    here: Socket
    """Where it is asked, and the reply is made."""
    there: Socket

    async def ask(self, script: str) -> None:
        await self.here.say(f"go on {uuid4().hex} [[{script}]]")


async def open_talk(alice: Client, crew: Crew, stack: AsyncExitStack) -> Talk:
    session = await open_session(alice)
    pids = set(crew.pids().values())
    here, worker = await stack.enter_async_context(enter_at(alice, session, pids, pids))
    there, _ = await stack.enter_async_context(enter_at(alice, session, pids, pids - {worker}))
    return Talk(session, here, there)


async def longest_silence(socket: Socket, until: Callable[[Event], bool]) -> float:
    """Between two events, until one of a kind has come."""
    longest, last = 0.0, time.monotonic()
    while True:
        event = await socket.next(seconds=30)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        if until(event):
            return longest


def is_end(event: Event) -> bool:
    return bool(event["type"] == "ai_typing_stop")


async def say(alice: Client, http: aiohttp.ClientSession) -> tuple[int, float]:
    """By a request of its own: the status of the answer, and after how many seconds it came."""
    body = {"message": "hello", "streaming": False}
    asked_at = time.monotonic()
    async with http.post(f"{alice.url}/api/chat/stream/", json=body, headers=alice._headers) as response:
        took = time.monotonic() - asked_at
        assert "complete_response" in await response.text() or response.status == 503
        return response.status, took


async def check_same(alice: Client, talk: Talk) -> None:
    """Both have heard the same, in the same order, once, and that is what is kept."""
    for socket in (talk.here, talk.there):
        assert not {"resumed", "snapshot", "error"} & set(socket.types), socket.types
    kinds = [
        [
            (event["type"], event.get("message_id") or event["message"]["id"])
            for event in socket.heard
            if event["type"] not in ("ai_message_chunk", "connection_established")
        ]
        for socket in (talk.here, talk.there)
    ]
    assert kinds[0] == kinds[1]
    kept = "".join(
        message["content"] for message in await list_messages(alice, talk.session) if message["role"] == "assistant"
    )
    assert said_by(talk.here.heard) == said_by(talk.there.heard) == kept


@pytest.mark.proof("streams", alone=True)
@pytest.mark.parametrize("fault", [restart, stand_still, take_no_writes, be_gone])
async def test_fault_of_redis_stops_no_stream_loses_nothing_and_holds_nobody_up(
    alice: Client,
    server: Server,
    redis: Redis,
    http: aiohttp.ClientSession,
    fault: Fault,
    prove: bool,
    measured: Measured,
) -> None:
    crew = Crew(server)
    async with AsyncExitStack() as stack:
        talks = [await open_talk(alice, crew, stack) for _ in range(16 if prove else 4)]
        for talk in talks:
            await talk.ask("pieces=150&delay=0.02")
        await asyncio.gather(*(talk.there.until("ai_message_chunk") for talk in talks))
        await fault(redis)
        # While it lasts, replies go on to their ends, here and there, and turns are taken.
        here = asyncio.gather(*(longest_silence(talk.here, is_end) for talk in talks))
        there = asyncio.gather(*(longest_silence(talk.there, is_end) for talk in talks))
        said = [await say(alice, http) for _ in range(10)]
        statuses = [status for status, _ in said]
        assert set(statuses) <= {200, 503}
        answered, silent, behind = max(took for _, took in said), max(await here), max(await there)
        assert answered < (SECONDS_TO_ANSWER if prove else inf)
        assert silent < (SECONDS_SILENT if prove else inf)
        assert behind < (SECONDS_BEHIND if prove else inf)
        for talk in talks:
            await check_same(alice, talk)
        # A turn that begins and ends in the meantime.
        await asyncio.gather(*(talk.ask("pieces=5") for talk in talks))
        await asyncio.gather(*(longest_silence(socket, is_end) for talk in talks for socket in (talk.here, talk.there)))
        # And when it is back, everything is heard at once again.
        await redis.reset()
        await asyncio.gather(*(talk.ask("pieces=30&delay=0.02") for talk in talks))
        await asyncio.gather(*(longest_silence(socket, is_end) for talk in talks for socket in (talk.here, talk.there)))
        for talk in talks:
            await check_same(alice, talk)
        measured("streams", len(talks), "")
        measured("turns taken meanwhile", f"{statuses.count(200)} of {len(statuses)}", "")
        measured("those at the other worker behind by at most", round(behind, 1), "s")
    assert "Traceback" not in server.log_text()


@pytest.mark.proof("streams", alone=True)
async def test_redis_that_comes_and_goes_again_and_again_loses_nothing(
    alice: Client, server: Server, redis: Redis, prove: bool, measured: Measured
) -> None:
    crew = Crew(server)
    async with AsyncExitStack() as stack:
        talks = [await open_talk(alice, crew, stack) for _ in range(4)]
        restarts = 10 if prove else 2
        behind = 0.0
        for _ in range(restarts):
            ends = [longest_silence(socket, is_end) for talk in talks for socket in (talk.here, talk.there)]
            await asyncio.gather(*(talk.ask("pieces=100&delay=0.02") for talk in talks))
            hearing = asyncio.gather(*ends)
            await redis.restart()
            redis.process.freeze()
            await redis.reset()
            behind = max(behind, *await hearing)
        measured("restarts", restarts, "")
        measured("behind by at most", round(behind, 1), "s")
        assert behind < (SECONDS_BEHIND if prove else inf)
        for talk in talks:
            await check_same(alice, talk)
