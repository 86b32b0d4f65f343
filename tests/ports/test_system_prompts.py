"""System prompts that are listed as messages, and what is listed beside them."""

import asyncio

import pytest
from msgspec.structs import replace

from palaver.chat.clock import DAY, Micros
from palaver.chat.conversation import Conversation, ConversationChange
from palaver.chat.turn import number_in
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import LATER, NOW, answer, new_conversation, rows, said, seen

PROMPT = "Be kind."


@pytest.fixture
async def prompted(store: SqlStore, alice: User) -> Conversation:
    """A conversation whose system prompt is its first message."""
    return await store.conversations.create(replace(new_conversation(alice), lists_prompt=True), NOW)


async def reword(store: SqlStore, conversation: Conversation, prompt: str, now: Micros = LATER) -> Conversation:
    change = ConversationChange(system_prompt=prompt)
    return await store.conversations.change(Reader(conversation.owner_id), conversation.uuid, change, now)


async def listed(store: SqlStore, conversation: Conversation) -> list[tuple[str, str]]:
    messages = await store.conversations.messages(conversation, limit=None, offset=0)
    assert [message.parent_uuid for message in messages] == [None, *(message.uuid for message in messages)][:-1]
    return [(message.role, message.content) for message in messages]


async def talk(store: SqlStore, alice: User, conversation: Conversation, *texts: str) -> None:
    for text in texts:
        await answer(store, await store.turns.begin(said(alice, text, conversation.uuid)), f"{text}!")


async def test_prompt_is_the_message_before_the_first(store: SqlStore, prompted: Conversation, alice: User) -> None:
    assert prompted == await seen(store, prompted)
    [message] = await store.conversations.messages(prompted, limit=None, offset=0)
    assert (message.number, message.role, message.status, message.content) == (0, "system", "complete", PROMPT)
    assert (number_in(message.uuid), message.created_at) == (0, prompted.created_at)
    assert (prompted.leaf_uuid, prompted.message_count, prompted.last_message_at) == (message.uuid, 1, None)
    await talk(store, alice, prompted, "one")
    assert await listed(store, prompted) == [("system", PROMPT), ("user", "one"), ("assistant", "one!")]
    assert (await seen(store, prompted)).message_count == 3


async def test_prompt_that_is_not_to_be_listed_or_not_there_is_no_message(store: SqlStore, alice: User) -> None:
    for new in (new_conversation(alice), replace(new_conversation(alice, system_prompt=""), lists_prompt=True)):
        made = await store.conversations.create(new, NOW)
        assert (await listed(store, made), made.message_count) == ([], 0)


async def test_prompt_is_replaced_where_it_stands(store: SqlStore, prompted: Conversation, alice: User) -> None:
    await talk(store, alice, prompted, "one")
    changed = await reword(store, prompted, "Be brief.")
    assert (await listed(store, changed))[0] == ("system", "Be brief.")
    # Who has seen the old one has to look again.
    assert (changed.revision, changed.message_count) == (prompted.revision + 1, 3)
    assert (await store.turns.begin(said(alice, "two", prompted.uuid))).system_prompt == "Be brief."
    assert (await reword(store, prompted, "Be brief.")).revision == changed.revision


async def test_prompt_comes_and_goes(store: SqlStore, conversation: Conversation, alice: User) -> None:
    with_it = await reword(store, conversation, PROMPT)
    assert await listed(store, with_it) == [("system", PROMPT)]
    assert (with_it.message_count, with_it.leaf_uuid is None) == (1, False)
    without = await reword(store, conversation, "")
    assert (await listed(store, without), without.prompt_id, without.leaf_uuid) == ([], None, None)
    assert without.message_count == 0
    await talk(store, alice, conversation, "one")
    leaf = (await seen(store, conversation)).leaf_uuid
    again = await reword(store, conversation, "Be brief.")
    assert [role for role, _ in await listed(store, again)] == ["system", "user", "assistant"]
    assert (again.leaf_uuid, (await reword(store, conversation, "")).leaf_uuid) == (leaf, leaf)


async def test_prompt_that_many_replace_at_once_is_listed_once(
    store: SqlStore, other_store: SqlStore, conversation: Conversation
) -> None:
    await asyncio.gather(
        *(reword(one, conversation, f"Be {number}.") for number in range(5) for one in (store, other_store))
    )
    found = await seen(store, conversation)
    assert found.prompt_id is not None
    kept = await store.conversations.text(found.prompt_id)
    assert (await listed(store, found), found.message_count) == ([("system", kept)], 1)


async def test_change_of_nothing_leaves_everything(store: SqlStore, prompted: Conversation) -> None:
    nothing = ConversationChange()
    assert await store.conversations.change(Reader(prompted.owner_id), prompted.uuid, nothing, LATER) == prompted


async def test_change_changes_what_is_named(store: SqlStore, prompted: Conversation) -> None:
    change = ConversationChange(
        title="New", model="m", temperature=0.5, max_tokens=7, enable_tools=True, window=3, token_budget=90
    )
    reader = Reader(prompted.owner_id)
    changed = await store.conversations.change(reader, prompted.uuid, change, LATER)
    speaking = replace(
        prompted.speaking, model="m", temperature=0.5, max_tokens=7, enable_tools=True, window=3, token_budget=90
    )
    assert changed == replace(prompted, title="New", speaking=speaking, updated_at=LATER)
    cleared = ConversationChange(max_tokens=None, window=None, token_budget=None)
    changed = await store.conversations.change(reader, prompted.uuid, cleared, LATER)
    assert changed.speaking == replace(speaking, max_tokens=None, window=None, token_budget=None)


# What is left of replaced prompts


async def texts(store: SqlStore) -> set[str]:
    return {row[0] for row in await rows(store, "SELECT text FROM texts")}


async def test_replaced_prompt_goes_once_it_was_left_long_enough(store: SqlStore, prompted: Conversation) -> None:
    await reword(store, prompted, "Be brief.", NOW)
    assert await store.conversations.remove_left_texts(NOW) == 0
    assert await texts(store) == {PROMPT, "Be brief."}
    await store.conversations.remove_left_texts(Micros(NOW + 1))
    assert await texts(store) == {"Be brief."}
    await reword(store, prompted, "", NOW)
    await store.conversations.remove_left_texts(Micros(NOW + 1))
    assert await texts(store) == set()


async def test_replaced_prompt_that_another_conversation_has_stays_until_that_goes(
    store: SqlStore, prompted: Conversation, conversation: Conversation
) -> None:
    await reword(store, prompted, "Be brief.", NOW)
    assert await store.conversations.remove_left_texts(LATER) == 1
    assert await texts(store) == {PROMPT, "Be brief."}
    # It is not looked at again until it is left again.
    assert await store.conversations.remove_left_texts(Micros(NOW + DAY)) == 0
    await store.conversations.delete(Reader(conversation.owner_id), conversation.uuid, NOW)
    await store.conversations.purge(LATER)
    assert await texts(store) == {"Be brief."}


async def test_prompt_that_came_back_stays(store: SqlStore, prompted: Conversation) -> None:
    await reword(store, prompted, "Be brief.", NOW)
    await reword(store, prompted, PROMPT, NOW)
    await store.conversations.remove_left_texts(LATER)
    assert await texts(store) == {PROMPT}


# Lists


async def test_pages_hold_the_roles_that_are_asked_for(store: SqlStore, prompted: Conversation, alice: User) -> None:
    await talk(store, alice, prompted, "one", "two")
    for limit, offset, expected in (
        (3, 0, ["one", "one!", "two"]), (3, 1, ["one!", "two", "two!"]), (None, 3, ["two!"]), (1, 4, []),
    ):  # fmt: skip
        page = await store.conversations.messages(prompted, limit=limit, offset=offset, roles=("user", "assistant"))
        assert [message.content for message in page] == expected


async def test_newest_messages_come_oldest_first_and_tell_of_more(
    store: SqlStore, prompted: Conversation, alice: User
) -> None:
    assert await store.conversations.newest(prompted, 5) == (
        await store.conversations.messages(prompted, limit=None, offset=0), False,
    )  # fmt: skip
    await talk(store, alice, prompted, "one", "two")
    whole = await store.conversations.messages(prompted, limit=None, offset=0)
    for limit, more in ((1, True), (4, True), (5, False), (6, False)):
        assert await store.conversations.newest(prompted, limit) == (whole[-limit:], more)


async def test_kept_conversation_is_hidden_and_never_purged(
    store: SqlStore, prompted: Conversation, alice: User
) -> None:
    await store.conversations.delete(Reader(alice.id), prompted.uuid, NOW, keep=True)
    assert await store.conversations.list(Reader(alice.id), limit=None, offset=0) == []
    assert await store.conversations.purge(Micros(NOW + 1000 * DAY)) == 0
    assert len(await rows(store, "SELECT 1 FROM messages")) == 1
    # Whoever is erased takes it along.
    await store.accounts.erase_user(alice.id, NOW)
    assert (await rows(store, "SELECT 1 FROM messages"), await texts(store)) == ([], set())


async def test_totals_count_what_is_there(store: SqlStore, prompted: Conversation, alice: User, bob: User) -> None:
    await talk(store, alice, prompted, "one")
    await store.conversations.create(new_conversation(alice), NOW)
    gone = await store.conversations.create(new_conversation(alice), NOW)
    await store.conversations.delete(Reader(alice.id), gone.uuid, NOW, keep=True)
    totals = await store.conversations.totals(Reader(alice.id), "default")
    assert (totals.conversations, totals.messages, totals.favorite) == (2, 3, ("gpt-4", 2))
    assert totals.last_message_at == (await seen(store, prompted)).last_message_at
    nothing = await store.conversations.totals(Reader(bob.id), "default")
    assert (nothing.conversations, nothing.messages, nothing.favorite, nothing.last_message_at) == (0, 0, None, None)
    await store.conversations.create(replace(new_conversation(bob), speaking=replace(gone.speaking, model=None)), NOW)
    assert (await store.conversations.totals(Reader(bob.id), "default")).favorite == ("default", 1)


async def test_many_users_are_found_at_once(store: SqlStore, alice: User, bob: User) -> None:
    assert await store.accounts.get_users({alice.id, bob.id}) == {alice.id: alice, bob.id: bob}
    assert await store.accounts.get_users([]) == {}
