"""Limits while Redis stands still, takes no writes or is gone: each worker counts for itself, and nobody waits."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest

from tests.chaos.test_bus_faults import be_gone, stand_still, take_no_writes
from tests.journeys.client import Client, open_client
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.redis import Redis
from tests.serve.crew import Crew

pytestmark = pytest.mark.proof("money", alone=True)

TURNS = 10
SECONDS_TO_ANSWER = 2.0


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_TURNS_A_MINUTE": str(TURNS), "PALAVER_REPLIES_AT_ONCE": "50"}


@pytest.fixture
async def server(start_server: StartServer, redis: Redis) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis.url)


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    async with open_client(server) as nobody:
        yield nobody.bearing(await server.token("admin"))


async def say(alice: Client) -> int:
    """The status of a turn, which is answered in time."""
    asked_at = time.monotonic()
    answer = await alice.post("/api/v1/chat/simple", message="hello")
    assert time.monotonic() - asked_at < SECONDS_TO_ANSWER
    return answer.status


async def test_turn_asks_redis_once_for_each_of_its_limits(alice: Client, redis: Redis) -> None:
    before = await redis.calls("evalsha")
    assert [await say(alice) for _ in range(4)] == [200] * 4
    assert await redis.calls("evalsha") - before == 2 * 4


@pytest.mark.parametrize("fault", [stand_still, take_no_writes, be_gone])
async def test_without_redis_a_limit_holds_in_each_worker_and_nobody_waits(
    alice: Client, server: Server, redis: Redis, fault: Callable[[Redis], Awaitable[None]]
) -> None:
    assert [await say(alice) for _ in range(4)] == [200] * 4
    await fault(redis)
    statuses = Counter(await asyncio.gather(*(say(alice) for _ in range(4 * TURNS))))
    assert set(statuses) == {200, 429}
    # What each had counted before still counts: both together had four.
    assert statuses[200] <= 2 * TURNS - 4
    crew = Crew(server)
    await crew.wait_log("each worker counts for itself", 2)
    await redis.reset()
    # Once for each worker, and once when it is back.
    assert len(await crew.wait_log("is counted there, for all workers together", 2)) == 2
    assert len(re.findall("each worker counts for itself", server.log_text())) == 2
    assert "Traceback" not in server.log_text()
