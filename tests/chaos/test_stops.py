"""Stop against completion, from one worker to the other: one end, the same for all, and nothing after it.

The moments are random; their seed is printed and can be given again by PALAVER_SEED.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from uuid import uuid4

import pytest

from tests.chaos.device import list_messages, open_alice, open_session
from tests.chaos.upstream import asked
from tests.chaos.waiting import wait_for
from tests.chaos.workers import enter_at
from tests.journeys.client import Client
from tests.journeys.socket import Event, Socket, said_by
from tests.parts.llm import LLM, Heard
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.promises import Measured
from tests.serve.crew import Crew

pytestmark = pytest.mark.proof("streams")

SECONDS_TO_STOP = 1.0
LANES = 5


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def server(start_server: StartServer, redis_url: str) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis_url)


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    async with open_alice(server, await server.token("admin")) as alice:
        yield alice


@dataclass(frozen=True)
class Race:
    mark: str
    reply: str
    end: str
    """How it ended, as all sockets tell."""
    text: str
    stopped_at: float


def ends_of(events: list[Event], reply: str) -> list[str]:
    """Whatever says that the reply is over, in order."""
    kinds = ("ai_message_complete", "ai_message_stopped", "ai_typing_stop")
    return [
        event.get("reason") or event["message"]["status"]
        for event in events
        if event["type"] in kinds and event["message_id"] == reply
    ]


Moment = Callable[[Socket], Awaitable[None]]
"""Hears a reply up to where it is stopped."""


def some_moment(dice: random.Random) -> Moment:
    """Somewhere between the first one and one after the last."""

    async def hear(socket: Socket) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(dice.uniform(0, 0.3)):
                await socket.until("ai_typing_stop")

    return hear


async def first_piece(socket: Socket) -> None:
    await socket.until("ai_message_chunk")


async def end(socket: Socket) -> None:
    await socket.until("ai_typing_stop")


def to_script(dice: random.Random) -> str:
    return f"pieces={dice.choice((1, 5, 20))}&delay=0.01&first={dice.choice((0, 0.05))}"


async def race(asker: Socket, stopper: Socket, script: str, hear: Moment) -> Race:
    for socket in (asker, stopper):
        socket.heard.clear()
    mark = uuid4().hex
    await asker.say(f"{mark} [[{script}]]")
    reply = (await stopper.until("ai_typing"))["message_id"]
    await hear(stopper)
    stopped_at = time.monotonic()
    await stopper.send("stop", message_id=reply)
    for socket in (asker, stopper):
        if "ai_typing_stop" not in socket.types:
            await socket.until("ai_typing_stop")
        # Whatever may still come of it.
        await socket.settle()
    assert said_by(asker.heard) == said_by(stopper.heard)
    ends = ends_of(asker.heard, reply)
    assert ends == ends_of(stopper.heard, reply)
    assert ends in (["complete"] * 2, ["stopped"] * 2)
    for socket in (asker, stopper):
        # That there is nothing left to stop is said to the one who asked, and is nothing of the reply.
        events = [event for event in socket.heard if event["type"] != "error"]
        of_reply = [event["type"] for event in events if event.get("message_id") == reply]
        assert of_reply[-1] == "ai_typing_stop"
        assert of_reply.count("ai_typing") == 1
    return Race(mark, reply, ends[0], said_by(asker.heard), stopped_at)


async def read_all_ended(llm: LLM) -> list[Heard]:
    """All that the model was asked, once none of that runs any more."""

    async def all_ended() -> list[Heard] | None:
        heard = await llm.record()
        return heard if all(request.reached("ended") for request in heard) else None

    return await wait_for(all_ended, seconds=30, what="an end of all that the model was asked")


@pytest.mark.proof("streams", alone=True)
async def test_stop_and_completion_that_race_give_one_end_and_nothing_after_it(
    alice: Client, server: Server, llm: LLM, dice: random.Random, prove: bool, measured: Measured
) -> None:
    pids = set(Crew(server).pids().values())

    async def run(dice: random.Random) -> list[Race]:
        session = await open_session(alice)
        async with (
            enter_at(alice, session, pids, pids) as (asker, owner),
            enter_at(alice, session, pids, pids - {owner}) as (stopper, _),
        ):
            # Whatever the others do, one is stopped and one is whole.
            hold = uuid4().hex
            await llm.let_go(hold, pieces=1)
            races = [
                await race(asker, stopper, f"pieces=2&hold={hold}", first_piece),
                await race(asker, stopper, "pieces=1", end),
            ]
            races += [
                await race(asker, stopper, to_script(dice), some_moment(dice)) for _ in range(100 if prove else 8)
            ]
        kept = {
            message["id"]: (message["status"], message["content"]) for message in await list_messages(alice, session)
        }
        # A reply without text is not listed.
        assert all(kept[one.reply] == (one.end, one.text) for one in races if one.text)
        return races

    lanes = await asyncio.gather(*(run(random.Random(dice.random())) for _ in range(LANES)))
    races = [one for lane in lanes for one in lane]
    ends = [one.end for one in races]
    measured("races", len(races), "")
    measured("of them stopped", ends.count("stopped"), "")
    assert set(ends) == {"complete", "stopped"}
    heard = await read_all_ended(llm)
    took = []
    for one in races:
        requests = asked(heard, one.mark)
        # One that was stopped at once was perhaps never asked for.
        assert len(requests) == 1 or not (one.text or requests)
        if one.end == "stopped":
            took += [request.ended_at.monotonic - one.stopped_at for request in requests if request.ended_at]
    measured("the model's connection closed after at most", round(max(took), 3), "s")
    assert max(took) < (SECONDS_TO_STOP if prove else inf)
