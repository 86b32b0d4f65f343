"""Two servers on one PostgreSQL: one running reply in a conversation, whoever is asked; a frozen one writes nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from uuid import uuid4

import asyncpg
import pytest

from tests.chaos.kept import Kept, Message
from tests.chaos.person import APIS, ApiName, Person, Told
from tests.chaos.upstream import asked, heard_of
from tests.chaos.waiting import wait_for
from tests.parts.llm import LLM, Heard
from tests.parts.palaver import Server, StoreKind
from tests.parts.process import wait_until
from tests.parts.run import Run

pytestmark = pytest.mark.proof("streams")

LEASE_SECONDS = 3.0
SECONDS_TO_TAKE_OVER = 40.0
"""The lease and the looks around take some six. Whoever waits for the answer gives up after a minute."""

SECONDS_TO_STOP = 2.0
"""Looked at where nothing else runs. Otherwise it has to be enough that a reply that would last much longer is over."""
PIECES = 3000
ENDLESS = f"[[pieces={PIECES}&delay=0.01]]"

QUEUED = "SELECT id FROM messages WHERE status = 'queued'"
WAITING_FOR_LOCK = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
NEXT_MESSAGE = (
    "INSERT INTO messages (conversation_id, number, uuid, role, status, content, created_at) "
    "SELECT id, last_number + 1, 'ours', 'user', 'complete', '', 0 FROM conversations WHERE uuid = $1"
)


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_LEASE_SECONDS": str(LEASE_SECONDS)}


@pytest.fixture(scope="module")
async def second_server(run: Run, shared_server: Server) -> AsyncIterator[Server]:
    """On the same database."""
    server = Server(run, run.make_folder("server"), shared_server.environment)
    await server.start()
    yield server
    await server.end()


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    yield shared_server
    shared_server.thaw()


@pytest.fixture
def alice(shared_alice: Person, server: Server) -> Person:
    assert shared_alice.server is server
    return shared_alice


@pytest.fixture
def elsewhere(alice: Person, second_server: Server) -> Person:
    """Alice at the second server."""
    return alice.at(second_server)


@asynccontextmanager
async def watching(kept: Kept) -> AsyncIterator[Counter[int]]:
    """How often so many replies of one conversation were seen running, from before the block until its end."""
    seen: Counter[int] = Counter()
    connection = await asyncpg.connect(kept.url)

    async def look() -> None:
        rows = await connection.fetch("SELECT count(*) FROM messages WHERE status = 'running' GROUP BY conversation_id")
        seen.update(row[0] for row in rows)

    async def watch() -> None:
        while True:
            await look()

    await look()
    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait([task])
        await connection.close()


async def wait_until_seen(seen: Counter[int]) -> None:
    """Until a reply was seen running, which is held so long."""
    assert await wait_until(lambda: bool(seen), seconds=30), "no reply was seen running"


def check_one_at_a_time(heard: Sequence[Heard]) -> None:
    """None of them began before the one before it had come to its end.

    That we have left one, the stand-in may notice in the same moment as that we ask for the next: of those,
    `watching` and `let_go_in_turn` tell.
    """
    spans = sorted((request.arrived_at.monotonic, _end(request), request.outcome) for request in heard)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans) if earlier[2] == "complete"), spans


def _end(request: Heard) -> float:
    assert request.ended_at is not None
    return request.ended_at.monotonic


def to_turns(messages: Sequence[Message]) -> list[tuple[Message, Message]]:
    """Prompts and their replies. `AssertionError` where they do not take turns."""
    turns = list(zip(messages[::2], messages[1::2], strict=True))
    assert all((prompt.role, reply.role) == ("user", "assistant") for prompt, reply in turns)
    assert all(reply.parent_number == prompt.number for prompt, reply in turns)
    return turns


def say_at_both(
    people: Sequence[Person], conversation: str, texts: Sequence[str], *, api: ApiName, when_busy: str
) -> "list[asyncio.Task[Told]]":
    sayings = (
        people[number % len(people)].say(text, conversation, api=api, when_busy=when_busy)
        for number, text in enumerate(texts)
    )
    return [asyncio.create_task(saying) for saying in sayings]


async def let_go_in_turn(llm: LLM, holds: Mapping[str, str]) -> None:
    """Each reply but the first is held until all that were asked for before it have come to their ends.

    `holds`: by their prompts.
    """
    for before in range(1, len(holds)):
        heard = await llm.record("arrived", n=before + 1)
        await llm.record("ended", n=before)
        await llm.let_go(holds[heard[before].body["messages"][-1]["content"]])


# Many prompts at once


@pytest.mark.parametrize("api", APIS)
async def test_prompts_that_race_are_answered_one_after_the_other_each_with_its_own_answer(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM, api: ApiName
) -> None:
    conversation = await alice.open_conversation(api)
    hold = uuid4().hex
    texts = [f"prompt {number} [[pieces=4&delay=0.01&hold={hold}]]" for number in range(16)]
    async with watching(kept) as seen:
        saying = say_at_both([alice, elsewhere], conversation, texts, api=api, when_busy="queue")
        await wait_until_seen(seen)
        await llm.let_go(hold)
        told = await asyncio.gather(*saying)
    assert set(seen) == {1}
    assert [answer.text.startswith(f"You said: prompt {number} ") for number, answer in enumerate(told)] == [True] * 16

    turns = to_turns(await kept.messages(conversation))
    assert sorted(prompt.content for prompt, _ in turns) == sorted(texts)
    answers = dict(zip(texts, (answer.text for answer in told), strict=True))
    assert [(reply.status, reply.content) for _, reply in turns] == [
        ("complete", answers[prompt.content]) for prompt, _ in turns
    ]
    # The model was asked in the order in which they are kept, and saw each time what had been answered before.
    heard = await llm.record("ended", n=16)
    check_one_at_a_time(heard)
    assert [request.body["messages"][-1]["content"] for request in heard] == [prompt.content for prompt, _ in turns]
    for (_, before), request in zip(turns, heard[1:], strict=False):
        assert request.body["messages"][-2] == {"role": "assistant", "content": before.content}
    assert not await kept.miscounted()


@pytest.mark.parametrize("api", [*APIS, None])
async def test_message_sent_to_both_servers_at_once_is_one_message(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM, api: ApiName | None
) -> None:
    """Also where it makes its conversation."""
    conversation = None if api is None else await alice.open_conversation(api)
    id_ = uuid4().hex
    sayings = [
        who.say(id_, conversation, api=api or "chat_domain", client_message_id=id_)
        for _ in range(10)
        for who in (alice, elsewhere)
    ]
    told = await asyncio.gather(*sayings)
    assert {answer.body for answer in told} == {told[0].body}
    turn = await kept.turn(id_)
    assert turn.reply.content == told[0].text == f"You said: {id_}"
    assert len(await llm.record()) == 1
    assert [message for _, message in await alice.list_messages(turn.prompt.conversation)] == [id_, told[0].text]
    assert not await kept.miscounted()


async def test_prompts_that_race_and_may_not_wait_are_answered_or_refused(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM
) -> None:
    conversation = await alice.open_conversation()
    hold = uuid4().hex
    texts = [f"prompt {number} [[pieces=4&delay=0.02&hold={hold}]]" for number in range(16)]
    async with watching(kept) as seen:
        saying = say_at_both([alice, elsewhere], conversation, texts, api="chat_domain", when_busy="reject")
        await wait_until_seen(seen)
        # While a reply runs nobody is answered: somebody is refused.
        await asyncio.wait(saying, return_when=asyncio.FIRST_COMPLETED)
        await llm.let_go(hold)
        told = await asyncio.gather(*saying)
    assert set(seen) == {1}
    assert {answer.status for answer in told} == {200, 409}
    answered = {text: answer.text for text, answer in zip(texts, told, strict=True) if answer.is_answer}
    turns = to_turns(await kept.messages(conversation))
    assert {prompt.content: reply.content for prompt, reply in turns} == answered
    assert all(answer.startswith(f"You said: {text[:9]}") for text, answer in answered.items())
    heard = await llm.record("ended", n=len(answered))
    assert len(heard) == len(answered)
    check_one_at_a_time(heard)
    assert not await kept.miscounted()


async def test_prompts_that_race_and_interrupt_never_run_beside_each_other(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM
) -> None:
    conversation = await alice.open_conversation()
    holds = {f"prompt {number} [[pieces=60&hold={number}]]": str(number) for number in range(6)}
    texts = list(holds)
    for hold in holds.values():
        await llm.let_go(hold, pieces=4)

    async def talks() -> bool:
        return any(request.pieces_sent == 4 for request in await llm.record())

    first = asyncio.ensure_future(alice.say(texts[0], conversation))
    await wait_for(talks, seconds=30, what="the reply that is interrupted")
    async with watching(kept) as seen, asyncio.TaskGroup() as group:
        letting_go = group.create_task(let_go_in_turn(llm, holds))
        others = await asyncio.gather(
            *say_at_both([alice, elsewhere], conversation, texts[1:], api="chat_domain", when_busy="interrupt")
        )
        # A reply that was stopped before it was asked for never comes.
        letting_go.cancel()
    told = [await first, *others]
    assert set(seen) == {1}
    turns = to_turns(await kept.messages(conversation))
    answers = dict(zip(texts, (answer.text for answer in told), strict=True))
    assert {prompt.content: reply.content for prompt, reply in turns} == answers
    assert turns[0][1].status == "stopped"
    assert turns[-1][1].status == "complete"
    assert all(f"You said: {text[:9]}".startswith(answer[:18]) for text, answer in answers.items())
    check_one_at_a_time(await llm.record("ended", n=len(await llm.record())))
    assert not await kept.miscounted()


async def test_many_conversations_at_two_servers_never_wait_for_each_others_locks(
    alice: Person, elsewhere: Person, kept: Kept, prove: bool
) -> None:
    conversations = [await alice.open_conversation() for _ in range(12 if prove else 4)]
    policies = ("queue", "queue", "interrupt", "queue")
    sayings = [
        who.say(f"prompt {number} [[pieces=3&delay=0.005]]", conversation, when_busy=policies[number % 4])
        for number in range(8)
        for conversation in conversations
        for who in (alice, elsewhere)
    ]
    told = await asyncio.gather(*sayings)
    assert {answer.status for answer in told} == {200}
    assert not await kept.miscounted()
    for server in (alice.server, elsewhere.server):
        assert "Deadlock" not in server.log_text()


async def test_prompt_that_waits_behind_a_reply_of_the_other_server_is_answered(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM
) -> None:
    conversation = await alice.open_conversation()
    first = asyncio.ensure_future(elsewhere.say("first [[pieces=60&delay=0.01]]", conversation))
    await heard_of(llm, "first")
    second = await alice.say("second", conversation)
    assert second.text == "You said: second"
    assert (await first).is_answer
    assert [reply.status for _, reply in to_turns(await kept.messages(conversation))] == ["complete"] * 2


# Stopping at another server


async def check_closed(llm: LLM, mark: str, since: float, *, within: float) -> None:
    (heard,) = await heard_of(llm, mark, "closed")
    assert heard.outcome == "closed_by_peer"
    assert heard.peer_closed_at is not None
    assert heard.peer_closed_at.monotonic - since <= within


@pytest.mark.proof("streams", alone=True)
async def test_prompt_that_interrupts_stops_the_reply_of_the_other_server(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM, prove: bool
) -> None:
    conversation = await alice.open_conversation()
    first = asyncio.ensure_future(alice.say(f"first {ENDLESS}", conversation))
    await heard_of(llm, "first")
    asked_at = asyncio.get_running_loop().time()
    async with watching(kept) as seen:
        second = await elsewhere.say("second", conversation, when_busy="interrupt")
    assert set(seen) == {1}
    await check_closed(llm, "first", asked_at, within=SECONDS_TO_STOP if prove else inf)
    assert second.text == "You said: second"
    stopped = (await first).text
    (_, first_reply), (_, second_reply) = to_turns(await kept.messages(conversation))
    assert (first_reply.status, first_reply.content) == ("stopped", stopped)
    assert second_reply.status == "complete"
    assert not await kept.miscounted()


@pytest.mark.proof("streams", alone=True)
async def test_deleting_at_one_server_stops_the_reply_of_the_other(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM, prove: bool
) -> None:
    conversation = await alice.open_conversation()
    running = asyncio.ensure_future(alice.say(f"running {ENDLESS}", conversation))
    await heard_of(llm, "running")
    waiting = asyncio.ensure_future(alice.say("waiting", conversation))
    await wait_for(lambda: kept.query(QUEUED), seconds=30, what="a prompt that waits")
    asked_at = asyncio.get_running_loop().time()
    assert await elsewhere.delete(conversation) == 200
    assert await alice.read_status(conversation) == 404
    await check_closed(llm, "running", asked_at, within=SECONDS_TO_STOP if prove else inf)
    assert (await running).is_answer
    assert (await waiting).status == 404
    assert [message.status for message in await kept.messages(conversation)] == [
        "complete", "stopped", "complete", "failed",
    ]  # fmt: skip


# A server that stands still


@dataclass(frozen=True)
class Waiting:
    """Somebody who waits for an answer."""

    conversation: str
    said: str
    id: str
    told: "asyncio.Task[Told]"


async def start_waiting(alice: Person, script: str) -> Waiting:
    """A script may hold its answers by the message's id: `hold={}`."""
    conversation, id_ = await alice.open_conversation(), uuid4().hex
    said = f"{id_} [[{script.format(id_)}]]"
    return Waiting(conversation, said, id_, asyncio.ensure_future(alice.say(said, conversation, client_message_id=id_)))


async def start_waiting_for_long(alice: Person, llm: LLM) -> Waiting:
    """The model talks, and does not come to its end however long it takes."""
    waiting = await start_waiting(alice, f"pieces={PIECES}&delay=0.01&hold={{}}")
    await llm.let_go(waiting.id, pieces=PIECES - 1)
    return waiting


async def wait_until_kept(kept: Kept, *waiting: Waiting) -> None:
    """A part of what each of them waits for is on disk."""

    async def all_kept() -> bool:
        (row,) = await kept.query(
            "SELECT count(DISTINCT l.message_id) FROM reply_log l JOIN messages m ON m.id = l.message_id "
            "JOIN messages p ON p.conversation_id = m.conversation_id AND p.number = m.parent_number "
            "WHERE m.status = 'running' AND m.attempt = l.attempt AND p.client_message_id = ANY ($1::text[])",
            [one.id for one in waiting],
        )
        return int(row[0]) == len(waiting)

    await wait_for(all_kept, seconds=30, what="checkpoints")


async def wait_until_ended(kept: Kept, waiting: Waiting) -> Message:
    """How the other server has ended the reply."""

    async def ended() -> Message | None:
        reply = (await kept.turn(waiting.id)).reply
        return None if reply.status == "running" else reply

    reply = await wait_for(ended, seconds=SECONDS_TO_TAKE_OVER, what="the end of a frozen server's reply")
    assert (reply.status, reply.reason, reply.worker) == ("interrupted", "worker_lost", None)
    assert reply.content
    assert not waiting.told.done()
    return reply


async def test_replies_of_a_frozen_server_are_ended_by_the_other_and_stay_as_they_were_ended(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM
) -> None:
    # The first is at its end when the server wakes; in the second the model still talks.
    all_waiting = [await start_waiting(alice, "pieces=250&hold={}"), await start_waiting_for_long(alice, llm)]
    await llm.let_go(all_waiting[0].id, pieces=3)
    await wait_until_kept(kept, *all_waiting)
    alice.server.freeze()
    await llm.let_go(all_waiting[0].id)
    ended = [await wait_until_ended(kept, waiting) for waiting in all_waiting]
    behind = await elsewhere.say("behind", all_waiting[1].conversation)
    assert behind.text == "You said: behind"

    await heard_of(llm, all_waiting[0].id, "ended")
    alice.server.thaw()
    for waiting, reply in zip(all_waiting, ended, strict=True):
        assert (await waiting.told).says_model_failed
        assert f"reply {reply.id} is no longer this worker's" in alice.server.log_text()
        assert (await kept.turn(waiting.id)).reply == reply
    (whole,), (left,) = [await heard_of(llm, waiting.id, "ended") for waiting in all_waiting]
    assert (whole.outcome, left.outcome) == ("complete", "closed_by_peer")
    assert not await kept.log_rows()
    assert not await kept.miscounted()
    # It has lost these replies, and nothing else.
    assert (await alice.say("awake", all_waiting[0].conversation)).text == "You said: awake"


async def test_frozen_server_that_wakes_does_not_touch_what_was_answered_meanwhile(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM
) -> None:
    all_waiting = [await start_waiting(alice, f"pieces={pieces}&hold={{}}") for pieces in (150, 280)]
    for waiting in all_waiting:
        await llm.let_go(waiting.id, pieces=3)
    await wait_until_kept(kept, *all_waiting)
    alice.server.freeze()
    # Both are at their ends when it wakes. What is asked from now on is held anew.
    await llm.let_go()
    for waiting in all_waiting:
        await heard_of(llm, waiting.id, "ended")
        await wait_until_ended(kept, waiting)
    # The first is answered by the other server before this one wakes, the second while it does.
    first, second = (
        asyncio.ensure_future(elsewhere.say(waiting.said, waiting.conversation, client_message_id=waiting.id))
        for waiting in all_waiting
    )
    await llm.let_go(all_waiting[0].id)
    answers = [(await first).text]
    await llm.let_go(all_waiting[1].id, pieces=3)
    await wait_until_kept(kept, all_waiting[1])
    assert not second.done()
    alice.server.thaw()
    await llm.let_go(all_waiting[1].id)
    told = await asyncio.gather(*(waiting.told for waiting in all_waiting))
    answers += [(await second).text]
    for waiting, answer, own in zip(all_waiting, answers, told, strict=True):
        reply = (await kept.turn(waiting.id)).reply
        assert (reply.status, reply.attempt, reply.content) == ("complete", 2, answer)
        assert own.says_model_failed or own.text == answer
        assert len(asked(await llm.record(), waiting.id)) == 2
    assert not await kept.log_rows()
    assert not await kept.miscounted()


@asynccontextmanager
async def holding_up(kept: Kept, conversation: str) -> AsyncIterator[None]:
    """Whoever writes the next message into this conversation waits in the middle of that until the block ends."""
    connection = await asyncpg.connect(kept.url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(NEXT_MESSAGE, conversation)
    try:
        yield
    finally:
        await transaction.rollback()
        await connection.close()


async def test_server_frozen_in_the_middle_of_a_commit_holds_nobody_up(
    alice: Person, elsewhere: Person, kept: Kept, llm: LLM
) -> None:
    """It holds the locks of what it was writing, and the database does not know that it will not go on."""
    waiting = await start_waiting_for_long(alice, llm)
    conversation = waiting.conversation
    await wait_until_kept(kept, waiting)
    async with holding_up(kept, conversation):
        half_said = asyncio.ensure_future(alice.say("half said", conversation, client_message_id="half said"))
        await wait_for(lambda: kept.query(WAITING_FOR_LOCK), seconds=30, what="a commit that waits")
        alice.server.freeze()
    await wait_until_ended(kept, waiting)
    assert (await elsewhere.say("behind", conversation)).text == "You said: behind"

    alice.server.thaw()
    assert (await waiting.told).says_model_failed
    # It was never acknowledged, is nowhere, and can be said again.
    assert (await half_said).status == 503
    assert {message.content for message in await kept.messages(conversation) if message.role == "user"} == {
        waiting.said, "behind",
    }  # fmt: skip
    again = await alice.say("half said", conversation, client_message_id="half said")
    assert again.text == "You said: half said"
    assert not await kept.miscounted()
