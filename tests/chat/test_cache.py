"""Equal questions of one person, where a preset wants it: the bot is asked once, and the answer is given again."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from msgspec.structs import replace

from palaver.chat.cache import to_question
from palaver.chat.conversation import Conversation, ConversationChange, Past, Speaking, Usage
from palaver.chat.flow import Chat, ask_for_another, continue_chat, delete_conversation, stop_reply, wait_for_answer
from palaver.chat.pieces import Finished, Piece, Prompt, Text
from palaver.chat.ports import Begun
from palaver.chat.running import Outcome
from palaver.chat.sweep import clean
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.chat.conftest import StartChat
from tests.chat.talking import HandBot, HandBots, HandClock
from tests.ports.talking import new_conversation, new_user, rows

CACHING = Speaking(model="gpt-4", temperature=0, caches_answers=True)
LIKE = Finished(usage=Usage(7, 4), model="gpt-4-0613")


async def open_talk(store: SqlStore, who: User, speaking: Speaking = CACHING, prompt: str = "Be kind.") -> Conversation:
    return await store.conversations.create(
        new_conversation(who, speaking=speaking, system_prompt=prompt), who.created_at
    )


async def say(chat: Chat, who: User, talk: Conversation, text: str = "Name a river.") -> Begun:
    return await continue_chat(chat, Reader(who.id), text, conversation=talk.uuid)


async def end_of(chat: Chat, begun: Begun) -> Outcome:
    async with asyncio.timeout(10):
        return await chat.replies.wait_end(begun)


async def be_told(chat: Chat, bot: HandBot, begun: Begun, *texts: str) -> Outcome:
    """The bot is asked, and says this."""
    talk = await bot.asked()
    await talk.say(*texts)
    talk.finish(LIKE)
    return await end_of(chat, begun)


def shown(outcome: Outcome) -> tuple[str, str, bool]:
    reply = outcome.turn.reply
    return reply.status, reply.content, reply.cached


async def test_equal_question_gets_the_same_answer_and_costs_nothing(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    first, second = [await open_talk(store, alice) for _ in range(2)]
    told = await be_told(chat, bot, await say(chat, alice, first), "The ", "Loire.")
    assert (shown(told), told.turn.reply.usage) == (("complete", "The Loire.", False), Usage(7, 4))

    outcome = await wait_for_answer(chat, await say(chat, alice, second))
    assert shown(outcome) == ("complete", "The Loire.", True)
    assert (outcome.turn.reply.usage, outcome.turn.reply.model, outcome.exchanges) == (None, "gpt-4-0613", 1)
    kept = await store.turns.get(outcome.turn.reply.id)
    assert kept is not None
    assert kept.turn.reply == outcome.turn.reply
    used = await rows(store, "SELECT prompt_tokens, completion_tokens FROM conversations ORDER BY id")
    assert [tuple(row) for row in used] == [(7, 4), (0, 0)]
    # And what follows on it is equal, too.
    await be_told(chat, bot, await say(chat, alice, first, "Another."), "The Rhône.")
    assert shown(await end_of(chat, await say(chat, alice, second, "Another."))) == ("complete", "The Rhône.", True)
    assert not bot.is_asked


@pytest.mark.parametrize(
    "speaking",
    [
        replace(CACHING, caches_answers=False),
        replace(CACHING, temperature=0.1),
        replace(CACHING, temperature=None),
        replace(CACHING, collection="maps"),
    ],
    ids=["off", "warm", "left to the server", "with documents"],
)
async def test_bot_is_asked_each_time_where_it_might_say_something_else_or_nobody_wants_it(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, speaking: Speaking
) -> None:
    for text in ("one", "two"):
        begun = await say(chat, alice, await open_talk(store, alice, speaking))
        assert shown(await be_told(chat, bot, begun, text)) == ("complete", text, False)
    assert await rows(store, "SELECT * FROM answers") == []


async def test_server_that_gives_no_answer_again_keeps_none(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    chat = await start_chat(cache_seconds=0)
    for text in ("one", "two"):
        begun = await say(chat, alice, await open_talk(store, alice))
        assert shown(await be_told(chat, bot, begun, text)) == ("complete", text, False)
    assert await rows(store, "SELECT * FROM answers") == []


async def test_nobody_gets_what_another_was_answered(chat: Chat, store: SqlStore, bot: HandBot, alice: User) -> None:
    bob = await store.accounts.add_user(new_user("bob"))
    for who in (alice, bob):
        begun = await say(chat, who, await open_talk(store, who))
        assert shown(await be_told(chat, bot, begun, f"For {who.name}.")) == ("complete", f"For {who.name}.", False)


async def test_two_people_who_ask_the_same_at_once_are_answered_each_by_the_bot(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    bob = await store.accounts.add_user(new_user("bob"))
    begun, talks = [], []
    for who in (alice, bob):
        begun.append(await say(chat, who, await open_talk(store, who)))
        talks.append(await bot.asked())
    for talk, text in zip(talks, ("one", "two"), strict=True):
        await talk.say(text)
        talk.finish()
    told = [shown(await end_of(chat, one)) for one in begun]
    assert told == [("complete", "one", False), ("complete", "two", False)]
    assert len(await rows(store, "SELECT * FROM answers")) == 2


DIFFERENT: Sequence[tuple[Speaking, str, str]] = [
    (CACHING, "Be kind.", "Name a lake."),
    (CACHING, "Be kind. ", "Name a river."),
    (replace(CACHING, model="gpt-5"), "Be kind.", "Name a river."),
    (replace(CACHING, provider="other"), "Be kind.", "Name a river."),
    (replace(CACHING, max_tokens=9), "Be kind.", "Name a river."),
    (replace(CACHING, presence_penalty=0.5), "Be kind.", "Name a river."),
    (replace(CACHING, enable_tools=True), "Be kind.", "Name a river."),
]


@pytest.mark.parametrize(("speaking", "prompt", "text"), DIFFERENT)
async def test_question_that_differs_in_anything_is_another(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, speaking: Speaking, prompt: str, text: str
) -> None:
    await be_told(chat, bot, await say(chat, alice, await open_talk(store, alice)), "The Loire.")
    begun = await say(chat, alice, await open_talk(store, alice, speaking, prompt), text)
    assert shown(await be_told(chat, bot, begun, "Other.")) == ("complete", "Other.", False)


async def test_question_after_other_words_is_another(chat: Chat, store: SqlStore, bot: HandBot, alice: User) -> None:
    for past in ("Hello.", "Good day."):
        talk = await open_talk(store, alice)
        await be_told(chat, bot, await say(chat, alice, talk, past), "Hello.")
        assert shown(await be_told(chat, bot, await say(chat, alice, talk), past)) == ("complete", past, False)


def test_question_holds_what_was_said_and_not_when_or_where(conversation: Conversation) -> None:
    prompt = Prompt("hi", "Be kind.", (Past(1, "user", "a", 1), Past(2, "assistant", "b", 1)), CACHING, "gpt-4")
    asked = to_question(conversation, "openai", prompt)
    same = replace(prompt, request_id="r-2", attempt=3, history=(Past(5, "user", "a", 9), Past(8, "assistant", "b", 9)))
    assert to_question(conversation, "openai", same) == asked
    # Words that move from one message to the next make another question.
    for history in ((Past(1, "user", "ab", 1),), (Past(1, "assistant", "a", 1), Past(2, "user", "b", 1)), ()):
        assert to_question(conversation, "openai", replace(prompt, history=history)).digest != asked.digest


async def test_twenty_equal_questions_at_once_ask_the_bot_once(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    talks = [await open_talk(store, alice) for _ in range(20)]
    begun = await asyncio.gather(*(say(chat, alice, talk) for talk in talks))
    outcomes = [asyncio.ensure_future(end_of(chat, one)) for one in begun]
    talk = await bot.asked()
    await talk.say("The ", "Loire.")
    talk.finish(LIKE)
    told = [shown(outcome) for outcome in await asyncio.gather(*outcomes)]
    assert sorted(told) == [("complete", "The Loire.", False), *[("complete", "The Loire.", True)] * 19]
    assert not bot.is_asked
    assert len(await rows(store, "SELECT * FROM messages WHERE prompt_tokens IS NOT NULL")) == 1


async def three_at_once(chat: Chat, store: SqlStore, who: User) -> tuple[list[Begun], Begun]:
    """Three who ask the same, and of them the one whose question the bot has."""
    begun = [await say(chat, who, await open_talk(store, who)) for _ in range(3)]
    return begun, begun[0]


@pytest.mark.parametrize("how", ["stopped", "failed", "interrupted", "empty", "filtered"])
async def test_those_who_waited_ask_for_themselves_where_the_first_gets_no_whole_answer(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, how: str
) -> None:
    begun, first = await three_at_once(chat, store, alice)
    talk = await bot.asked()
    assert not bot.is_asked
    match how:
        case "stopped":
            await talk.say("The Lo")
            assert await stop_reply(chat, first.turn.conversation.id) is not None
        case "failed":
            talk.fail(RuntimeError("no"))
        case "interrupted":
            await talk.say("The Lo")
            talk.end(None)
        case "empty":
            talk.finish()
        case _:
            await talk.say("The Lo")
            talk.finish(Finished("content_filter"))
    assert not (await end_of(chat, first)).turn.reply.cached
    others = [await bot.asked(), await bot.asked()]
    for number, other in enumerate(others):
        await other.say(f"Answer {number}.")
        other.finish()
    told = {shown(await end_of(chat, one)) for one in begun[1:]}
    assert told == {("complete", "Answer 0.", False), ("complete", "Answer 1.", False)}


class DeafBot:
    """Says a word, and never again takes notice of anything until it is released."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.released = asyncio.Event()

    async def talk(self, _prompt: Prompt) -> AsyncIterator[Piece]:
        yield Text("word")
        self.began.set()
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


@pytest.fixture
def deaf() -> Iterator[DeafBot]:
    """Let go in the end, whatever comes of the test: nothing else ends it."""
    bot = DeafBot()
    yield bot
    bot.released.set()


async def test_first_one_whose_bot_is_left_behind_keeps_nobody_waiting(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, deaf: DeafBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.chat.reply.LEAVE_SECONDS", 0.05)
    monkeypatch.setattr("palaver.chat.cache.LOOK_SECONDS", 0.01)
    chat = await start_chat()
    with monkeypatch.context() as deafened:
        deafened.setattr(HandBots, "bot", lambda _self, _provider: deaf)
        first = await say(chat, alice, await open_talk(store, alice))
        await deaf.began.wait()
    waiting = await say(chat, alice, await open_talk(store, alice))
    assert await stop_reply(chat, first.turn.conversation.id) is not None
    assert shown(await end_of(chat, first)) == ("stopped", "word", False)
    assert shown(await be_told(chat, bot, waiting, "The Loire.")) == ("complete", "The Loire.", False)
    later = await say(chat, alice, await open_talk(store, alice))
    assert shown(await end_of(chat, later)) == ("complete", "The Loire.", True)


async def test_one_who_waits_can_be_stopped_and_the_first_goes_on(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    begun, first = await three_at_once(chat, store, alice)
    talk = await bot.asked()
    assert await stop_reply(chat, begun[1].turn.conversation.id) is not None
    assert shown(await end_of(chat, begun[1])) == ("stopped", "", False)
    await talk.say("The Loire.")
    talk.finish()
    assert shown(await end_of(chat, first)) == ("complete", "The Loire.", False)
    assert shown(await end_of(chat, begun[2])) == ("complete", "The Loire.", True)


async def test_one_who_waits_is_as_patient_as_the_first_has_pieces(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.chat.cache.LOOK_SECONDS", 0.01)
    chat = await start_chat(watched=False, first_seconds=60, between_seconds=60)
    begun, _ = await three_at_once(chat, store, alice)
    talk = await bot.asked()
    for _ in range(3):
        said_at = asyncio.get_running_loop().time()
        await talk.say("more ")
        await all_hear_of_it(chat, begun, said_at)
        # As the watch does a minute later.
        chat.replies._end_silent(said_at + 60)
    talk.finish()
    told = {shown(await end_of(chat, one))[:2] for one in begun}
    assert told == {("complete", "more more more ")}


async def all_hear_of_it(chat: Chat, begun: Sequence[Begun], said_at: float) -> None:
    """Returns when each of these replies has had a piece, or a sign of life, since then."""
    async with asyncio.timeout(10):
        while any(chat.replies._running[one.turn.reply.id].last_piece < said_at for one in begun):
            # Others have their turns.
            await chat.store.check()


async def test_another_answer_is_a_new_one_and_is_the_one_given_from_then_on(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    talk = await open_talk(store, alice)
    await be_told(chat, bot, await say(chat, alice, talk), "The Loire.")
    another = await ask_for_another(chat, Reader(alice.id), talk.uuid, None, when_busy=None, request_id="")
    assert shown(await be_told(chat, bot, another, "The Rhône.")) == ("complete", "The Rhône.", False)
    begun = await say(chat, alice, await open_talk(store, alice))
    assert shown(await end_of(chat, begun)) == ("complete", "The Rhône.", True)


async def test_answer_is_not_given_again_after_its_time_and_goes_with_the_sweep(
    start_chat: StartChat, store: SqlStore, bot: HandBot, clock: HandClock, alice: User
) -> None:
    chat = await start_chat(cache_seconds=60)
    await be_told(chat, bot, await say(chat, alice, await open_talk(store, alice)), "The Loire.")
    clock.move(59)
    assert shown(await end_of(chat, await say(chat, alice, await open_talk(store, alice))))[2]
    clock.move(1)
    await be_told(chat, bot, await say(chat, alice, await open_talk(store, alice)), "The Rhône.")
    clock.move(60)
    await clean(chat)
    assert await rows(store, "SELECT * FROM answers") == []


async def test_no_more_answers_are_kept_than_there_may_be(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    chat = await start_chat(cache_answers=2)
    for text in ("one", "two", "three"):
        await be_told(chat, bot, await say(chat, alice, await open_talk(store, alice), text), text)
    assert [row[0] for row in await rows(store, "SELECT text FROM answers ORDER BY id")] == ["two", "three"]


async def test_deleting_the_conversation_that_it_came_from_removes_an_answer(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    talk = await open_talk(store, alice)
    await be_told(chat, bot, await say(chat, alice, talk), "The Loire.")
    await delete_conversation(chat, Reader(alice.id), talk.uuid)
    begun = await say(chat, alice, await open_talk(store, alice))
    assert shown(await be_told(chat, bot, begun, "The Rhône.")) == ("complete", "The Rhône.", False)


async def test_bot_is_asked_and_heard_where_answers_can_neither_be_found_nor_kept(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    talk, other = [await open_talk(store, alice) for _ in range(2)]
    await store.database.write(lambda tx: tx.run("ALTER TABLE answers RENAME TO elsewhere"))
    begun = await say(chat, alice, talk)
    assert shown(await be_told(chat, bot, begun, "The Loire.")) == ("complete", "The Loire.", False)
    await store.database.write(lambda tx: tx.run("ALTER TABLE elsewhere RENAME TO answers"))
    await be_told(chat, bot, await say(chat, alice, other), "The Rhône.")


async def test_switch_of_a_conversation_holds_for_the_turns_to_come(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    talk = await open_talk(store, alice)
    await be_told(chat, bot, await say(chat, alice, talk), "The Loire.")
    other = await open_talk(store, alice)
    await store.conversations.change(
        Reader(alice.id), other.uuid, ConversationChange(caches_answers=False), alice.created_at
    )
    assert shown(await be_told(chat, bot, await say(chat, alice, other), "The Rhône."))[2] is False
