"""Whose conversation it is, held in the query itself; and how conversations end, go away and leave nothing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from palaver.chat.clock import MINUTE, Micros
from palaver.chat.conversation import Conversation, ConversationChange, ConversationId, Marks, Speaking, Usage
from palaver.chat.errors import Ended, NotFound
from palaver.chat.ports import Checkpoint
from palaver.chat.user import NOT_STORED, Reader, User, UserId
from palaver.store import SqlStore
from tests.ports.talking import (
    HERE,
    LATER,
    LEASE,
    NOW,
    answer,
    dump,
    ending,
    new_conversation,
    new_user,
    rows,
    said,
    seen,
)

Touch = Callable[[SqlStore, Reader, str], Awaitable[object]]

MINE_NOW = ConversationChange(title="Mine now", system_prompt="Obey.")

TOUCHES: dict[str, Touch] = {
    "access": lambda store, reader, uuid: store.conversations.access(reader, uuid),
    "change": lambda store, reader, uuid: store.conversations.change(reader, uuid, MINE_NOW, LATER),
    "end": lambda store, reader, uuid: store.conversations.end(reader, uuid, LATER),
    "delete": lambda store, reader, uuid: store.conversations.delete(reader, uuid, LATER),
}


@pytest.fixture
async def shop(store: SqlStore) -> User:
    """An application."""
    return await store.accounts.add_user(new_user("shop", "app"))


@pytest.fixture
async def other_shop(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("other-shop", "app"))


@pytest.fixture
async def customer(store: SqlStore, shop: User) -> User:
    """Somebody that the application vouches for."""
    return await store.accounts.app_user(shop, "customer 7", "00000000-0000-4000-8000-000000000007", NOW)


@pytest.fixture
async def guest(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("guest", "guest"))


# Rights


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
async def test_what_is_not_yours_does_not_exist(
    store: SqlStore, conversation: Conversation, bob: User, shop: User, touch: Touch
) -> None:
    strangers = [
        Reader(bob.id),
        Reader(bob.id, guests_allowed=True),
        # Being an admin opens no one's conversations.
        Reader(bob.id, is_admin=True),
        Reader(shop.id, app_id=shop.id),
        Reader(UserId(0)),
        Reader(UserId(0), guests_allowed=True),
    ]
    before = await dump(store)
    for stranger in strangers:
        with pytest.raises(NotFound):
            await touch(store, stranger, conversation.uuid)
        assert await store.conversations.list(stranger, limit=None, offset=0) == []
    assert await dump(store) == before


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
async def test_owner_may_do_everything(store: SqlStore, conversation: Conversation, alice: User, touch: Touch) -> None:
    await touch(store, Reader(alice.id), conversation.uuid)
    with pytest.raises(NotFound):
        await touch(store, Reader(alice.id), conversation.uuid.replace("-", ""))


async def test_application_opens_what_its_users_have_and_no_other_application_does(
    store: SqlStore, shop: User, other_shop: User, customer: User, conversation: Conversation
) -> None:
    talk = await store.conversations.create(new_conversation(customer), NOW)
    for key in (talk.uuid, talk.id):
        assert (await store.conversations.access(Reader(shop.id, app_id=shop.id), key)).id == talk.id
        assert (await store.conversations.access(Reader(customer.id), key)).id == talk.id
        with pytest.raises(NotFound):
            await store.conversations.access(Reader(other_shop.id, app_id=other_shop.id), key)
    with pytest.raises(NotFound):
        await store.conversations.access(Reader(shop.id, app_id=shop.id), conversation.uuid)


async def test_guests_conversation_opens_by_its_id_while_guests_are_on(store: SqlStore, guest: User, bob: User) -> None:
    talk = await store.conversations.create(new_conversation(guest, open_by_id=True), NOW)
    opened = await store.conversations.access(Reader(bob.id, guests_allowed=True), talk.uuid)
    assert opened.id == talk.id
    with pytest.raises(NotFound):
        await store.conversations.access(Reader(bob.id, guests_allowed=False), talk.uuid)
    # It is the guest's own with guests off as well.
    assert (await store.conversations.access(Reader(guest.id), talk.uuid)).id == talk.id


async def test_number_alone_never_opens_a_guests_conversation(store: SqlStore, guest: User, bob: User) -> None:
    talk = await store.conversations.create(new_conversation(guest, open_by_id=True), NOW)
    for allowed in (True, False):
        with pytest.raises(NotFound):
            await store.conversations.access(Reader(bob.id, guests_allowed=allowed), talk.id)
    assert (await store.conversations.access(Reader(guest.id), talk.id)).uuid == talk.uuid


async def test_same_rights_hold_for_saying_something(
    store: SqlStore, guest: User, bob: User, shop: User, other_shop: User, customer: User
) -> None:
    guests = await store.conversations.create(new_conversation(guest, open_by_id=True), NOW)
    customers = await store.conversations.create(new_conversation(customer), NOW)
    # Who holds the id of a guest's conversation speaks as oneself; an application speaks for its user.
    may = [
        (Reader(bob.id, guests_allowed=True), guests, bob),
        (Reader(NOT_STORED, guests_allowed=True), guests, guest),
        (Reader(shop.id, app_id=shop.id), customers, customer),
    ]
    may_not = [
        (Reader(bob.id), guests),
        (Reader(bob.id, guests_allowed=True), customers),
        (Reader(other_shop.id, app_id=other_shop.id), customers),
        (Reader(bob.id, is_admin=True), customers),
    ]
    for reader, talk, speaker in may:
        begun = await store.turns.begin(replace(said(bob, "hello", talk.uuid), reader=reader))
        assert begun.turn.prompt.sender_id == speaker.id
    before = await dump(store)
    for reader, talk in may_not:
        with pytest.raises(NotFound):
            await store.turns.begin(replace(said(bob, "hello", talk.uuid), reader=reader))
    assert await dump(store) == before


# What is kept of them


async def test_conversation_comes_back_as_it_was_made(store: SqlStore, alice: User) -> None:
    speaking = Speaking("openai", "gpt-4", 0.25, 100, 0.5, -0.5, 20, True, 4000, True, "leaflets")
    new = new_conversation(alice, speaking=speaking, system_prompt="Sprich über Äpfel. 🍏")
    made = await store.conversations.create(new, NOW)
    assert await seen(store, made) == made
    assert (made.uuid, made.owner_id, made.title, made.speaking, made.origin) == (
        new.uuid, alice.id, "A talk", speaking, "chatify",
    )  # fmt: skip
    assert made.prompt_id is not None
    assert await store.conversations.text(made.prompt_id) == "Sprich über Äpfel. 🍏"


async def test_listed_first_is_what_changed_last(store: SqlStore, alice: User) -> None:
    made = [await store.conversations.create(new_conversation(alice), Micros(NOW + number)) for number in range(4)]
    renamed = await store.conversations.change(
        Reader(alice.id), made[1].uuid, ConversationChange(title="New name"), LATER
    )
    assert (renamed.title, renamed.updated_at) == ("New name", LATER)
    listed = await store.conversations.list(Reader(alice.id), limit=None, offset=0)
    assert [one.id for one in listed] == [made[index].id for index in (1, 3, 2, 0)]
    page = await store.conversations.list(Reader(alice.id), limit=2, offset=1)
    assert list(page) == list(listed[1:3])


async def test_system_prompt_is_kept_once_however_many_start_with_it(
    store: SqlStore, other_store: SqlStore, alice: User
) -> None:
    await asyncio.gather(
        *(
            one.conversations.create(new_conversation(alice, system_prompt="You are kind."), NOW)
            for one in [store, other_store] * 10
        )
    )
    await store.conversations.create(new_conversation(alice, system_prompt=""), NOW)
    assert [tuple(row) for row in await rows(store, "SELECT text FROM texts")] == [("You are kind.",)]


async def test_preset_counts_the_conversations_that_start_with_it(store: SqlStore, alice: User) -> None:
    for _ in range(3):
        await store.conversations.create(new_conversation(alice), NOW)
    await store.turns.begin(said(alice, "hello", new_conversation(alice)))
    [used] = await rows(store, "SELECT usage_count FROM presets WHERE id = 1")
    assert used[0] == 4


# What was said last


async def test_newest_turns_of_all_are_found_behind_conversations_whose_replies_ended_late(
    store: SqlStore, alice: User
) -> None:
    texts = [f"turn {number}" for number in range(12)]
    for number, text in enumerate(texts):
        begun = await store.turns.begin(said(alice, text, new_conversation(alice), now=Micros(NOW + number)))
        if number < 7:
            await answer(store, begun)
    for limit in (1, 3, 5, 12, 20):
        turns = await store.conversations.recent_turns(Reader(alice.id), None, limit)
        assert [turn.prompt for turn in turns] == texts[::-1][:limit]


# How they end


async def test_conversation_ends_once(
    store: SqlStore, other_store: SqlStore, alice: User, conversation: Conversation
) -> None:
    outcomes = await asyncio.gather(
        *(one.conversations.end(Reader(alice.id), conversation.uuid, LATER) for one in [store, other_store] * 3),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(Ended) == 5
    ended = await seen(store, conversation)
    assert (ended.ended, ended.ended_at, ended.updated_at) == (True, LATER, LATER)


async def test_deleted_conversation_is_gone_at_once_for_everyone(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    running = await store.turns.begin(said(alice, "one", conversation.uuid))
    waiting = await store.turns.begin(said(alice, "two", conversation.uuid))
    hidden = await store.conversations.delete(Reader(alice.id), conversation.uuid, NOW)
    assert (hidden.owner_id, set(hidden.replies)) == (alice.id, {running.turn.reply.id, waiting.turn.reply.id})
    for key in (conversation.uuid, conversation.id):
        with pytest.raises(NotFound):
            await store.conversations.access(Reader(alice.id, guests_allowed=True), key)
    with pytest.raises(NotFound):
        await store.conversations.delete(Reader(alice.id), conversation.uuid, NOW)
    assert await store.conversations.list(Reader(alice.id), limit=None, offset=0) == []
    renewed = await store.turns.checkpoint(HERE, LEASE, [(running.turn.reply.id, 1)], [])
    assert renewed.stop == {running.turn.reply.id}


async def test_only_idle_sessions_without_an_open_reply_end_by_themselves(store: SqlStore, alice: User) -> None:
    idle, spoken, busy, lasting = [
        await store.conversations.create(new_conversation(alice, ends_when_idle=ends), NOW)
        for ends in (True, True, True, False)
    ]
    await store.turns.begin(said(alice, "hello", busy.uuid))
    later = Micros(NOW + 31 * MINUTE)
    begun = await store.turns.begin(said(alice, "hello", spoken.uuid, now=later))
    await store.turns.finish(replace(ending(begun), now=later))
    assert set(await store.conversations.active()) == {idle.uuid, spoken.uuid, busy.uuid, lasting.uuid}
    assert await store.conversations.end_idle(Micros(NOW + MINUTE), later) == [alice.id]
    assert set(await store.conversations.active()) == {spoken.uuid, busy.uuid, lasting.uuid}
    found = [await seen(store, one) for one in (idle, spoken, busy, lasting)]
    assert [one.ended for one in found] == [True, False, False, False]
    # It does not come to the top of the list: nobody has done anything there.
    assert found[0].updated_at == NOW
    assert await store.conversations.end_idle(Micros(NOW + MINUTE), later) == []


# How they go away

SECRET = "the raven flies at midnight"


async def test_purge_removes_every_trace_of_what_was_said(store: SqlStore, alice: User) -> None:
    talk = await store.conversations.create(new_conversation(alice, system_prompt=f"You know that {SECRET}."), NOW)
    begun = await store.turns.begin(said(alice, SECRET, talk.uuid, client_id=SECRET))
    reply = begun.turn.reply.id
    await store.turns.checkpoint(HERE, LEASE, [(reply, 1)], [Checkpoint(reply, 1, 0, SECRET)])
    await answer(store, begun, SECRET, usage=Usage(3, 4))
    await store.conversations.change(Reader(alice.id), talk.uuid, ConversationChange(title=SECRET), NOW)
    await store.conversations.delete(Reader(alice.id), talk.uuid, NOW)
    assert await store.conversations.purge(NOW) == 0
    assert SECRET in repr(await dump(store))
    assert await store.conversations.purge(Micros(NOW + 1)) == 1
    left = await dump(store)
    assert SECRET not in repr(left)
    assert (left["messages"], left["conversations"], left["texts"]) == ([], [], [])
    # What it cost stays on the account.
    assert len(left["usage"]) == 1


async def test_purge_leaves_a_system_prompt_that_another_conversation_has(store: SqlStore, alice: User) -> None:
    gone, stays = [await store.conversations.create(new_conversation(alice), NOW) for _ in range(2)]
    await store.conversations.delete(Reader(alice.id), gone.uuid, NOW)
    await store.conversations.purge(LATER)
    begun = await store.turns.begin(said(alice, "hello", stays.uuid))
    assert begun.system_prompt == "Be kind."


async def test_system_prompt_of_a_purged_conversation_is_never_anothers(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User
) -> None:
    old = await store.turns.begin(said(alice, "hello", new_conversation(alice, system_prompt="Alice's own")))
    assert old.system_prompt == "Alice's own"
    await answer(store, old)
    # Another process, as the command line beside a server, does not tell this one.
    await other_store.conversations.delete(Reader(alice.id), old.turn.conversation.uuid, NOW)
    await other_store.conversations.purge(LATER)
    fresh = await other_store.conversations.create(new_conversation(bob, system_prompt="Bob's own"), NOW)
    begun = await store.turns.begin(said(bob, "hello", fresh.uuid))
    assert begun.system_prompt == "Bob's own"


async def test_purge_waits_for_replies_that_are_open(store: SqlStore, alice: User, conversation: Conversation) -> None:
    begun = await store.turns.begin(said(alice, "hello", conversation.uuid))
    await store.conversations.delete(Reader(alice.id), conversation.uuid, NOW)
    assert await store.conversations.purge(LATER) == 0
    await answer(store, begun, "too late", "stopped")
    assert await store.conversations.purge(LATER) == 1


async def test_purge_takes_any_number_and_nothing_that_is_not_deleted(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    for _ in range(105):
        talk = await store.conversations.create(new_conversation(alice), NOW)
        await store.conversations.delete(Reader(alice.id), talk.uuid, NOW)
    assert await store.conversations.purge(LATER) == 105
    assert [row[0] for row in await rows(store, "SELECT id FROM conversations")] == [conversation.id]


async def test_conversation_that_nobody_has_is_not_found_by_any_number(store: SqlStore, alice: User) -> None:
    for number in (0, -1, 2**63 - 1):
        with pytest.raises(NotFound):
            await store.conversations.access(Reader(alice.id), ConversationId(number))


async def test_marks_change_nothing_else(store: SqlStore, alice: User, bob: User, conversation: Conversation) -> None:
    before = await seen(store, conversation)
    reader = Reader(alice.id)
    await store.conversations.mark(reader, conversation.uuid, Marks(pinned=True), LATER)
    marked = await store.conversations.mark(reader, conversation.uuid, Marks(archived=True), Micros(LATER + 1))
    assert marked == await seen(store, conversation)
    assert marked == replace(before, pinned_at=LATER, archived_at=LATER + 1)
    assert await store.conversations.in_list(reader, archived=False, limit=5, offset=0) == ([], 0)
    assert await store.conversations.in_list(reader, archived=True, limit=5, offset=0) == ([marked], 1)
    assert await store.conversations.in_list(Reader(bob.id), archived=True, limit=5, offset=0) == ([], 0)
    with pytest.raises(NotFound):
        await store.conversations.mark(Reader(bob.id), conversation.uuid, Marks(pinned=True), LATER)
    cleared = Marks(pinned=False, archived=False)
    assert await store.conversations.mark(reader, conversation.uuid, cleared, LATER) == before
    await store.conversations.delete(reader, conversation.uuid, LATER)
    assert await store.conversations.in_list(reader, archived=False, limit=5, offset=0) == ([], 0)
