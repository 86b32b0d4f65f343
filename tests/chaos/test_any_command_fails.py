"""Whichever command to Redis fails, carried out or not: readers at both workers end up with the whole reply, and with
all of it in one order."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import get_args
from uuid import uuid4

import pytest

from tests.chaos.device import list_messages, open_alice, open_session
from tests.journeys.client import Client
from tests.journeys.socket import Socket, enter, said_by
from tests.parts.palaver import StartServer, StoreKind
from tests.parts.redis import Redis
from tests.parts.relay import Fault, RedisRelay
from tests.promises import Measured

pytestmark = pytest.mark.proof("faults")

# So many commands the journey takes at least: where it goes slowly, several pieces of text are told as one.
LEAST = 18

# A look into the store each second while the bus is away, a checkpoint each second, and a busy machine.
SECONDS_BEHIND = 10.0


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def relay(redis: Redis) -> AsyncIterator[RedisRelay]:
    relay = RedisRelay(redis.url)
    async with relay.open():
        yield relay


@pytest.fixture
async def workers(start_server: StartServer, relay: RedisRelay) -> AsyncIterator[Sequence[Client]]:
    """Alice at two servers on one database and one Redis."""
    servers = [await start_server(PALAVER_REDIS_URL=relay.url) for _ in range(2)]
    token = await servers[0].token("admin")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_alice(server, token)) for server in servers]


async def carry_on(here: Client, there: Client) -> None:
    """A conversation with somebody present at both workers: a reply that is heard whole, and one that is stopped from
    the other side."""
    session = await open_session(here)
    async with enter(here, session, "full_content=0") as first, enter(there, session, "full_content=0") as second:
        await first.say(f"{uuid4().hex} [[pieces=12&delay=0.01]]")
        for socket in (first, second):
            await socket.until("ai_typing_stop", seconds=SECONDS_BEHIND)
        await second.say(f"{uuid4().hex} [[pieces=3000&delay=0.01]]")
        for socket in (first, second):
            await socket.until("ai_message_chunk", seconds=SECONDS_BEHIND)
        await first.send("stop")
        for socket in (first, second):
            await socket.until("ai_typing_stop", seconds=SECONDS_BEHIND)
        await check_same(here, session, first, second)


async def check_same(alice: Client, session: str, *sockets: Socket) -> None:
    replies = [message for message in await list_messages(alice, session) if message["role"] == "assistant"]
    assert [reply["status"] for reply in replies] == ["complete", "stopped"]
    said = "".join(reply["content"] for reply in replies)
    for socket in sockets:
        assert said_by(socket.heard) == said
        assert not {"resumed", "snapshot", "error"} & set(socket.types), socket.types
    orders = [
        [
            (event["type"], event.get("message_id") or event["message"]["id"])
            for event in socket.heard
            if event["type"].startswith(("user_", "ai_")) and event["type"] != "ai_message_chunk"
        ]
        for socket in sockets
    ]
    assert orders[0] == orders[1]


async def test_whatever_command_fails_both_workers_tell_the_whole_of_it_in_one_order(
    workers: Sequence[Client], relay: RedisRelay, dice: random.Random, prove: bool, measured: Measured
) -> None:
    failed: Counter[str] = Counter()
    for fault in get_args(Fault):
        for number in count(1) if prove else dice.sample(range(1, LEAST + 1), 1):
            relay.fail(number, fault)
            await carry_on(*workers)
            if not relay.failed:
                assert number > LEAST
                break
            failed[f"{relay.failed} {fault}"] += 1
    print(dict(failed))  # noqa: T201 (pytest shows it beside a failure)
    measured("commands to Redis made to fail, each in its own journey", failed.total(), "")
