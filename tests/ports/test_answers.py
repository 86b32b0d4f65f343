"""Answers that may be given again: found by who got them, for a while, and as long as their conversation is there."""

import asyncio

import pytest
from msgspec.structs import replace

from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import Conversation
from palaver.chat.pieces import KnownAnswer
from palaver.chat.ports import AnswerToKeep
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import LATER, NOW, dump, new_conversation, rows

MANY = 100
DIGEST = b"\x00of a question\xff"
ANSWER = KnownAnswer("The Loire. 🏞", "stop", "gpt-4")
ENDS = Micros(NOW + 60 * SECOND)


@pytest.fixture
def kept(alice: User, conversation: Conversation) -> AnswerToKeep:
    return AnswerToKeep(DIGEST, alice.id, conversation.id, ANSWER, ENDS)


def numbered(kept: AnswerToKeep, number: int) -> AnswerToKeep:
    return replace(kept, digest=b"%d" % number)


async def found(store: SqlStore, kept: AnswerToKeep, *numbers: int) -> list[int]:
    return [
        number for number in numbers if await store.answers.find(kept.user_id, numbered(kept, number).digest, LATER)
    ]


async def test_answer_is_found_by_its_person_until_its_time_is_over(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User, kept: AnswerToKeep
) -> None:
    assert await store.answers.find(alice.id, DIGEST, NOW) is None
    await store.answers.keep(kept, MANY)
    assert await other_store.answers.find(alice.id, DIGEST, Micros(ENDS - 1)) == ANSWER
    assert await store.answers.find(alice.id, DIGEST, ENDS) is None
    assert await store.answers.find(bob.id, DIGEST, NOW) is None
    assert await store.answers.find(alice.id, DIGEST + b"!", NOW) is None


async def test_newer_answer_takes_the_place_of_the_older(store: SqlStore, alice: User, kept: AnswerToKeep) -> None:
    await store.answers.keep(kept, MANY)
    newer = KnownAnswer("The Rhône.", "length")
    await store.answers.keep(replace(kept, answer=newer), MANY)
    assert await store.answers.find(alice.id, DIGEST, NOW) == newer
    assert len(await rows(store, "SELECT * FROM answers")) == 1


async def test_same_answer_kept_by_many_at_once_is_there_once(
    store: SqlStore, other_store: SqlStore, kept: AnswerToKeep
) -> None:
    await asyncio.gather(*(one.answers.keep(kept, MANY) for one in (store, other_store) * 4))
    assert [row[0] for row in await rows(store, "SELECT text FROM answers")] == [ANSWER.text]


async def test_oldest_go_where_there_are_too_many(store: SqlStore, kept: AnswerToKeep) -> None:
    for number in range(5):
        await store.answers.keep(numbered(kept, number), 3)
        assert len(await rows(store, "SELECT * FROM answers")) == min(number + 1, 3)
    # One that is kept anew is young again.
    await store.answers.keep(numbered(kept, 2), 3)
    await store.answers.keep(numbered(kept, 5), 3)
    assert await found(store, kept, 0, 1, 2, 3, 4, 5) == [2, 4, 5]


async def test_answers_whose_time_is_over_are_removed(store: SqlStore, kept: AnswerToKeep) -> None:
    await store.answers.keep(numbered(kept, 1), MANY)
    await store.answers.keep(replace(numbered(kept, 2), expires_at=Micros(ENDS + 1)), MANY)
    assert await store.answers.remove_expired(LATER) == 0
    assert await store.answers.remove_expired(ENDS) == 1
    assert await found(store, kept, 1, 2) == [2]


@pytest.mark.parametrize("keep", [True, False], ids=["put away", "deleted"])
async def test_conversation_takes_its_answers_with_it_and_leaves_the_others(
    store: SqlStore, alice: User, conversation: Conversation, kept: AnswerToKeep, keep: bool
) -> None:
    other = await store.conversations.create(new_conversation(alice), NOW)
    await store.answers.keep(numbered(kept, 1), MANY)
    await store.answers.keep(replace(numbered(kept, 2), conversation_id=other.id), MANY)
    await store.conversations.delete(Reader(alice.id), conversation.uuid, NOW, keep=keep)
    assert await found(store, kept, 1, 2) == [2]
    # What was being said while it was deleted is not kept after it.
    before = await dump(store)
    await store.answers.keep(numbered(kept, 3), MANY)
    assert await dump(store) == before


async def test_answer_kept_while_its_conversation_is_deleted_is_gone_with_it(
    store: SqlStore, other_store: SqlStore, alice: User, kept: AnswerToKeep
) -> None:
    for number in range(10):
        talk = await store.conversations.create(new_conversation(alice), NOW)
        await asyncio.gather(
            store.answers.keep(replace(numbered(kept, number), conversation_id=talk.id), MANY),
            other_store.conversations.delete(Reader(alice.id), talk.uuid, NOW),
        )
    assert await rows(store, "SELECT * FROM answers") == []


async def test_erasing_a_person_removes_what_they_were_answered(
    store: SqlStore, alice: User, bob: User, kept: AnswerToKeep
) -> None:
    bobs = await store.conversations.create(new_conversation(bob), NOW)
    await store.answers.keep(numbered(kept, 1), MANY)
    await store.answers.keep(replace(numbered(kept, 2), user_id=bob.id, conversation_id=bobs.id), MANY)
    await store.accounts.erase_user(alice.id, NOW)
    assert [row[0] for row in await rows(store, "SELECT user_id FROM answers")] == [bob.id]
