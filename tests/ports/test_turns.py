"""A message and its reply: numbered, kept, found again, one at a time."""

import asyncio
import uuid
from itertools import pairwise

import pytest
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.context import TOKENS_AROUND, count_tokens, tokens_of
from palaver.chat.conversation import Conversation, End, Message, Usage
from palaver.chat.errors import Busy, Conflict, Ended, NotFound
from palaver.chat.ledger import Budget, Budgets, to_reserve
from palaver.chat.ports import Begun
from palaver.chat.turn import number_in
from palaver.chat.user import Reader, User, UserKind
from palaver.store import SqlStore
from tests.ports.talking import (
    HERE,
    LATER,
    NOW,
    THERE,
    answer,
    dump,
    ending,
    new_conversation,
    new_user,
    rows,
    said,
    seen,
)


async def begin(store: SqlStore, who: User, text: str, conversation: Conversation) -> Begun:
    return await store.turns.begin(said(who, text, conversation.uuid))


async def list_messages(store: SqlStore, conversation: Conversation) -> list[Message]:
    return list(await store.conversations.messages(conversation, limit=None, offset=0))


# What is kept


async def test_message_and_reply_come_back_as_they_went_in(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    text, said_back = "Grüße 👋\n'\"; --", "日本語 and $1 {x} \\ %s"
    begun = await store.turns.begin(said(alice, text, conversation.uuid, client_id="c1"))
    await answer(store, begun, said_back, usage=Usage(12, 7, 5))
    prompt, reply = await list_messages(store, conversation)
    assert (prompt.role, prompt.status, prompt.content, prompt.sender_id, prompt.client_message_id) == (
        "user", "complete", text, alice.id, "c1",
    )  # fmt: skip
    assert (prompt.created_at, prompt.token_count, prompt.attempt) == (NOW, 3, 1)
    assert (reply.role, reply.status, reply.content, reply.reason, reply.model, reply.usage) == (
        "assistant", "complete", said_back, "stop", "gpt-4", Usage(12, 7, 5),
    )  # fmt: skip
    assert (reply.sender_id, reply.client_message_id, reply.attempt) == (None, None, 1)
    assert prompt == begun.turn.prompt


async def test_what_begin_gives_is_what_the_store_holds(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    begun = await begin(store, alice, "hello", conversation)
    kept = await store.turns.get(begun.turn.reply.id)
    assert kept is not None
    assert (kept.turn.prompt, kept.turn.reply, kept.state) == (begun.turn.prompt, begun.turn.reply, "known")


async def test_reply_is_as_old_as_its_end_which_is_when_the_conversation_was_last_talked_in(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    first = await begin(store, alice, "one", conversation)
    waiting = await begin(store, alice, "two", conversation)
    ended = await store.turns.finish(ending(first, now=LATER, promote=True))
    assert ended.next is not None
    [prompt, reply, _] = await list_messages(store, conversation)
    assert (prompt.created_at, reply.created_at) == (NOW, LATER)
    assert (await seen(store, conversation)).last_message_at == LATER
    latest = Micros(LATER + 1)
    await store.turns.finish(ending(ended.next, now=latest))
    told = await store.turns.get(waiting.turn.reply.id)
    assert told is not None
    times = [message.created_at for message in await list_messages(store, conversation)]
    assert (times, told.turn.reply.created_at) == ([NOW, LATER, NOW, latest], latest)
    assert (await seen(store, conversation)).last_message_at == latest


async def test_reply_without_a_word_leaves_the_time_of_what_was_said_last(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await answer(store, await begin(store, alice, "one", conversation), "", "failed")
    [prompt] = await list_messages(store, conversation)
    assert (await seen(store, conversation)).last_message_at == prompt.created_at


async def test_messages_are_numbered_in_order_and_each_follows_the_one_before(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    for text in ("one", "two", "three"):
        await answer(store, await begin(store, alice, text, conversation))
    messages = await list_messages(store, conversation)
    assert [message.number for message in messages] == [1, 2, 3, 4, 5, 6]
    assert [message.parent_number for message in messages] == [None, 1, 2, 3, 4, 5]
    assert [message.content for message in messages[::2]] == ["one", "two", "three"]


async def test_uuid_of_a_message_tells_its_time_and_number(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    turn = (await begin(store, alice, "hello", conversation)).turn
    for message in (turn.prompt, turn.reply):
        parsed = uuid.UUID(message.uuid)
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert parsed.int >> 80 == NOW // 1000
        assert number_in(message.uuid) == message.number


async def test_reply_comes_with_the_past_newest_first_and_the_system_prompt(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await answer(store, await begin(store, alice, "one", conversation), "uno")
    begun = await begin(store, alice, "two", conversation)
    assert [(past.number, past.role, past.content) for past in begun.history] == [
        (2, "assistant", "uno"),
        (1, "user", "one"),
    ]
    assert begun.history_tokens == tokens_of(begun.history) > 0
    assert begun.system_prompt == "Be kind."


PLENTY = Budget(tokens_a_day=1_000_000)


@pytest.mark.parametrize(
    ("kind", "budgets"),
    [("person", None), ("person", Budgets(PLENTY)), ("app_user", Budgets(PLENTY, PLENTY))],
    ids=["no budget", "a budget", "their own and their application's"],
)
async def test_replies_that_begin_together_come_each_with_the_past_of_their_own_conversation(
    store: SqlStore, kind: UserKind, budgets: Budgets | None
) -> None:
    shop = await store.accounts.add_user(new_user("shop", "app"))
    app_id = shop.id if kind == "app_user" else None
    people = [await store.accounts.add_user(new_user(name, kind, app_id=app_id)) for name in ("eve", "dan")]
    talks: dict[str, User] = {}
    for number in range(7):
        who = people[number % 2]
        new = new_conversation(who)
        for exchange in range(number):
            where = new.uuid if exchange else new
            await answer(store, await store.turns.begin(said(who, f"{number}: {exchange}", where)), f"yes, {exchange}")
        if not number:
            await answer(store, await store.turns.begin(said(who, "", new)), "", "failed")
        talks[new.uuid] = who
    turns = [replace(said(who, "and?", uuid), budgets=budgets) for uuid, who in talks.items()]
    for number, begun in enumerate(await asyncio.gather(*map(store.turns.begin, turns))):
        pairs = [(f"yes, {exchange}", f"{number}: {exchange}") for exchange in reversed(range(number))]
        assert [past.content for past in begun.history] == [text for pair in pairs for text in pair]
        assert (begun.history_tokens or 0) == tokens_of(begun.history)
        assert begun.is_reserved == (budgets is not None)
        if budgets is not None:
            turn = begun.turn
            besides = (turn.prompt.token_count or 0) + count_tokens(begun.system_prompt or "") + TOKENS_AROUND
            speaking = turn.conversation.speaking
            most = to_reserve(tokens_of(begun.history), besides, speaking, budgets.size_of(speaking), budgets)
            kept = await rows(store, "SELECT reserved_tokens FROM messages WHERE id = $1", turn.reply.id)
            assert kept == [(most.total_tokens,)]


async def test_reply_that_failed_is_no_part_of_the_past(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await answer(store, await begin(store, alice, "one", conversation), "", "failed")
    begun = await begin(store, alice, "two", conversation)
    assert [past.content for past in begun.history] == ["one"]
    await answer(store, begun, "dos")
    assert [message.content for message in await list_messages(store, conversation)] == ["one", "two", "dos"]


async def test_messages_are_listed_page_by_page_without_what_still_runs(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    for text in ("one", "two"):
        await answer(store, await begin(store, alice, text, conversation))
    await begin(store, alice, "three", conversation)
    assert len(await list_messages(store, conversation)) == 5
    page = await store.conversations.messages(conversation, limit=2, offset=1)
    assert [message.number for message in page] == [2, 3]


async def test_end_of_a_reply_moves_the_front_of_the_context(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    for text in ("one", "two"):
        begun = await begin(store, alice, text, conversation)
        await store.turns.finish(replace(ending(begun), context_from=begun.turn.prompt.number))
    begun = await begin(store, alice, "three", conversation)
    assert [past.number for past in begun.history] == [4, 3]


# Said again


async def test_same_client_id_is_the_same_turn(store: SqlStore, alice: User, conversation: Conversation) -> None:
    first = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    before = await dump(store)
    again = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1", now=LATER))
    assert (again.state, again.turn.prompt, again.turn.reply) == ("known", first.turn.prompt, first.turn.reply)
    assert await dump(store) == before
    await answer(store, first, "hi")
    again = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    assert (again.state, again.turn.reply.status, again.turn.reply.content) == ("known", "complete", "hi")
    assert again.exchanges == 1


async def test_same_client_id_with_another_text_is_a_conflict_and_changes_nothing(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    before = await dump(store)
    with pytest.raises(Conflict):
        await store.turns.begin(said(alice, "hello!", conversation.uuid, client_id="c1"))
    assert await dump(store) == before


@pytest.mark.parametrize(("end", "text"), [("failed", ""), ("interrupted", "half an ans")])
async def test_message_whose_reply_broke_off_is_answered_again_when_said_again(
    store: SqlStore, alice: User, conversation: Conversation, end: End, text: str
) -> None:
    first = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    await answer(store, first, text, end, usage=Usage(9, 4))
    revision = (await seen(store, conversation)).revision
    again = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1", now=LATER))
    assert (again.state, again.turn.reply.id, again.turn.reply.attempt) == ("started", first.turn.reply.id, 2)
    kept = await store.turns.get(again.turn.reply.id)
    assert kept is not None
    assert (kept.turn.reply.content, kept.turn.reply.usage, kept.turn.reply.model) == ("", None, None)
    assert kept.turn.reply == again.turn.reply
    await answer(store, again, "hello to you")
    assert [message.content for message in await list_messages(store, conversation)] == ["hello", "hello to you"]
    now = await seen(store, conversation)
    assert (now.revision, now.message_count, now.exchange_count, now.open_replies) == (revision + 1, 2, 1, 0)


async def test_repeated_message_is_told_the_exchange_that_it_was(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    async def turn(text: str, end: End = "complete") -> None:
        begun = await store.turns.begin(said(alice, text, conversation.uuid, client_id=text))
        await answer(store, begun, "" if end == "failed" else "yes", end)

    await turn("a")
    await turn("b", "failed")
    await turn("c")
    await turn("b")
    repeated = [await store.turns.begin(said(alice, text, conversation.uuid, client_id=text)) for text in "abc"]
    assert [(begun.state, begun.exchanges) for begun in repeated] == [("known", 1), ("known", 3), ("known", 2)]


async def test_message_that_is_answered_again_waits_for_a_reply_that_runs(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    first = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    await answer(store, first, "", "failed")
    running = await begin(store, alice, "and this?", conversation)
    again = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    assert (again.state, again.turn.reply.status) == ("queued", "queued")
    ended = await answer(store, running, promote=True)
    assert ended.next is not None
    assert (ended.next.turn.reply.id, ended.next.turn.reply.attempt) == (first.turn.reply.id, 2)
    assert ended.next.history == ()


async def test_stopped_reply_is_not_made_again(store: SqlStore, alice: User, conversation: Conversation) -> None:
    first = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    await answer(store, first, "I was", "stopped")
    again = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    assert (again.state, again.turn.reply.status, again.turn.reply.content) == ("known", "stopped", "I was")


async def test_same_client_id_twenty_times_at_once_is_one_message(
    store: SqlStore, other_store: SqlStore, alice: User, conversation: Conversation
) -> None:
    turn = said(alice, "hello", conversation.uuid, client_id="c1")
    begun = await asyncio.gather(*(one.turns.begin(turn) for one in [store, other_store] * 10))
    assert sorted(one.state for one in begun) == ["known"] * 19 + ["started"]
    assert len({one.turn.prompt.id for one in begun}) == 1
    assert len(await rows(store, "SELECT id FROM messages")) == 2


async def test_same_client_id_means_nothing_in_another_conversation(store: SqlStore, alice: User) -> None:
    for _ in range(2):
        new = await store.conversations.create(new_conversation(alice), NOW)
        begun = await store.turns.begin(said(alice, "hello", new.uuid, client_id="c1"))
        assert begun.state == "started"


# Conversations that their first message makes


async def test_conversation_that_its_first_message_makes_is_found_both_ways(store: SqlStore, alice: User) -> None:
    first = await store.turns.begin(said(alice, "hello", new_conversation(alice, client_id="c1"), client_id="c1"))
    made = first.turn.conversation
    again = await store.turns.begin(said(alice, "hello", new_conversation(alice, client_id="c1"), client_id="c1"))
    inside = await store.turns.begin(said(alice, "hello", made.uuid, client_id="c1"))
    assert [one.state for one in (first, again, inside)] == ["started", "known", "known"]
    assert {one.turn.prompt.id for one in (first, again, inside)} == {first.turn.prompt.id}
    with pytest.raises(Conflict):
        await store.turns.begin(said(alice, "bye", new_conversation(alice, client_id="c1"), client_id="c1"))
    assert len(await rows(store, "SELECT id FROM conversations")) == 1


async def test_conversation_is_made_once_when_asked_for_twenty_times_at_once(
    store: SqlStore, other_store: SqlStore, alice: User
) -> None:
    turns = [said(alice, "hello", new_conversation(alice, client_id="c1"), client_id="c1") for _ in range(20)]
    stores = [store, other_store] * 10
    begun = await asyncio.gather(*(one.turns.begin(turn) for one, turn in zip(stores, turns, strict=True)))
    assert sorted(one.state for one in begun) == ["known"] * 19 + ["started"]
    assert len(await rows(store, "SELECT id FROM conversations")) == 1
    assert len(await rows(store, "SELECT id FROM messages")) == 2


async def test_deletion_frees_the_client_id_of_a_conversation(store: SqlStore, alice: User) -> None:
    first = await store.turns.begin(said(alice, "hello", new_conversation(alice, client_id="c1"), client_id="c1"))
    await store.conversations.delete(Reader(alice.id), first.turn.conversation.uuid, NOW)
    second = await store.turns.begin(said(alice, "bye", new_conversation(alice, client_id="c1"), client_id="c1"))
    assert second.state == "started"
    assert second.turn.conversation.uuid != first.turn.conversation.uuid


async def test_client_id_of_a_conversation_is_its_owners_alone(store: SqlStore, alice: User, bob: User) -> None:
    begun = [
        await store.turns.begin(said(who, "hello", new_conversation(who, client_id="c1"), client_id="c1"))
        for who in (alice, bob)
    ]
    assert [one.state for one in begun] == ["started", "started"]
    assert begun[0].turn.conversation.id != begun[1].turn.conversation.id


# One running reply


async def test_second_message_waits_for_the_first_reply(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await begin(store, alice, "one", conversation)
    second = await begin(store, alice, "two", conversation)
    assert (second.state, second.turn.reply.status, second.history) == ("queued", "queued", ())


async def test_second_message_is_refused_where_a_busy_conversation_refuses(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await begin(store, alice, "one", conversation)
    before = await dump(store)
    with pytest.raises(Busy):
        await store.turns.begin(said(alice, "two", conversation.uuid, when_busy="reject"))
    assert await dump(store) == before


async def test_second_message_asks_the_first_reply_to_stop_where_it_interrupts(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    first = await begin(store, alice, "one", conversation)
    second = await store.turns.begin(said(alice, "two", conversation.uuid, when_busy="interrupt"))
    assert (second.state, second.interrupts) == ("queued", first.turn.reply.id)
    renewed = await store.turns.checkpoint(HERE, LATER, [(first.turn.reply.id, 1)], [])
    assert renewed.stop == {first.turn.reply.id}


async def test_each_of_those_that_share_a_commit_asks_its_own_reply_to_stop(store: SqlStore, alice: User) -> None:
    conversations = [await store.conversations.create(new_conversation(alice), NOW) for _ in range(3)]
    first = [await begin(store, alice, "one", conversation) for conversation in conversations]
    asked = [said(alice, "two", conversation.uuid, when_busy="interrupt") for conversation in conversations]
    await asyncio.gather(*(store.turns.begin(turn) for turn in asked))
    ids = [one.turn.reply.id for one in first]
    renewed = await store.turns.checkpoint(HERE, LATER, [(id_, 1) for id_ in ids], [])
    assert renewed.stop == set(ids)


async def test_waiting_messages_are_answered_in_order_each_with_what_was_said_before(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    running: Begun | None = await begin(store, alice, "one", conversation)
    for text in ("two", "three"):
        await begin(store, alice, text, conversation)
    answered = []
    while running is not None:
        answered.append((running.turn.prompt.content, [past.content for past in running.history]))
        running = (await answer(store, running, f"to {running.turn.prompt.content}", promote=True)).next
    assert answered == [
        ("one", []),
        ("two", ["to one", "one"]),
        ("three", ["to two", "two", "to one", "one"]),
    ]


async def test_what_waits_is_left_where_the_worker_takes_no_more(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    first = await begin(store, alice, "one", conversation)
    second = await begin(store, alice, "two", conversation)
    assert (await answer(store, first, promote=False)).next is None
    promoted = await store.turns.promote_waiting(THERE, LATER, Micros(LATER + 1))
    assert [one.turn.reply.id for one in promoted] == [second.turn.reply.id]
    assert [(one.state, one.system_prompt, len(one.history)) for one in promoted] == [("started", "Be kind.", 2)]
    assert await store.turns.promote_waiting(HERE, LATER, Micros(LATER + 1)) == []


async def test_reply_is_taken_up_as_it_was_given_by_its_own_worker_and_while_it_runs(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await answer(store, await begin(store, alice, "one", conversation), "uno")
    begun = await begin(store, alice, "two", conversation)
    assert await store.turns.held_by(THERE) == []
    [held] = await store.turns.held_by(HERE)
    assert (held.reply_id, held.attempt, held.conversation_id) == (begun.turn.reply.id, 1, conversation.id)
    taken = await store.turns.take_up(held)
    assert taken is not None
    assert (taken.state, taken.mark, taken.system_prompt) == ("started", begun.mark, "Be kind.")
    assert taken.history == begun.history
    assert (taken.turn.prompt.uuid, taken.turn.reply.uuid) == (begun.turn.prompt.uuid, begun.turn.reply.uuid)
    assert await store.turns.take_up(replace(held, worker=THERE)) is None
    await answer(store, begun)
    assert await store.turns.take_up(held) is None
    assert await store.turns.held_by(HERE) == []


async def test_two_processes_racing_for_a_conversation_never_have_two_replies_running(
    store: SqlStore, other_store: SqlStore, alice: User, conversation: Conversation
) -> None:
    stores = {HERE: store, THERE: other_store}
    workers = [HERE, THERE] * 25
    begun = await asyncio.gather(
        *(
            stores[worker].turns.begin(said(alice, str(number), conversation.uuid, worker=worker))
            for number, worker in enumerate(workers)
        )
    )
    started = [(worker, one) for worker, one in zip(workers, begun, strict=True) if one.state == "started"]
    assert len(started) == 1
    answered = []
    worker, running = started[0]
    while True:
        assert len(await rows(store, "SELECT id FROM messages WHERE status = 'running'")) == 1
        answered.append(running.turn.prompt.number)
        # The next is answered by whoever gets it.
        ended = await answer(stores[worker], running, worker=worker, promote=True)
        if ended.next is None:
            break
        running = ended.next
    assert answered == list(range(1, 100, 2))
    assert all(later > earlier for earlier, later in pairwise(answered))
    now = await seen(store, conversation)
    assert (now.message_count, now.exchange_count, now.open_replies) == (100, 50, 0)


async def test_two_processes_that_end_and_begin_at_once_never_have_two_replies_running(
    store: SqlStore, other_store: SqlStore, alice: User, conversation: Conversation
) -> None:
    running = {HERE: store, THERE: other_store}
    begun = await begin(store, alice, "first", conversation)
    worker = HERE
    for number in range(25):
        ended, others = await asyncio.gather(
            answer(running[worker], begun, worker=worker, promote=True),
            asyncio.gather(
                *(
                    one.turns.begin(said(alice, f"{number} {name}", conversation.uuid, worker=name))
                    for name, one in running.items()
                )
            ),
        )
        owners = [(worker, ended.next)] if ended.next else []
        owners += [(name, one) for name, one in zip(running, others, strict=True) if one.state == "started"]
        assert len(owners) == 1
        worker, begun = owners[0]
        assert len(await rows(store, "SELECT id FROM messages WHERE status = 'running'")) == 1


# Where nothing can be said


async def test_nothing_is_said_in_a_conversation_that_is_ended_deleted_or_not_there(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await store.conversations.end(Reader(alice.id), conversation.uuid, NOW)
    before = await dump(store)
    with pytest.raises(Ended):
        await begin(store, alice, "hello", conversation)
    assert await dump(store) == before
    await store.conversations.delete(Reader(alice.id), conversation.uuid, NOW)
    before = await dump(store)
    for where in (conversation.uuid, str(uuid.uuid4())):
        with pytest.raises(NotFound):
            await store.turns.begin(said(alice, "hello", where))
    assert await dump(store) == before


async def test_known_message_is_still_known_in_a_conversation_that_has_ended(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await answer(store, await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1")), "hi")
    await answer(store, await store.turns.begin(said(alice, "bye", conversation.uuid, client_id="c2")), "", "failed")
    await store.conversations.end(Reader(alice.id), conversation.uuid, NOW)
    again = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="c1"))
    assert (again.state, again.turn.reply.content) == ("known", "hi")
    with pytest.raises(Ended):
        await store.turns.begin(said(alice, "bye", conversation.uuid, client_id="c2"))
