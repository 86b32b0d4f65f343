"""How much is said in one conversation, whoever says it, and only by those whose it is."""

from collections import Counter

import pytest

from palaver.chat.conversation import Conversation
from palaver.chat.errors import NotFound, RateLimited
from palaver.chat.limits import LimitRules, Limits
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import NOW, new_conversation, new_user

A_MINUTE = 3


@pytest.fixture
def limits(store: SqlStore) -> Limits:
    return Limits(LimitRules(conversation_turns_a_minute=A_MINUTE), None, store)


@pytest.fixture
def looked_up(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    times: Counter[str] = Counter()
    access = store.conversations.access

    async def counted(reader: Reader, conversation: str) -> Conversation:
        times[conversation] += 1
        return await access(reader, conversation)

    monkeypatch.setattr(store.conversations, "access", counted)
    return times


async def test_conversation_that_goes_on_is_looked_up_once_and_counted_each_time(
    limits: Limits, alice: User, conversation: Conversation, looked_up: Counter[str]
) -> None:
    reader = Reader(alice.id)
    for _ in range(A_MINUTE):
        await limits.allow_conversation(reader, conversation.uuid, None)
    with pytest.raises(RateLimited):
        await limits.allow_conversation(reader, conversation.uuid, None)
    assert looked_up == {conversation.uuid: 1}


async def test_stranger_does_not_find_a_conversation_that_is_known_here_and_uses_up_nothing_of_it(
    limits: Limits, store: SqlStore, alice: User, conversation: Conversation
) -> None:
    mallory = await store.accounts.add_user(new_user("mallory"))
    await limits.allow_conversation(Reader(alice.id), conversation.uuid, None)
    for _ in range(A_MINUTE):
        with pytest.raises(NotFound):
            await limits.allow_conversation(Reader(mallory.id), conversation.uuid, None)
    granted = await limits.allow_conversation(Reader(alice.id), conversation.uuid, None)
    [standing] = granted.standings
    assert standing.left == A_MINUTE - 2


async def test_only_so_many_conversations_are_remembered(
    limits: Limits, store: SqlStore, alice: User, looked_up: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.chat.limits.REMEMBERED_CONVERSATIONS", 1)
    one, other = [await store.conversations.create(new_conversation(alice), NOW) for _ in range(2)]
    for each in (one, other, one):
        await limits.allow_conversation(Reader(alice.id), each.uuid, None)
    assert looked_up == {one.uuid: 2, other.uuid: 1}


async def test_what_a_conversation_refuses_does_not_count_for_its_caller(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    limits = Limits(LimitRules(turns_a_minute=A_MINUTE + 2, conversation_turns_a_minute=A_MINUTE), None, store)

    async def say() -> None:
        with await limits.allow_turn(alice) as granted:
            await limits.allow_conversation(Reader(alice.id), conversation.uuid, None, granted)

    for _ in range(A_MINUTE):
        await say()
    for _ in range(A_MINUTE):
        with pytest.raises(RateLimited):
            await say()
    [standing] = (await limits.allow_turn(alice)).standings
    assert standing.left == 1
