"""A prompt that waits for its turn is taken back, as if it had never been said."""

import pytest
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation
from palaver.chat.errors import NotFound, NotWaiting
from palaver.chat.ports import AnotherReply
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import HERE, LATER, LEASE, NOW, answer, dump, rows, said, seen


async def shown(store: SqlStore, conversation: Conversation) -> list[str]:
    messages = await store.conversations.messages(await seen(store, conversation), limit=None, offset=0)
    return [message.content for message in messages]


async def test_prompt_that_waits_leaves_no_trace(store: SqlStore, alice: User, conversation: Conversation) -> None:
    running = await store.turns.begin(said(alice, "one", conversation.uuid))
    before, rows_before = await seen(store, conversation), await rows(store, "SELECT uuid FROM messages ORDER BY id")
    waiting = await store.turns.begin(said(alice, "two", conversation.uuid, client_id="c"))
    await store.search.find(Reader(alice.id), "two", limit=9, offset=0)
    taken = await store.turns.take_back(Reader(alice.id), conversation.uuid, waiting.turn.prompt.uuid, NOW)
    assert (taken.owner_id, taken.prompt.content, taken.reply_id) == (alice.id, "two", waiting.turn.reply.id)
    after = await seen(store, conversation)
    assert (taken.mark.revision, taken.mark.event) == (after.revision, after.event)
    changed = {"revision": after.revision, "event": after.event, "last_number": after.last_number}
    assert after == replace(before, **changed)
    assert after.revision > before.revision
    assert await rows(store, "SELECT uuid FROM messages ORDER BY id") == rows_before
    assert (await store.search.find(Reader(alice.id), "two", limit=9, offset=0)).messages == []
    ended = await answer(store, running, "ONE", promote=True)
    assert ended.next is None
    # Its client id is free again.
    again = await store.turns.begin(said(alice, "three", conversation.uuid, client_id="c"))
    assert (again.state, [past.content for past in again.history]) == ("started", ["ONE", "one"])


async def test_what_waits_behind_it_follows_what_it_had_followed(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    running = await store.turns.begin(said(alice, "one", conversation.uuid))
    second = await store.turns.begin(said(alice, "two", conversation.uuid))
    third = await store.turns.begin(said(alice, "three", conversation.uuid))
    # By the reply's id as well.
    await store.turns.take_back(Reader(alice.id), conversation.uuid, second.turn.reply.uuid, NOW)
    ended = await answer(store, running, "ONE", promote=True)
    assert ended.next is not None
    assert ended.next.turn.prompt.uuid == third.turn.prompt.uuid
    assert ended.next.turn.prompt.parent_number == running.turn.reply.number
    assert [past.content for past in ended.next.history] == ["ONE", "one"]
    await answer(store, ended.next, "THREE")
    assert await shown(store, conversation) == ["one", "ONE", "three", "THREE"]
    found = await seen(store, conversation)
    assert (found.message_count, found.open_replies, found.leaf_uuid) == (4, 0, third.turn.reply.uuid)
    await store.branches.show(Reader(alice.id), conversation.uuid, running.turn.prompt.uuid, LATER)
    assert await shown(store, conversation) == ["one", "ONE", "three", "THREE"]


async def test_conversation_was_talked_in_when_what_is_left_of_it_was_said(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    first = await store.turns.begin(said(alice, "one", conversation.uuid))
    await store.turns.begin(said(alice, "two", conversation.uuid))
    third = await store.turns.begin(said(alice, "three", conversation.uuid))
    await answer(store, first, "ONE")
    # The reply that runs from then on is no message yet.
    assert len(await store.turns.promote_waiting(HERE, Micros(LATER + 1), LEASE)) == 1
    await store.turns.take_back(Reader(alice.id), conversation.uuid, third.turn.prompt.uuid, LATER)
    assert (await seen(store, conversation)).last_message_at == LATER


async def test_what_is_answered_or_anothers_is_not_taken_back(
    store: SqlStore, alice: User, bob: User, conversation: Conversation
) -> None:
    done = await store.turns.begin(said(alice, "one", conversation.uuid))
    await answer(store, done, "ONE")
    running = await store.turns.begin(said(alice, "two", conversation.uuid))
    waiting = await store.turns.begin(said(alice, "three", conversation.uuid))
    before = await dump(store)
    for message in (done.turn.prompt, done.turn.reply, running.turn.prompt, running.turn.reply):
        with pytest.raises(NotWaiting):
            await store.turns.take_back(Reader(alice.id), conversation.uuid, message.uuid, NOW)
    for reader, uuid in ((Reader(bob.id), waiting.turn.prompt.uuid), (Reader(alice.id), "no id")):
        with pytest.raises(NotFound):
            await store.turns.take_back(reader, conversation.uuid, uuid, NOW)
    assert await dump(store) == before


async def test_prompt_that_was_answered_before_stays(store: SqlStore, alice: User, conversation: Conversation) -> None:
    first = await store.turns.begin(said(alice, "one", conversation.uuid, client_id="c"))
    await answer(store, first, "", "failed")
    await store.turns.begin(said(alice, "two", conversation.uuid))
    again = await store.turns.begin(said(alice, "one", conversation.uuid, client_id="c"))
    assert again.state == "queued"
    await store.turns.take_back(Reader(alice.id), conversation.uuid, again.turn.prompt.uuid, NOW)
    assert await shown(store, conversation) == ["one", "two"]
    found = await seen(store, conversation)
    assert (found.message_count, found.open_replies) == (2, 1)
    known = await store.turns.get(again.turn.reply.id)
    assert known is not None
    assert (known.turn.reply.status, known.turn.reply.reason) == ("failed", "taken_back")


async def test_reply_that_another_one_waits_for_can_be_taken_back(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    first = await store.turns.begin(said(alice, "one", conversation.uuid))
    await answer(store, first, "ONE")
    await store.turns.begin(said(alice, "two", conversation.uuid))
    another = AnotherReply(Reader(alice.id), conversation.uuid, first.turn.reply.uuid, NOW, HERE, LEASE, "queue")
    begun = await store.turns.begin_another(another)
    assert begun.state == "queued"
    await store.turns.take_back(Reader(alice.id), conversation.uuid, begun.turn.reply.uuid, NOW)
    assert await shown(store, conversation) == ["one"]
    overview = await store.branches.overview(Reader(alice.id), conversation.uuid)
    # The way back to the first answer is shown.
    [replies] = [one for one in overview.branchings if one.parent == first.turn.prompt.uuid]
    assert (replies.in_view, replies.messages) == (None, [first.turn.reply.uuid])
