"""Whoever loses the connection, at any moment, comes back by whatever way to whatever worker, and misses nothing.

The moments are random; their seed is printed and can be given again by PALAVER_SEED.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from palaver.chat.cursor import decode_cursor, encode_cursor
from tests.chaos.device import Device, list_messages, open_alice, open_session
from tests.journeys.client import Client
from tests.journeys.socket import Socket, enter
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind
from tests.parts.redis import Redis
from tests.promises import Measured

pytestmark = pytest.mark.proof("streams")

DEVICES = 3
"""In each conversation, each on a schedule of its own."""


@pytest.fixture(scope="module")
def server_environment(request: pytest.FixtureRequest, store_kind: StoreKind) -> Mapping[str, str]:
    """One process over SQLite, two over PostgreSQL and Redis."""
    if store_kind == "sqlite":
        return {}
    redis: Redis = request.getfixturevalue("steady_redis")
    return {"PALAVER_WORKERS": "2", "PALAVER_REDIS_URL": redis.url}


@pytest.fixture
async def alice(shared_server: Server, shared_token: str) -> AsyncIterator[Client]:
    async with open_alice(shared_server, shared_token) as alice:
        yield alice


# Any number of returns


class Talk:
    """A conversation with some turns, of which some wait behind others and some are stopped."""

    def __init__(self, alice: Client, session: str, dice: random.Random) -> None:
        self.session = session
        self.turns = dice.randrange(2, 5)
        self._alice = alice
        self._dice = dice

    async def go_on(self, socket: Socket) -> None:
        """Returns when all of it is said. The socket hears it without a break."""
        asked = 0
        while asked < self.turns or socket.types.count("ai_typing_stop") < self.turns:
            open_replies = asked - socket.types.count("ai_typing_stop")
            if asked < self.turns and (open_replies == 0 or self._dice.random() < 0.2):
                await socket.say(f"turn {asked} è 漢😀 {self._script()}")
                asked += 1
            elif socket.types[-1] == "ai_message_chunk" and self._dice.random() < 0.03:
                # Of this one: another one may run by then, of which nothing was said.
                await socket.send("stop", message_id=socket.heard[-1]["message_id"])
            await socket.next()

    def _script(self) -> str:
        pieces = self._dice.choice((1, 5, 20, 40))
        return f"[[pieces={pieces}&delay={self._dice.choice((0, 0.005, 0.02))}&first={self._dice.choice((0, 0.1))}]]"


async def wander(device: Device, talk: "asyncio.Task[None]", dice: random.Random, *, streams: bool) -> None:
    """Comes and goes until all is said, and then once more, for what is left."""
    while not talk.done():
        events = dice.choice((0, 1, 2, 5, 50))
        heard = 0

        def enough(_device: Device) -> bool:
            nonlocal heard
            heard += 1
            return heard > events  # noqa: B023 (it is asked before the next one is chosen)

        seconds = dice.choice((0.01, 0.05, 0.2, 0.5))
        by = device.by_stream if streams and dice.random() < 0.5 else device.by_socket
        await by(enough, seconds=seconds)


async def hear_the_rest(device: Device, last: Mapping[str, Any], *, streams: bool) -> None:
    """By a socket; where the end was told by a stream already, or was in a snapshot, there is nothing more."""
    quiet = ("ai_typing_stop", last["id"])

    def is_over(device: Device) -> bool:
        return quiet in device.told or ((streams or device.snapshots > 0) and last["number"] in device.ends)

    assert await device.by_socket(is_over, seconds=30)


def check_device(device: Device, stored: Mapping[int, str], whole: Socket) -> None:
    assert set(device.texts) <= set(stored)
    for number, text in device.texts.items():
        if number in device.left:
            assert stored[number].startswith(text)
        else:
            assert text == stored[number]
    assert device.snapshots == device.recovered.count(False)
    assert device.forgives or device.snapshots == 0
    # A stream tells of its reply alone; a socket tells all, and in the order in which everybody hears it.
    order = [one for one in to_told(whole) if one in device.told]
    assert device.told == order


def to_told(socket: Socket) -> list[tuple[str, str]]:
    told = []
    for event in socket.heard:
        match event["type"]:
            case "user_message" | "ai_message_complete" | "ai_message_stopped":
                told.append((event["type"], event["message"]["id"]))
            case "ai_typing" | "ai_typing_stop":
                told.append((event["type"], event["message_id"]))
    return told


async def talk_with_devices_that_come_and_go(alice: Client, dice: random.Random, *, forgives: bool) -> int:
    """Gives the number of returns."""
    session = await open_session(alice)
    async with enter(alice, session, "full_content=0") as socket:
        talking = asyncio.create_task(Talk(alice, session, dice).go_on(socket))
        devices = [Device(alice, session, forgives=forgives) for _ in range(DEVICES)]
        for device in devices:
            # From the very beginning.
            device.cursor = socket.cursor
        await asyncio.gather(
            *(
                wander(device, talking, random.Random(dice.random()), streams=number > 0)
                for number, device in enumerate(devices)
            )
        )
        await talking
        messages = await list_messages(alice, session)
        rest = (hear_the_rest(device, messages[-1], streams=number > 0) for number, device in enumerate(devices))
        await asyncio.gather(*rest)
        stored = {message["number"]: message["content"] for message in messages if message["role"] == "assistant"}
        for device in devices:
            check_device(device, stored, socket)
        assert devices[0].snapshots or devices[0].told == to_told(socket)
        assert devices[0].texts == stored
    return sum(device.returns for device in devices)


async def test_whoever_comes_back_by_any_way_to_any_worker_has_the_text_that_is_kept(
    alice: Client, dice: random.Random, store_kind: StoreKind, prove: bool, measured: Measured
) -> None:
    rounds, at_once = (34, 5) if prove else (1, 5)
    forgives = store_kind == "postgres" and not prove
    returns = 0
    for _ in range(rounds):
        talks = (
            talk_with_devices_that_come_and_go(alice, random.Random(dice.random()), forgives=forgives)
            for _ in range(at_once)
        )
        returns += sum(await asyncio.gather(*talks))
    measured("devices", rounds * at_once * DEVICES, "")
    measured("returns", returns, "")


# A place that is wrong, and one that is early


async def test_cursor_that_is_not_of_this_story_is_answered_honestly_by_either_way(alice: Client, llm: LLM) -> None:
    session = await open_session(alice)
    async with enter(alice, session) as socket:
        await socket.say("first")
        old = [event["cursor"] for event in await socket.turn()][2]
        prompt = next(event["message"]["id"] for event in socket.heard if event["type"] == "user_message")
        # It is not over before all have come.
        await llm.let_go("last", pieces=399)
        script = f"pieces=400&delay=0.05&text={'x' * 400}&hold=last"
        await socket.send("edit", message_id=prompt, message=f"second [[{script}]]")
        chunk = await socket.until("ai_message_chunk")
        now = decode_cursor(chunk["cursor"])
        assert now is not None
        mark, number = now.mark, now.reply
        assert number is not None
        foreign = f"e{'0' * 8}{chunk['cursor'][9:]}"
        wrong = {
            "another conversation": foreign,
            "the future": encode_cursor(session, replace(mark, event=mark.event + 1), number, 1),
            "an older revision": old,
            "text that was not said": encode_cursor(session, mark, number, 5000),
            "garbage": "r7.end",
        }
        for what, cursor in wrong.items():
            device = Device(alice, session, cursor)
            # Another worker may not have heard of the text yet: then it follows the snapshot.
            await device.by_socket(lambda device: device.snapshots > 0 and bool(device.texts.get(number)))
            assert device.recovered == [False], what
            assert device.snapshots == 1, what
            assert set(device.texts[number]) == {"x"}, what
        for what in ("another conversation", "text that was not said", "garbage", "an older revision"):
            device = Device(alice, session, wrong[what])
            await device.by_stream(lambda device: bool(device.texts))
            assert device.texts == {number: ""}, f"{what}: a stream begins anew"
        await socket.send("stop")
        await socket.turn()


async def test_stream_that_began_while_its_reply_waited_goes_on_by_a_socket(alice: Client) -> None:
    """The socket tells what came before the reply, and the reply from where the stream was."""
    session = await open_session(alice)
    async with enter(alice, session, "full_content=0") as socket:
        device = Device(alice, session, socket.cursor)
        await socket.say("first [[pieces=20&delay=0.01]]")
        await socket.until("ai_message_chunk")
        body = {"session_id": session, "message": "second [[pieces=40&delay=0.02]]"}
        assert await device.by_asking(body, lambda device: any(device.texts.values()))
        await device.by_socket(lambda device: "complete" in device.ends.values())
        stored = {message["number"]: message["content"] for message in await list_messages(alice, session)}
        assert {number: text for number, text in device.texts.items() if text} == {4: stored[4]}


@pytest.mark.parametrize("times", [1, 2])
async def test_end_that_a_stream_told_is_not_told_again(alice: Client, times: int) -> None:
    session = await open_session(alice)
    async with enter(alice, session) as socket:
        device = Device(alice, session, socket.cursor)
        await socket.say("first [[pieces=10&delay=0.02]]")
        await socket.until("ai_message_chunk")
        assert await device.by_stream(lambda device: bool(device.ends))
        await socket.until("ai_typing_stop")
        for _ in range(times):
            await device.by_socket_for_now()
        assert device.told == []
        await socket.say("second")
        await socket.turn()
        await device.by_socket(lambda device: len(device.ends) == 2)
        assert [kind for kind, _ in device.told] == ["user_message", "ai_typing", "ai_message_complete"]
