"""`kill -9` at any moment: what was acknowledged is there, once; what ran is ended; the conversation goes on.

The moments are random; their seed is printed and can be given again by PALAVER_SEED.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import cast

import aiohttp
import pytest

from tests.chaos.kept import Kept, Message, turn_in
from tests.chaos.person import APIS, ApiName, Person, Told
from tests.chaos.upstream import asked
from tests.chaos.waiting import wait_for, wait_while
from tests.parts.llm import LLM
from tests.parts.palaver import StartServer
from tests.promises import Measured

pytestmark = pytest.mark.proof("words")

SECONDS_TO_TIDY_UP = 15.0
"""After the restart, no reply is left that ran when the server died."""

SECONDS_TO_CATCH_UP = 15.0
"""Then, all that waited behind them is answered, one after the other."""

SECONDS_LOST = 1.0
"""The most of a running reply that a kill may cost: what was said since the last checkpoint."""

SECONDS_ON_THE_WAY = 0.5
"""What a checkpoint of the last second is itself on its way: from the stand-in to the server, and to the disk. Both
take milliseconds; on two cores that are used otherwise as well, a process may wait some hundred for its turn."""


@pytest.fixture(scope="module")
def server_environment(prove: bool) -> Mapping[str, str]:
    # The full size has time to wait for the usual lease.
    return {} if prove else {"PALAVER_LEASE_SECONDS": "3"}


# Under load


@dataclass
class Talk:
    """A conversation in which a person says one thing after another, whatever becomes of the server."""

    api: ApiName
    name: str
    conversation: str | None = None
    said: dict[str, str] = field(default_factory=dict)
    """All that was ever sent, by its client id."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    """The answers that came, by the client id of what they answer."""

    def next(self, dice: random.Random) -> str:
        """The client id of something new to say."""
        client_message_id = f"{self.name}-{len(self.said)}"
        pieces, delay = dice.choice(((3, 0.0), (8, 0.02), (30, 0.02), (20, 0.05)))
        self.said[client_message_id] = f"{client_message_id} [[pieces={pieces}&delay={delay}]]"
        return client_message_id

    async def say_again(self, person: Person, client_message_id: str) -> None:
        """Its reply may still hold the lease of the server that was killed: then this waits for it, and hears that it
        broke off. Said once more, it is answered."""
        told = await self._send(person, client_message_id)
        if told.says_model_failed:
            told = await self._send(person, client_message_id)
        self._hear(client_message_id, told)

    async def say(self, person: Person, client_message_id: str) -> None:
        self._hear(client_message_id, await self._send(person, client_message_id))

    async def _send(self, person: Person, client_message_id: str) -> Told:
        return await person.say(
            self.said[client_message_id], self.conversation, api=self.api, client_message_id=client_message_id
        )

    def _hear(self, client_message_id: str, told: Told) -> None:
        self.acknowledged[client_message_id] = told.text
        if self.conversation is None:
            self.conversation = cast(str, told.json["sessionId"])

    async def go_on(self, person: Person, dice: random.Random) -> None:
        """Says again what was not answered, and then something new after each answer, until the server is gone."""
        try:
            for client_message_id in self.unanswered:
                await self.say_again(person, client_message_id)
            while True:
                await self.say(person, self.next(dice))
        except (aiohttp.ClientError, OSError):
            return

    async def finish(self, person: Person, dice: random.Random) -> None:
        """Says again what was not answered, and one thing more."""
        self.next(dice)
        for client_message_id in self.unanswered:
            await self.say(person, client_message_id)

    @property
    def unanswered(self) -> list[str]:
        return [client_message_id for client_message_id in self.said if client_message_id not in self.acknowledged]


async def start_talks(person: Person, name: str) -> list[Talk]:
    """Two people at once in a conversation of each API, and conversations that begin with what is said."""
    talks = [Talk("chat_domain", f"{name}-new-{number}") for number in range(3)]
    for api in APIS:
        conversation = await person.open_conversation(api)
        talks += [Talk(api, f"{name}-{api}-{number}", conversation) for number in range(2)]
    return talks


async def talk_until_killed(person: Person, talks: list[Talk], dice: random.Random) -> None:
    talking = [asyncio.ensure_future(talk.go_on(person, dice)) for talk in talks]
    ended, _ = await asyncio.wait(talking, timeout=dice.uniform(0.0, 1.5), return_when=asyncio.FIRST_COMPLETED)
    person.server.kill()
    await asyncio.gather(*talking)
    assert not ended, "somebody was left by a server that ran"


def check_kept(messages: list[Message], talks: list[Talk]) -> None:
    """All that was acknowledged is there once, with its answer; all else that was sent, at most once."""
    for talk in talks:
        for client_message_id, answer in talk.acknowledged.items():
            turn = turn_in(messages, client_message_id)
            assert turn.prompt.content == talk.said[client_message_id]
            assert (turn.reply.status, turn.reply.content) == ("complete", answer)
        for client_message_id in talk.unanswered:
            there = [message.content for message in messages if message.client_message_id == client_message_id]
            assert there in ([], [talk.said[client_message_id]])


async def kill_thrice_under_load(person: Person, dice: random.Random, name: str) -> None:
    """From the second time on, while the server takes up what the time before has left."""
    server, kept = person.server, Kept(person.server)
    talks = await start_talks(person, name)
    for _ in range(3):
        await talk_until_killed(person, talks, dice)
        check_kept(await kept.messages(), talks)
        await server.start()
    restarted, restarted_at = time.monotonic(), time.time() * 1e6

    async def left_behind() -> list[Message]:
        replies = await kept.open_replies(to=name)
        return [reply for reply in replies if reply.status == "running" and reply.created_at < restarted_at]

    await wait_while(left_behind, seconds=SECONDS_TO_TIDY_UP, what="replies that ran when the server died")
    print(f"{name}: tidied up {time.monotonic() - restarted:.1f} s after the restart")  # noqa: T201
    await wait_while(
        lambda: kept.open_replies(to=name), seconds=SECONDS_TO_CATCH_UP, what="replies that waited when the server died"
    )
    check_kept(await kept.messages(), talks)

    # What was not answered is said again, and the conversation goes on.
    await asyncio.gather(*(talk.finish(person, dice) for talk in talks))
    check_kept(await kept.messages(), talks)


async def test_server_killed_under_load_loses_and_doubles_nothing(
    start_server: StartServer, http: aiohttp.ClientSession, dice: random.Random, prove: bool, measured: Measured
) -> None:
    # Of three kills each, at two servers.
    rounds = 9 if prove else 1
    servers = [await start_server() for _ in range(2)]
    people = [Person(http, server, await server.token("admin")) for server in servers]

    async def kill_again_and_again(person: Person, name: str, dice: random.Random) -> None:
        for number in range(rounds):
            await kill_thrice_under_load(person, dice, f"{name}-{number}")

    async with asyncio.TaskGroup() as lanes:
        for name, person in zip("ab", people, strict=True):
            lanes.create_task(kill_again_and_again(person, name, random.Random(dice.random())))
    measured("kills", rounds * 3 * len(servers), "")
    measured("messages kept", sum([len(await Kept(server).messages()) for server in servers]), "")
    for server in servers:
        kept = Kept(server)
        assert not await kept.open_replies()
        assert not await kept.log_rows(), "what is kept of running replies goes with their end"
        assert not await kept.miscounted()


# What of a running reply is lost

REPLIES = 8
PIECE_SECONDS = 0.01

LOGGED = (
    "SELECT p.client_message_id, l.text FROM reply_log l JOIN messages m ON m.id = l.message_id "
    "AND m.attempt = l.attempt JOIN messages p ON p.conversation_id = m.conversation_id "
    "AND p.number = m.parent_number ORDER BY l.message_id, l.position"
)


async def read_logged(kept: Kept) -> Mapping[str, str]:
    """What is on disk of the replies that run, by the client ids of their prompts."""
    logged: dict[str, str] = {}
    for client_message_id, text in await kept.query(LOGGED):
        logged[client_message_id] = logged.get(client_message_id, "") + text
    return logged


async def start_replies(person: Person, llm: LLM, dice: random.Random) -> dict[str, "asyncio.Task[object]"]:
    """Long replies whose pieces say when they were sent. They start one after the other: each is of another age."""
    running: dict[str, asyncio.Task[object]] = {}
    for number in range(REPLIES):
        name = f"long-{dice.randrange(10**9)}"
        text = f"{name} [[pieces=5000&delay={PIECE_SECONDS}&stamp=1&first={dice.uniform(0, 0.3)}]]"
        saying = person.say(text, client_message_id=name)
        running[name] = asyncio.ensure_future(saying)
        await llm.record("arrived", n=number + 1)
    return running


async def kill_while_they_talk(person: Person, llm: LLM, dice: random.Random) -> float:
    """The longest time before the kill of which nothing of a reply was kept."""
    await llm.control(reset_record=True)
    running = await start_replies(person, llm, dice)
    await asyncio.wait(running.values(), timeout=dice.uniform(0.2, 3.0))
    kept = Kept(person.server)
    logged = await read_logged(kept)
    killed_at = time.monotonic()
    person.server.kill()
    await asyncio.gather(*running.values(), return_exceptions=True)
    heard = await llm.record("closed", n=REPLIES)
    await person.server.start()
    await wait_while(kept.open_replies, seconds=SECONDS_TO_TIDY_UP, what="replies that ran when the server died")
    messages = await kept.messages()
    missing = []
    for name in running:
        reply = turn_in(messages, name).reply
        assert reply.content.startswith(logged.get(name, "")), "what was on disk before the kill is there"
        stamps = [int(stamp) / 1e9 for stamp in reply.content.split()]
        assert reply.status == ("interrupted" if stamps else "failed")
        (request,) = asked(heard, name)
        began = killed_at if request.first_byte_at is None else request.first_byte_at.monotonic
        assert len(stamps) <= request.pieces_sent
        assert stamps == sorted(set(stamps)), "nothing twice, nothing out of order"
        missing.append(killed_at - (stamps[-1] if stamps else began))
    return max(missing)


@pytest.mark.proof("words", alone=True)
async def test_kill_costs_a_running_reply_at_most_its_last_second(
    alice: Person, llm: LLM, kept: Kept, dice: random.Random, prove: bool, measured: Measured
) -> None:
    missing = [await kill_while_they_talk(alice, llm, dice) for _ in range(20 if prove else 2)]
    longest = max(missing)
    measured("kills", len(missing), "")
    measured("running replies at each", REPLIES, "")
    measured("lost of a reply at most", round(longest, 2), "s")
    # In small, beside other tests, anything may be late: there it has to be enough that what was on disk is there.
    assert longest <= (SECONDS_LOST + SECONDS_ON_THE_WAY if prove else inf)
    assert not await kept.log_rows()
    assert not await kept.miscounted()


async def test_conversation_goes_on_from_what_a_kill_has_left(alice: Person, llm: LLM, kept: Kept) -> None:
    conversation = await alice.open_conversation()
    first = (await alice.say("first", conversation, client_message_id="first")).text
    # It runs for as long as it takes until something of it is on disk.
    second = "second [[pieces=250&hold=second]]"
    running = asyncio.ensure_future(alice.say(second, conversation, client_message_id="second"))
    await llm.let_go("second", pieces=100)
    await wait_for(kept.log_rows, seconds=10, what="something on disk of a reply that runs")
    alice.server.kill()
    assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], aiohttp.ClientError)
    await alice.server.start()
    # Said at once, while the reply may still hold its lease: it is answered after that has been ended.
    third = await alice.say("third", conversation, client_message_id="third")
    broken_off = (await kept.turn("second")).reply
    assert broken_off.status == "interrupted"
    assert broken_off.reason == "worker_lost"
    assert "You said: second".startswith(broken_off.content[:16])
    (heard,) = asked(await llm.record(), "third")
    assert [message["content"] for message in heard.body["messages"][1:]] == [
        "first", first, second, broken_off.content, "third",
    ]  # fmt: skip
    assert third.text == "You said: third"
    # Asking again for what broke off replaces the text that was kept.
    await llm.let_go("second")
    again = await alice.say(second, conversation, client_message_id="second")
    assert len(again.text) > len(broken_off.content)
    assert (await kept.turn("second")).reply.attempt == 2
    assert not await kept.miscounted()
