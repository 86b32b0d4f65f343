"""Who goes away loses nothing, and who takes a conversation away stops what runs in it."""

import asyncio
from contextlib import suppress
from math import inf
from uuid import uuid4

import pytest

from tests.chaos.kept import Kept, turn_in
from tests.chaos.person import APIS, ApiName, Person
from tests.chaos.upstream import heard_of
from tests.chaos.waiting import wait_while
from tests.parts.llm import LLM
from tests.parts.palaver import Server

pytestmark = pytest.mark.proof("words")

# Until it is let go.
HELD = "[[pieces=20&hold=reply]]"
ENDLESS = "[[pieces=3000&delay=0.01]]"
SECONDS_TO_STOP = 2.0
"""Looked at where nothing else runs. Otherwise it has to be enough that a reply that would last much longer is over."""


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def alice(shared_alice: Person) -> Person:
    return shared_alice


async def leave(waiting: "asyncio.Task[object]") -> None:
    """Closes the connection of somebody who waits for an answer."""
    assert not waiting.done()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("api", APIS)
async def test_reply_to_somebody_who_left_is_completed_and_listed(
    alice: Person, kept: Kept, llm: LLM, api: ApiName
) -> None:
    conversation = await alice.open_conversation(api)
    saying = alice.say(f"left {HELD}", conversation, api=api, client_message_id="left")
    waiting: asyncio.Task[object] = asyncio.ensure_future(saying)
    await heard_of(llm, "left")
    await leave(waiting)
    await llm.let_go("reply")
    await wait_while(kept.open_replies, seconds=10, what="the reply to somebody who left")
    (heard,) = await heard_of(llm, "left", "ended")
    assert (heard.outcome, heard.pieces_sent) == ("complete", 20)
    reply = turn_in(await kept.messages(conversation), "left").reply
    assert reply.status == "complete"
    assert await alice.list_messages(conversation) == [("user", f"left {HELD}"), ("assistant", reply.content)]
    assert not await kept.miscounted()


async def test_prompt_of_somebody_who_left_the_queue_is_answered_in_its_turn(
    alice: Person, kept: Kept, llm: LLM
) -> None:
    conversation = await alice.open_conversation()
    first = asyncio.ensure_future(alice.say(f"first {HELD}", conversation, client_message_id="first"))
    await heard_of(llm, "first")
    second: asyncio.Task[object] = asyncio.ensure_future(alice.say("second", conversation, client_message_id="second"))
    await wait_while(lambda: _is_missing(kept, conversation, "second"), seconds=10, what="the second prompt, unknown")
    await leave(second)
    await llm.let_go("reply")
    first_answer = (await first).text
    await wait_while(kept.open_replies, seconds=10, what="the reply to somebody who left")
    assert await alice.list_messages(conversation) == [
        ("user", f"first {HELD}"),
        ("assistant", first_answer),
        ("user", "second"),
        ("assistant", "You said: second"),
    ]


@pytest.mark.proof("words", alone=True)
async def test_deleting_a_conversation_hides_it_at_once_and_stops_the_model(
    alice: Person, kept: Kept, llm: LLM, prove: bool
) -> None:
    conversation = await alice.open_conversation()
    running = asyncio.ensure_future(alice.say(f"running {ENDLESS}", conversation, client_message_id="running"))
    await heard_of(llm, "running")
    waiting = asyncio.ensure_future(alice.say("waiting", conversation, client_message_id="waiting"))
    await wait_while(lambda: _is_missing(kept, conversation, "waiting"), seconds=10, what="the second prompt, unknown")

    loop = asyncio.get_running_loop()
    deleted_at = loop.time()
    assert await alice.delete(conversation) == 200
    assert await alice.read_status(conversation) == 404
    assert conversation not in await alice.list_conversations()
    assert (await alice.say("more", conversation)).status == 404
    (heard,) = await heard_of(llm, "running", "closed")
    assert heard.outcome == "closed_by_peer"
    assert heard.peer_closed_at is not None
    assert heard.peer_closed_at.monotonic - deleted_at < (SECONDS_TO_STOP if prove else inf)

    # Nobody goes on waiting for what will never come, and what had been said is there until it is purged.
    assert (await waiting).status == 404
    assert (await running).text
    messages = await kept.messages(conversation)
    assert turn_in(messages, "running").reply.status == "stopped"
    assert turn_in(messages, "waiting").reply.status == "failed"
    assert not await kept.open_replies()
    assert await alice.delete(conversation) == 404


async def test_deleting_a_conversation_frees_its_client_ids(alice: Person, kept: Kept, llm: LLM) -> None:
    id_ = uuid4().hex
    first = await alice.say("hello", client_message_id=id_)
    assert await alice.delete(first.json["sessionId"]) == 200
    second = await alice.say("hello", client_message_id=id_)
    assert second.json["sessionId"] != first.json["sessionId"]
    assert second.text == "You said: hello"
    assert len(await llm.record()) == 2
    assert not await kept.miscounted()


async def _is_missing(kept: Kept, conversation: str, client_message_id: str) -> bool:
    return all(message.client_message_id != client_message_id for message in await kept.messages(conversation))
