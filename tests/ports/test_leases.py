"""Whoever lost a reply writes nothing more of it; what was kept of it is not lost."""

import asyncio

import pytest
from msgspec.structs import replace

from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import Conversation, MessageId, Usage
from palaver.chat.ports import Begun, Checkpoint, Ending
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import (
    EXPIRED,
    HERE,
    LATER,
    LEASE,
    NOW,
    THERE,
    answer,
    dump,
    ending,
    new_conversation,
    rows,
    said,
    seen,
)

MUCH_LATER = Micros(EXPIRED + 60 * SECOND)


@pytest.fixture
async def running(store: SqlStore, alice: User, conversation: Conversation) -> Begun:
    """A reply that runs here until its lease expires."""
    return await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))


async def keep(store: SqlStore, running: Begun, position: int, text: str, until: Micros = LEASE) -> bool:
    """Whether the reply is still held here after its checkpoint."""
    reply = running.turn.reply
    piece = Checkpoint(reply.id, reply.attempt, position, text)
    renewed = await store.turns.checkpoint(HERE, until, [(reply.id, reply.attempt)], [piece])
    return reply.id in renewed.held


async def take_over(store: SqlStore, at: Micros) -> list[Ending]:
    left = await store.turns.abandoned(at, at)
    for one in left:
        await store.turns.finish(replace(one, promote_to=THERE, lease_until=Micros(at + 10 * SECOND)))
    return list(left)


@pytest.mark.parametrize(
    ("worker", "attempt"), [(THERE, 1), (HERE, 0), (HERE, 2)], ids=["other worker", "old attempt", "attempt to come"]
)
async def test_end_by_who_does_not_hold_the_reply_writes_nothing(
    store: SqlStore, running: Begun, worker: str, attempt: int
) -> None:
    before = await dump(store)
    ended = await store.turns.finish(ending(running, worker=worker, attempt=attempt, usage=Usage(5, 5), promote=True))
    assert (ended.done, ended.next) == (False, None)
    assert await dump(store) == before


@pytest.mark.parametrize(("worker", "attempt"), [(THERE, 1), (HERE, 0), (HERE, 2)])
async def test_checkpoint_by_who_does_not_hold_the_reply_writes_nothing(
    store: SqlStore, running: Begun, worker: str, attempt: int
) -> None:
    before = await dump(store)
    reply = running.turn.reply.id
    renewed = await store.turns.checkpoint(
        worker, MUCH_LATER, [(reply, attempt)], [Checkpoint(reply, attempt, 0, "mine")]
    )
    assert (renewed.held, renewed.stop) == (frozenset(), frozenset())
    assert await dump(store) == before


async def test_reply_that_has_ended_is_not_ended_again(store: SqlStore, running: Begun) -> None:
    await answer(store, running, "first")
    before = await dump(store)
    assert not (await answer(store, running, "second", usage=Usage(5, 5), promote=True)).done
    assert not await keep(store, running, 0, "third", MUCH_LATER)
    assert await dump(store) == before


async def test_worker_that_wakes_after_its_reply_was_taken_over_writes_nothing(
    store: SqlStore, other_store: SqlStore, alice: User, conversation: Conversation, running: Begun
) -> None:
    await keep(store, running, 0, "half an ans")
    waiting = await store.turns.begin(said(alice, "and this?", conversation.uuid))
    assert [one.reply_id for one in await take_over(other_store, EXPIRED)] == [running.turn.reply.id]
    before = await dump(store)
    assert not (await answer(store, running, "half an answer.", usage=Usage(5, 5), promote=True)).done
    assert not await keep(store, running, 11, "wer.", MUCH_LATER)
    assert await dump(store) == before
    now = await store.turns.get(waiting.turn.reply.id)
    assert now is not None
    assert now.turn.reply.status == "running"


async def test_worker_that_wakes_after_its_reply_is_made_again_elsewhere_writes_nothing(
    store: SqlStore, other_store: SqlStore, alice: User, conversation: Conversation, running: Begun
) -> None:
    await take_over(other_store, EXPIRED)
    again = await other_store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1", worker=HERE))
    assert again.turn.reply.attempt == 2
    before = await dump(store)
    assert not (await answer(store, running, "late")).done
    assert not await keep(store, running, 0, "late", MUCH_LATER)
    assert await dump(store) == before


async def test_worker_that_renews_in_time_keeps_its_reply(
    store: SqlStore, other_store: SqlStore, running: Begun
) -> None:
    left = await other_store.turns.abandoned(EXPIRED, EXPIRED)
    await keep(store, running, 0, "still here", MUCH_LATER)
    before = await dump(store)
    ends = [await other_store.turns.finish(replace(one, promote_to=THERE)) for one in left]
    assert [end.done for end in ends] == [False]
    assert await other_store.turns.abandoned(EXPIRED, EXPIRED) == []
    assert await dump(store) == before


async def test_reply_left_behind_ends_interrupted_with_the_text_that_was_kept(
    store: SqlStore, conversation: Conversation, running: Begun
) -> None:
    await keep(store, running, 0, "Grüße ")
    await keep(store, running, 6, "👋 and ")
    await keep(store, running, 12, "so on")
    await take_over(store, EXPIRED)
    kept = await store.turns.get(running.turn.reply.id)
    assert kept is not None
    reply = kept.turn.reply
    assert (reply.status, reply.reason, reply.content) == ("interrupted", "worker_lost", "Grüße 👋 and so on")
    assert await rows(store, "SELECT * FROM reply_log") == []
    now = await seen(store, conversation)
    assert (now.message_count, now.exchange_count, now.open_replies) == (2, 0, 0)


async def test_reply_left_behind_without_a_word_ends_failed(store: SqlStore, running: Begun) -> None:
    await take_over(store, EXPIRED)
    kept = await store.turns.get(running.turn.reply.id)
    assert kept is not None
    assert (kept.turn.reply.status, kept.turn.reply.reason, kept.turn.reply.content) == ("failed", "worker_lost", "")


async def test_reply_is_not_left_behind_while_its_lease_holds(store: SqlStore, running: Begun) -> None:
    assert await store.turns.abandoned(LEASE, LEASE) == []
    await keep(store, running, 0, "on", MUCH_LATER)
    assert await store.turns.abandoned(EXPIRED, EXPIRED) == []


async def test_reply_left_behind_is_ended_once_by_two_who_find_it(
    store: SqlStore, other_store: SqlStore, alice: User, conversation: Conversation, running: Begun
) -> None:
    await store.turns.begin(said(alice, "and this?", conversation.uuid))
    [left] = await store.turns.abandoned(EXPIRED, EXPIRED)
    assert left.reply_id == running.turn.reply.id
    ends = await asyncio.gather(
        *(
            one.turns.finish(replace(left, promote_to=name, lease_until=MUCH_LATER))
            for name, one in ((HERE, store), (THERE, other_store))
        )
    )
    assert sorted(end.done for end in ends) == [False, True]
    assert sum(end.next is not None for end in ends) == 1


async def test_everything_can_be_taken_over_where_no_other_worker_lives(store: SqlStore, running: Begun) -> None:
    [left] = await store.turns.abandoned(NOW, Micros(1 << 62))
    assert left.reply_id == running.turn.reply.id
    assert (await store.turns.finish(left)).done


async def test_text_is_kept_until_the_reply_has_ended_and_then_only_in_it(store: SqlStore, running: Begun) -> None:
    assert await keep(store, running, 0, "half ")
    assert await keep(store, running, 5, "an answer")
    assert [tuple(row) for row in await rows(store, "SELECT position, text FROM reply_log ORDER BY position")] == [
        (0, "half "),
        (5, "an answer"),
    ]
    await answer(store, running, "half an answer")
    assert await rows(store, "SELECT * FROM reply_log") == []


async def test_checkpoint_whose_answer_was_lost_can_be_written_again(store: SqlStore, running: Begun) -> None:
    await keep(store, running, 0, "half ")
    assert await keep(store, running, 0, "half an ans")
    [left] = await store.turns.abandoned(EXPIRED, EXPIRED)
    assert left.text == "half an ans"


async def test_checkpoint_of_many_replies_tells_which_are_held_and_which_to_stop(store: SqlStore, alice: User) -> None:
    begun = [await store.turns.begin(said(alice, "hello", new_conversation(alice))) for _ in range(4)]
    ids = [one.turn.reply.id for one in begun]
    await answer(store, begun[0])
    await store.turns.ask_to_stop(ids[0])
    await store.turns.ask_to_stop(ids[2])
    held = [(reply_id, 1) for reply_id in reversed(ids)] + [(MessageId(10**9), 1)]
    renewed = await store.turns.checkpoint(HERE, MUCH_LATER, held, [Checkpoint(id_, 1, 0, "x") for id_ in ids])
    assert (renewed.held, renewed.stop) == (frozenset(ids[1:]), frozenset(ids[2:3]))
    assert [row[0] for row in await rows(store, "SELECT message_id FROM reply_log ORDER BY message_id")] == ids[1:]


async def test_what_was_asked_to_stop_is_forgotten_when_it_is_made_again(
    store: SqlStore, alice: User, conversation: Conversation, running: Begun
) -> None:
    await store.turns.ask_to_stop(running.turn.reply.id)
    await answer(store, running, "", "failed")
    again = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    renewed = await store.turns.checkpoint(HERE, LATER, [(again.turn.reply.id, 2)], [])
    assert (renewed.held, renewed.stop) == (frozenset([again.turn.reply.id]), frozenset())


async def test_reply_whose_conversation_is_erased_never_speaks_in_a_later_one(
    store: SqlStore, alice: User, bob: User
) -> None:
    gone = await store.turns.begin(said(alice, "hello", new_conversation(alice)))
    await store.accounts.erase_user(alice.id, NOW)
    fresh = await store.turns.begin(said(bob, "hello", new_conversation(bob)))
    before = await dump(store)
    assert not (await answer(store, gone, "for Alice alone", usage=Usage(1, 1))).done
    assert not await keep(store, gone, 0, "for Alice alone", MUCH_LATER)
    assert await dump(store) == before
    assert fresh.turn.reply.id != gone.turn.reply.id


async def test_ending_a_conversation_lets_the_running_reply_finish_and_drops_what_waits(
    store: SqlStore, alice: User, conversation: Conversation, running: Begun
) -> None:
    waiting = await store.turns.begin(said(alice, "and this?", conversation.uuid))
    _, dropped = await store.conversations.end(Reader(alice.id), conversation.uuid, NOW)
    assert dropped == [waiting.turn.reply.id]
    ended = await answer(store, running, "bye", promote=True)
    # What was told when it ended stays true: the answer is kept, and counts no more.
    assert (ended.done, ended.exchanges, ended.next) == (True, 0, None)
    kept = await store.turns.get(waiting.turn.reply.id)
    assert kept is not None
    assert (kept.turn.reply.status, kept.turn.reply.reason) == ("failed", "ended")
    assert (await seen(store, conversation)).open_replies == 0
