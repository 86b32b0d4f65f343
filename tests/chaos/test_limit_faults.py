"""Limits while Redis stands still, takes no writes or is gone: each worker counts for itself, and nobody waits."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from math import inf

import pytest

from tests.chaos.test_bus_faults import be_gone, stand_still, take_no_writes
from tests.journeys.client import Client, open_client
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.process import wait_until
from tests.parts.redis import Redis

pytestmark = pytest.mark.proof("money", alone=True)

TURNS = 10
SECONDS_TO_ANSWER = 2.0
"""Looked at where nothing else runs. Otherwise it has to be enough that all is answered before Redis is back."""
SECONDS_TO_SAY = 30.0


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    # What is held is named again after a time that no test lasts: that would ask Redis once more.
    return {"PALAVER_TURNS_A_MINUTE": str(TURNS), "PALAVER_REPLIES_AT_ONCE": "50", "PALAVER_LEASE_SECONDS": "600"}


@pytest.fixture
async def server(start_server: StartServer, redis: Redis) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis.url)


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    async with open_client(server) as nobody:
        yield nobody.bearing(await server.token("admin"))


async def say(alice: Client, *, within: float = inf) -> int:
    """The status of a turn, which is answered in time."""
    asked_at = time.monotonic()
    answer = await alice.post("/api/v1/chat/simple", message="hello")
    assert time.monotonic() - asked_at < within
    return answer.status


def count_alone(server: Server) -> int:
    """How many of the workers count for themselves just now, as the log tells."""
    log = server.log_text()
    return log.count("each worker counts for itself") - log.count("is counted there, for all workers together")


async def wait_alone(server: Server, workers: int) -> None:
    assert await wait_until(lambda: count_alone(server) == workers, seconds=SECONDS_TO_SAY), count_alone(server)


async def test_turn_asks_redis_once_for_each_of_its_limits(alice: Client, redis: Redis) -> None:
    before = await redis.calls("evalsha")
    assert [await say(alice) for _ in range(4)] == [200] * 4
    assert await redis.calls("evalsha") - before == 2 * 4


@pytest.mark.parametrize("fault", [stand_still, take_no_writes, be_gone])
async def test_without_redis_a_limit_holds_in_each_worker_and_nobody_waits(
    alice: Client, server: Server, redis: Redis, fault: Callable[[Redis], Awaitable[None]], prove: bool
) -> None:
    within = SECONDS_TO_ANSWER if prove else inf
    assert [await say(alice) for _ in range(4)] == [200] * 4
    await wait_alone(server, 0)
    await fault(redis)
    statuses = Counter(await asyncio.gather(*(say(alice, within=within) for _ in range(4 * TURNS))))
    assert set(statuses) == {200, 429}
    # What each had counted before still counts: both together had four.
    assert statuses[200] <= 2 * TURNS - 4
    # Each says it, and once, however many turns it takes meanwhile; and says once that Redis is back.
    await wait_alone(server, 2)
    assert await say(alice, within=within) in statuses
    assert count_alone(server) == 2
    await redis.reset()
    await wait_alone(server, 0)
    assert "Traceback" not in server.log_text()
