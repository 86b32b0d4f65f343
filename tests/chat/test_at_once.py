"""One reply at once for each: what waits for that one is begun all the same, and nothing of what is refused is kept."""

import asyncio
from typing import Any

import pytest

from palaver.chat.conversation import Conversation
from palaver.chat.counts import LocalCounts
from palaver.chat.errors import RateLimited
from palaver.chat.flow import Chat, ask_for_another, continue_chat, stop_reply
from palaver.chat.limits import LimitRules, Limits
from palaver.chat.ports import Begun
from palaver.chat.telling import Telling
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.chat.talking import HandBot, Talk
from tests.ports.talking import NOW, new_conversation, rows

A_MINUTE = 20


@pytest.fixture
def counts() -> LocalCounts:
    return LocalCounts()


@pytest.fixture
def limits(store: SqlStore, counts: LocalCounts) -> Limits:
    return Limits(LimitRules(turns_a_minute=A_MINUTE, replies_at_once=1), counts, store)


class Person:
    def __init__(self, chat: Chat, limits: Limits, user: User) -> None:
        self.chat, self.limits, self.user = chat, limits, user
        self.reader = Reader(user.id)

    async def say(self, text: str, where: Conversation, **more: Any) -> Begun:
        with await self.limits.allow_turn(self.user) as granted:
            return await continue_chat(self.chat, self.reader, text, conversation=where.uuid, granted=granted, **more)

    async def say_anew(self, text: str) -> Begun:
        with await self.limits.allow_turn(self.user) as granted:
            new = new_conversation(self.user)
            return await continue_chat(self.chat, self.reader, text, new=new, granted=granted)

    async def ask_again(self, where: Conversation) -> Begun:
        with await self.limits.allow_turn(self.user) as granted:
            return await ask_for_another(
                self.chat, self.reader, where.uuid, None, when_busy="queue", request_id="", granted=granted
            )

    async def turns_left(self) -> int:
        with await self.limits.allow_turn(self.user) as granted:
            granted.undo()
            told = zip(granted.limits, granted.standings, strict=True)
            [left] = [standing.left for limit, standing in told if limit.name == "turns_a_minute"]
            return left + 1


@pytest.fixture
def person(chat: Chat, limits: Limits, alice: User) -> Person:
    return Person(chat, limits, alice)


async def answer(chat: Chat, begun: Begun, talk: Talk) -> None:
    await talk.say("Yes.")
    talk.finish()
    async with asyncio.timeout(10):
        await chat.replies.wait_end(begun)


async def everything(store: SqlStore) -> list[tuple[object, ...]]:
    names = ("conversations", "messages", "texts")
    return [tuple(row) for name in names for row in await rows(store, f"SELECT * FROM {name}")]


async def test_what_waits_for_the_one_reply_is_begun_and_takes_its_place(
    chat: Chat, counts: LocalCounts, bot: HandBot, conversation: Conversation, person: Person
) -> None:
    first = await person.say("one", conversation, client_message_id="c-1")
    again = await person.say("one", conversation, client_message_id="c-1")
    assert (again.state, again.turn.reply.id) == ("known", first.turn.reply.id)
    second = await person.say("two", conversation)
    assert second.state == "queued"
    # An interrupt ends the one that runs, and only then comes what waits.
    third = await person.say("three", conversation, when_busy="interrupt")
    assert (third.state, third.interrupts) == ("queued", first.turn.reply.id)
    async with asyncio.timeout(10):
        await chat.replies.wait_end(first)
    assert (await bot.asked()).left.is_set()
    for begun, text in ((second, "two"), (third, "three")):
        talk = await bot.asked()
        assert talk.prompt.message == text
        assert not bot.is_asked
        assert len(list(counts.held())) == 1
        await answer(chat, begun, talk)
    assert not list(counts.held())


async def test_reply_that_runs_is_edited_away_and_asked_for_anew(
    chat: Chat, bot: HandBot, conversation: Conversation, person: Person
) -> None:
    first = await person.say("one", conversation)
    await answer(chat, first, await bot.asked())
    await person.say("two", conversation)
    assert (await bot.asked()).prompt.message == "two"
    another = await person.ask_again(conversation)
    talk = await bot.asked()
    edited = await person.say("uno", conversation, edits=first.turn.prompt.uuid)
    assert {another.state, edited.state} == {"queued"}
    assert talk.prompt.message == "two"
    assert (await bot.asked()).prompt.message == "uno"


async def test_turn_that_would_begin_a_second_reply_is_refused_and_nothing_of_it_is_kept(
    store: SqlStore, chat: Chat, alice: User, bot: HandBot, conversation: Conversation, person: Person
) -> None:
    elsewhere = await store.conversations.create(new_conversation(alice), NOW)
    begun = await person.say("hello", elsewhere)
    await answer(chat, begun, await bot.asked())
    broken = await store.conversations.create(new_conversation(alice), NOW)
    failed = await person.say("hello", broken, client_message_id="c-1")
    (await bot.asked()).end(None)
    async with asyncio.timeout(10):
        await chat.replies.wait_end(failed)
    await person.say("one", conversation)
    await bot.asked()
    before, left = await everything(store), await person.turns_left()
    edits = begun.turn.prompt.uuid
    for refused in (
        person.say("two", elsewhere),
        person.say_anew("two"),
        person.say("two", elsewhere, edits=edits),
        person.ask_again(elsewhere),
        person.say("hello", broken, client_message_id="c-1"),
    ):
        with pytest.raises(RateLimited) as error:
            await refused
        assert error.value.limit is not None
        assert error.value.limit.name == "replies_at_once"
    assert await everything(store) == before
    assert await person.turns_left() == left
    assert not bot.is_asked


async def test_other_limits_are_refused_at_once_and_so_is_what_cannot_wait(
    bot: HandBot, conversation: Conversation, person: Person, limits: Limits, alice: User
) -> None:
    await person.say("one", conversation)
    await bot.asked()
    with pytest.raises(RateLimited):
        await limits.allow_turn(alice, may_wait=False)
    for _ in range(A_MINUTE - 1):
        await person.say("more", conversation)
    with pytest.raises(RateLimited) as error:
        await person.say("too much", conversation)
    assert error.value.limit is not None
    assert error.value.limit.name == "turns_a_minute"


async def test_place_is_free_again_where_the_reply_cannot_even_be_started(
    monkeypatch: pytest.MonkeyPatch, chat: Chat, counts: LocalCounts, conversation: Conversation, person: Person
) -> None:
    def broken(*_all: object) -> None:
        raise LookupError

    monkeypatch.setattr(chat.replies._prompting, "allow", broken)
    with pytest.raises(LookupError):
        await person.say("one", conversation)
    assert not list(counts.held())


async def test_place_is_free_again_where_nobody_can_be_told_of_the_end(
    monkeypatch: pytest.MonkeyPatch, chat: Chat, bot: HandBot, counts: LocalCounts, conversation: Conversation,
    person: Person,
) -> None:  # fmt: skip
    begun = await person.say("one", conversation)
    await bot.asked()

    def broken(*_all: object) -> None:
        raise LookupError

    monkeypatch.setattr(Telling, "end", broken)
    assert len(list(counts.held())) == 1
    await stop_reply(chat, conversation.id)
    async with asyncio.timeout(10):
        await chat.replies.wait_end(begun)
    assert not list(counts.held())
