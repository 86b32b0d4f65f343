"""A reply from its first piece to its end, whatever happens on the way: every end is named, stored and told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from palaver.chat import crowd, ending, orphans
from palaver.chat.books import Books
from palaver.chat.clock import SECOND
from palaver.chat.conversation import Conversation, Speaking, Usage
from palaver.chat.errors import BotTimeout, BotUnavailable, Cause, Draining, Ended, NotFound, StoreUnavailable
from palaver.chat.flow import Chat, continue_chat, delete_conversation, end_conversation, wait_for_answer
from palaver.chat.ledger import Budget, Budgets, Period
from palaver.chat.orphans import Orphans
from palaver.chat.pieces import Finished, Piece, Prompt, Text
from palaver.chat.ports import Begun, EndedReply, Ending, Held
from palaver.chat.running import Outcome
from palaver.chat.telling import Waker
from palaver.chat.user import Reader, User
from palaver.store import SqlStore, sqlite
from palaver.store.database import Transaction
from palaver.store.sqlite import SqliteDatabase
from tests.chat.conftest import StartChat
from tests.chat.hearing import settle
from tests.chat.talking import HandBot, HandBots, HandClock, let_talk
from tests.ports.talking import NOW, new_conversation, rows, said

LEASE_SECONDS = 10
HOUR = 3600.0
YEAR = 365 * 24 * HOUR


async def say(chat: Chat, who: User, text: str, conversation: Conversation, **more: str) -> Begun:
    return await continue_chat(chat, Reader(who.id), text, conversation=conversation.uuid, **more)  # type: ignore[arg-type]


async def end_of(chat: Chat, begun: Begun) -> Outcome:
    async with asyncio.timeout(10):
        return await chat.replies.wait_end(begun)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await true():
            pass


async def stored(store: SqlStore, begun: Begun) -> tuple[str, str, str | None]:
    kept = await store.turns.get(begun.turn.reply.id)
    assert kept is not None
    return kept.turn.reply.status, kept.turn.reply.content, kept.turn.reply.reason


async def test_answer_is_kept_and_told(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    assert (talk.prompt.message, talk.prompt.system, talk.prompt.model) == ("hello", "Be kind.", "gpt-4")
    await talk.say("Hel", "lo, ", "you.")
    talk.finish(Finished(usage=Usage(7, 4), model="gpt-4-0613", details={"a": 1}))
    outcome = await wait_for_answer(chat, begun)
    reply = outcome.turn.reply
    assert (reply.status, reply.content, reply.reason, reply.model) == ("complete", "Hello, you.", "stop", "gpt-4-0613")
    assert (reply.usage, reply.token_count, reply.details, outcome.exchanges) == (Usage(7, 4), 3, '{"a":1}', 1)
    kept = await store.turns.get(reply.id)
    assert kept is not None
    assert (kept.turn.reply, kept.exchanges) == (reply, 1)
    assert talk.left.is_set()


@pytest.mark.parametrize(
    ("provider", "billed_as"), [("openai", "gpt-4"), ("openai_rag", "gpt-4"), ("dummy", "dummy"), (None, "hand")]
)
async def test_reply_is_billed_as_its_model_where_one_made_it_and_else_as_its_bot(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, clock: HandClock, provider: str | None,
    billed_as: str,
) -> None:  # fmt: skip
    here, there = await start_chat("here", watched=False), await start_chat("there")
    new = new_conversation(alice, speaking=Speaking(model="gpt-4", provider=provider))
    conversation = await store.conversations.create(new, NOW)
    begun = await say(here, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("Hello.")
    talk.finish(Finished(usage=Usage(7, 4), model="gpt-4-0613"))
    await end_of(here, begun)
    # One that its worker left behind, too.
    left = await say(here, alice, "and then?", conversation)
    talk = await bot.asked()
    await talk.say("Then")
    clock.move(LEASE_SECONDS + 1)
    await Orphans(there).take_over(everything=False)
    talk.finish()
    await end_of(here, left)
    [used] = await store.ledger.usage("model", Period(0, 100_000))
    assert (used.key, used.turns) == (billed_as, 2)


@pytest.mark.parametrize(
    ("texts", "finished", "end"),
    [
        (["half"], None, ("interrupted", "half", "cut")),
        ([], None, ("failed", "", "cut")),
        ([], Finished(), ("failed", "", "empty")),
        ([""], Finished(), ("failed", "", "empty")),
        (["much"], Finished("length"), ("complete", "much", "length")),
    ],
)
async def test_reply_is_complete_only_when_the_bot_says_so_and_said_something(
    chat: Chat,
    store: SqlStore,
    bot: HandBot,
    alice: User,
    conversation: Conversation,
    texts: list[str],
    finished: Finished | None,
    end: tuple[str, str, str],
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say(*texts)
    talk.end(finished)
    await end_of(chat, begun)
    assert await stored(store, begun) == end


async def test_reply_that_nothing_bounds_takes_no_more_than_was_held_back_for_it(
    chat: Chat, store: SqlStore, clock: HandClock, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    bounded = replace(chat, books=Books(store, clock, Budgets(person=Budget(tokens_a_day=10_000))))
    for who, most in ((chat, None), (bounded, 2000)):
        begun = await say(who, alice, "hello", conversation)
        talk = await bot.asked()
        assert talk.prompt.speaking.max_tokens == most
        await talk.say("hi")
        talk.finish()
        await end_of(chat, begun)


# Silence


async def test_bot_that_never_begins_is_left(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat = await start_chat(first_seconds=0.05)
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    with pytest.raises(BotTimeout):
        await wait_for_answer(chat, begun)
    assert await stored(store, begun) == ("failed", "", "timeout")
    assert talk.left.is_set()


async def test_bot_that_falls_silent_is_left_and_its_text_is_kept(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat = await start_chat(between_seconds=0.05)
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("half an ans")
    with pytest.raises(BotTimeout):
        await wait_for_answer(chat, begun)
    assert await stored(store, begun) == ("interrupted", "half an ans", "timeout")
    assert talk.left.is_set()


async def test_bot_that_never_comes_to_an_end_is_left(
    start_chat: StartChat, alice: User, conversation: Conversation
) -> None:
    class Chatterbox:
        async def talk(self, _prompt: Prompt) -> AsyncIterator[Piece]:
            while True:
                yield Text("bla ")
                await asyncio.sleep(0)

    chat = await start_chat(total_seconds=0.05)
    let_talk(chat, HandBots(Chatterbox()))
    outcome = await end_of(chat, await say(chat, alice, "hello", conversation))
    assert (outcome.turn.reply.status, outcome.turn.reply.reason) == ("interrupted", "timeout")
    assert outcome.turn.reply.content.startswith("bla bla ")


# Stop


async def test_stopped_reply_keeps_its_text_and_leaves_the_bot(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("I was about ")
    await chat.replies.stop(begun.turn.reply.id)
    outcome = await wait_for_answer(chat, begun)
    assert (outcome.turn.reply.status, outcome.turn.reply.content) == ("stopped", "I was about ")
    assert await stored(store, begun) == ("stopped", "I was about ", "stopped")
    assert talk.left.is_set()


async def test_reply_that_is_stopped_before_its_first_step_ends_and_asks_no_bot(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await store.turns.begin(said(alice, "hello", conversation.uuid, worker=chat.replies.worker))
    chat.replies.start(begun)
    assert chat.replies.stop_here(begun.turn.reply.id)
    await end_of(chat, begun)
    assert await stored(store, begun) == ("stopped", "", "stopped")
    assert not bot.is_asked


async def test_reply_is_stopped_from_another_worker(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    here, there = await start_chat("here"), await start_chat("there")
    begun = await say(here, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("half")
    await there.replies.stop(begun.turn.reply.id)
    outcome = await end_of(there, begun)
    assert (outcome.turn.reply.status, outcome.turn.reply.content) == ("stopped", "half")
    assert await stored(store, begun) == ("stopped", "half", "stopped")


async def test_bot_that_takes_no_notice_of_being_stopped_is_left_at_its_next_piece(
    chat: Chat, store: SqlStore, alice: User, conversation: Conversation
) -> None:
    class Stubborn:
        def __init__(self) -> None:
            self.began = asyncio.Event()

        async def talk(self, _prompt: Prompt) -> AsyncIterator[Piece]:
            yield Text("I talk")
            self.began.set()
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    yield Text(" and talk")

    stubborn = Stubborn()
    let_talk(chat, HandBots(stubborn))
    begun = await say(chat, alice, "hello", conversation)
    await stubborn.began.wait()
    await chat.replies.stop(begun.turn.reply.id)
    await end_of(chat, begun)
    assert await stored(store, begun) == ("stopped", "I talk", "stopped")


async def test_message_that_interrupts_ends_the_running_reply_and_is_answered(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    first = await say(chat, alice, "one", conversation)
    talk = await bot.asked()
    await talk.say("half")
    second = await say(chat, alice, "two", conversation, when_busy="interrupt")
    assert (await end_of(chat, first)).turn.reply.status == "stopped"
    talk = await bot.asked()
    assert [past.content for past in talk.prompt.history] == ["one", "half"]
    await talk.say("2")
    talk.finish()
    assert (await wait_for_answer(chat, second)).turn.reply.content == "2"
    assert await stored(store, first) == ("stopped", "half", "stopped")


# Bots that fail


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("secret"), "unavailable"),
        (OSError("no route"), "unavailable"),
        (TimeoutError(), "unavailable"),
        (RecursionError(), "unavailable"),
        (BotUnavailable("refused"), "refused"),
        (asyncio.CancelledError(), "unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
@pytest.mark.parametrize("text", ["", "half"])
async def test_bot_that_raises_anything_ends_its_own_reply_and_no_other(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation,
    error: BaseException, cause: Cause, text: str,
) -> None:  # fmt: skip
    other_talk = await store.conversations.create(new_conversation(alice), conversation.created_at)
    other = await say(chat, alice, "other", other_talk)
    others = await bot.asked()
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say(text)
    talk.fail(error)
    with pytest.raises(BotUnavailable) as refused:
        await wait_for_answer(chat, begun)
    assert "secret" not in str(refused.value)
    assert await stored(store, begun) == ("interrupted" if text else "failed", text, cause)
    await others.say("fine")
    others.finish()
    assert (await wait_for_answer(chat, other)).turn.reply.content == "fine"


class RaisesAtOnce:
    def talk(self, _prompt: Prompt) -> AsyncIterator[Piece]:
        raise ValueError


class GivesNothing:
    def talk(self, _prompt: Prompt) -> AsyncIterator[Piece]:
        return None  # type: ignore[return-value]


@pytest.mark.parametrize("bot_class", [RaisesAtOnce, GivesNothing])
async def test_bot_that_cannot_even_begin_ends_its_own_reply(
    chat: Chat, store: SqlStore, alice: User, conversation: Conversation, bot_class: type[RaisesAtOnce | GivesNothing]
) -> None:
    let_talk(chat, HandBots(bot_class()))
    begun = await say(chat, alice, "hello", conversation)
    await end_of(chat, begun)
    assert await stored(store, begun) == ("failed", "", "unavailable")


async def test_bot_that_fails_once_it_has_finished_has_answered(
    chat: Chat, alice: User, conversation: Conversation
) -> None:
    class FailsAtLast:
        async def talk(self, _prompt: Prompt) -> AsyncIterator[Piece]:
            try:
                yield Text("All said.")
                yield Finished()
            finally:
                raise ValueError

    let_talk(chat, HandBots(FailsAtLast()))
    outcome = await wait_for_answer(chat, await say(chat, alice, "hello", conversation))
    assert (outcome.turn.reply.status, outcome.turn.reply.content) == ("complete", "All said.")


async def test_text_that_no_store_can_keep_ends_its_own_reply_alone(
    chat: Chat, bot: HandBot, alice: User, conversation: Conversation, store: SqlStore, clock: HandClock
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("\ud83d")
    talk.finish()
    with pytest.raises(BotUnavailable):
        await wait_for_answer(chat, begun)
    # It does not hold up the conversation for ever.
    waiting = await say(chat, alice, "and now?", conversation)
    clock.move(LEASE_SECONDS + 1)
    await Orphans(chat).take_over(everything=False)
    talk = await bot.asked()
    await talk.say("well")
    talk.finish()
    assert (await wait_for_answer(chat, waiting)).turn.reply.content == "well"
    assert (await stored(store, begun))[0] == "failed"


# Queue


async def test_messages_are_answered_one_by_one_in_order(
    chat: Chat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = [await say(chat, alice, text, conversation) for text in ("one", "two", "three")]
    answers = [asyncio.create_task(wait_for_answer(chat, one)) for one in begun]
    for text in ("one", "two", "three"):
        talk = await bot.asked()
        assert not bot.is_asked
        assert talk.prompt.message == text
        await talk.say(f"to {text}")
        talk.finish()
    assert [(await answer).turn.reply.content for answer in answers] == ["to one", "to two", "to three"]


async def test_reply_that_failed_does_not_hold_up_what_waits(
    chat: Chat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    await say(chat, alice, "one", conversation)
    second = await say(chat, alice, "two", conversation)
    (await bot.asked()).fail(ValueError())
    talk = await bot.asked()
    await talk.say("two it is")
    talk.finish()
    assert (await wait_for_answer(chat, second)).turn.reply.content == "two it is"


async def test_whoever_waits_hears_that_the_conversation_ended_or_went_away(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    other = await store.conversations.create(new_conversation(alice), conversation.created_at)
    for talk in (conversation, other):
        await say(chat, alice, "one", talk)
    waits = [
        asyncio.create_task(wait_for_answer(chat, await say(chat, alice, "two", talk)))
        for talk in (conversation, other)
    ]
    await end_conversation(chat, Reader(alice.id), conversation.uuid)
    await delete_conversation(chat, Reader(alice.id), other.uuid)
    with pytest.raises(Ended) as ended:
        await waits[0]
    assert ended.value.while_waiting
    with pytest.raises(NotFound):
        await waits[1]
    assert bot.is_asked


# Callers


async def test_caller_that_goes_away_while_its_message_is_committed_is_answered_all_the_same(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    caller = asyncio.create_task(say(chat, alice, "hello", conversation))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    talk = await bot.asked()
    await talk.say("you are back")
    talk.finish()
    await until(lambda: is_there(store, "you are back"))


async def test_listener_that_goes_away_stops_nothing(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    listeners = [asyncio.create_task(wait_for_answer(chat, begun)) for _ in range(2)]
    talk = await bot.asked()
    listeners[0].cancel()
    await talk.say("still here")
    talk.finish()
    assert (await listeners[1]).turn.reply.content == "still here"
    assert await stored(store, begun) == ("complete", "still here", "stop")


async def is_there(store: SqlStore, text: str) -> bool:
    return len(await rows(store, "SELECT id FROM messages WHERE content = $1 AND status = 'complete'", text)) == 1


# Draining


async def test_draining_lets_replies_finish_and_starts_no_more(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    talks = [await store.conversations.create(new_conversation(alice), chat.clock.now()) for _ in range(2)]
    quick, slow = [await say(chat, alice, name, talk) for name, talk in zip(("quick", "slow"), talks, strict=True)]
    waiting = await say(chat, alice, "and then?", talks[0])
    wait = asyncio.create_task(wait_for_answer(chat, waiting))
    answers = [await bot.asked() for _ in range(2)]
    draining = asyncio.create_task(chat.replies.drain(HOUR))
    await asyncio.sleep(0)
    with pytest.raises(Draining):
        await say(chat, alice, "one more", talks[1])
    with pytest.raises(Draining):
        await wait
    await answers[0].say("done")
    answers[0].finish()
    await end_of(chat, quick)
    assert not draining.done()
    await answers[1].say("done, too")
    answers[1].finish()
    await asyncio.wait_for(draining, 10)
    assert await stored(store, quick) == ("complete", "done", "stop")
    assert await stored(store, slow) == ("complete", "done, too", "stop")
    assert (await stored(store, waiting))[0] == "queued"
    assert not bot.is_asked


async def test_draining_ends_a_reply_for_which_there_is_no_more_time_and_keeps_what_was_said(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("half")
    await chat.replies.drain(0.01)
    assert await stored(store, begun) == ("interrupted", "half", "draining")


async def test_draining_waits_for_the_reply_to_a_message_that_is_just_being_committed(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    saying = asyncio.create_task(say(chat, alice, "just in time", conversation))
    # It has been let in, and is not committed yet.
    await asyncio.sleep(0)
    draining = asyncio.create_task(chat.replies.drain(10))
    talk = await bot.asked()
    await talk.say("all of ", "it")
    talk.finish()
    await draining
    assert await stored(store, await saying) == ("complete", "all of it", "stop")


async def test_message_that_is_committed_when_there_is_no_more_time_is_kept_and_not_answered(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    saying = asyncio.create_task(say(chat, alice, "too late", conversation))
    await asyncio.sleep(0)
    await chat.replies.drain(0)
    assert await stored(store, await saying) == ("failed", "", "draining")
    assert not bot.is_asked


async def test_what_waited_when_a_server_went_away_is_answered_by_the_next(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    before = await start_chat("before")
    await say(before, alice, "one", conversation)
    await bot.asked()
    waiting = await say(before, alice, "two", conversation)
    await before.replies.drain(0)
    after = await start_chat("after")
    await Orphans(after).take_over(everything=True)
    talk = await bot.asked()
    await talk.say("at last")
    talk.finish()
    outcome = await wait_for_answer(after, waiting)
    assert (outcome.turn.prompt.content, outcome.turn.reply.content) == ("two", "at last")


async def test_server_that_goes_away_takes_up_nothing_that_waits(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    await say(chat, alice, "one", conversation)
    await bot.asked()
    waiting = await say(chat, alice, "two", conversation)
    await chat.replies.drain(0)
    await Orphans(chat).take_over(everything=False)
    assert (await stored(store, waiting))[0] == "queued"
    assert not bot.is_asked


# The store


async def test_end_that_the_store_cannot_take_just_now_is_written_later(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(ending, "PATIENCE_SECONDS", 60)
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("worth ", "keeping")
    async with locked_for_long(store, tmp_path, monkeypatch) as lock:
        talk.finish()
        async with asyncio.timeout(10):
            while "cannot be kept yet" not in caplog.text:
                await store.check()
        lock.execute("COMMIT")
    assert (await wait_for_answer(chat, begun)).turn.reply.content == "worth keeping"
    assert await stored(store, begun) == ("complete", "worth keeping", "stop")


@asynccontextmanager
async def locked_for_long(
    store: SqlStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[apsw.Connection]:
    """Another process holds the file, and the store soon gives up waiting for it."""
    database = store.database
    assert isinstance(database, SqliteDatabase)

    async def give_up_soon(_tx: Transaction) -> None:
        database._connection.set_busy_timeout(1)

    # In the writer's own thread, which may be at a checkpoint; and so that it stays when the log was copied.
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 1)
    await database.write(give_up_soon)
    other = apsw.Connection(str(folder / "palaver.sqlite3"))
    other.set_busy_timeout(10_000)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


async def test_text_is_kept_while_the_reply_runs(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()

    async def kept(text: str) -> bool:
        return "".join(row[0] for row in await rows(store, "SELECT text FROM reply_log ORDER BY position")) == text

    await talk.say("one ")
    await until(lambda: kept("one "))
    await talk.say("two ", "three")
    await until(lambda: kept("one two three"))
    talk.finish()
    await end_of(chat, begun)
    assert await kept("")


async def test_checkpoint_on_its_way_when_the_reply_ends_leaves_nothing_behind(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, tmp_path: Path
) -> None:
    chat = await start_chat(watched=False)
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("so far")
    other = apsw.Connection(str(tmp_path / "palaver.sqlite3"))
    other.execute("BEGIN IMMEDIATE")
    checkpoint = asyncio.create_task(chat.replies._checkpoint())
    await asyncio.sleep(0)
    talk.finish()
    await talk.left.wait()
    await asyncio.sleep(0)
    other.execute("COMMIT")
    other.close()
    await checkpoint
    assert (await end_of(chat, begun)).turn.reply.status == "complete"
    assert await rows(store, "SELECT * FROM reply_log") == []


# Leases


async def test_reply_that_another_worker_took_over_keeps_what_was_heard_until_then(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, clock: HandClock
) -> None:
    # A worker that stood still: nobody renews its leases.
    here, there = await start_chat("here", watched=False), await start_chat("there")
    begun = await say(here, alice, "hello", conversation)
    waiting = await say(here, alice, "and then?", conversation)
    talk = await bot.asked()
    await talk.say("late")
    clock.move(LEASE_SECONDS + 1)
    await Orphans(there).take_over(everything=False)
    theirs = await bot.asked()
    assert theirs.prompt.message == "and then?"
    await talk.say(", and more")
    talk.finish()
    outcome = await end_of(here, begun)
    assert (outcome.turn.reply.status, outcome.turn.reply.reason) == ("interrupted", "worker_lost")
    assert await stored(store, begun) == ("interrupted", "late", "worker_lost")
    await theirs.say("then this")
    theirs.finish()
    # It waits here for a reply that is made there.
    assert (await wait_for_answer(here, waiting)).turn.reply.content == "then this"


async def test_worker_that_lost_its_lease_leaves_the_bot_at_its_next_checkpoint(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, clock: HandClock
) -> None:
    here, there = await start_chat("here", watched=False), await start_chat("there")
    begun = await say(here, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("late")
    clock.move(LEASE_SECONDS + 1)
    await Orphans(there).take_over(everything=False)
    await here.replies._checkpoint()
    async with asyncio.timeout(10):
        await talk.left.wait()
    await end_of(here, begun)
    assert await stored(store, begun) == ("interrupted", "late", "worker_lost")
    assert await rows(store, "SELECT * FROM reply_log") == []


async def test_worker_that_watches_keeps_its_replies_for_longer_than_a_lease(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, clock: HandClock
) -> None:
    here, there = await start_chat("here"), await start_chat("there")
    begun = await say(here, alice, "hello", conversation)
    talk = await bot.asked()
    for _ in range(3):
        clock.move(LEASE_SECONDS - 1)
        until_then = clock.now()

        async def renewed(moment: int = until_then) -> bool:
            [row] = await rows(store, "SELECT lease_until FROM messages WHERE status = 'running'")
            return bool(row[0] > moment)

        await until(renewed)
        await Orphans(there).take_over(everything=False)
    await talk.say("slow but sure")
    talk.finish()
    assert (await wait_for_answer(here, begun)).turn.reply.content == "slow but sure"


async def test_worker_does_not_take_over_what_it_makes_itself(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation, clock: HandClock
) -> None:
    chat = await start_chat(watched=False)
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    clock.move(LEASE_SECONDS + 1)
    await Orphans(chat).take_over(everything=False)
    await talk.say("after a long sleep")
    talk.finish()
    assert (await wait_for_answer(chat, begun)).turn.reply.content == "after a long sleep"


@pytest.mark.parametrize("jump", [HOUR, YEAR, -HOUR, -YEAR])
async def test_clock_that_jumps_costs_no_reply_that_somebody_makes(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, clock: HandClock,
    monkeypatch: pytest.MonkeyPatch, jump: float,
) -> None:  # fmt: skip
    monkeypatch.setattr(orphans, "SURE_SECONDS", 60)
    here, there = await start_chat("here"), await start_chat("there")
    begun = await say(here, alice, "hello", conversation)
    talk = await bot.asked()
    # The next lease is that of the new time, but the other worker looks before.
    clock.move(jump)
    await Orphans(there).take_over(everything=False)

    async def renewed() -> bool:
        [row] = await rows(store, "SELECT lease_until FROM messages WHERE status = 'running'")
        return bool(abs(row[0] - clock.now()) <= LEASE_SECONDS * SECOND)

    await until(renewed)
    monkeypatch.setattr(orphans, "SURE_SECONDS", 0)
    await Orphans(there).take_over(everything=False)
    await talk.say("what time is it?")
    talk.finish()
    turn = (await wait_for_answer(here, begun)).turn
    assert turn.reply.content == "what time is it?"
    assert turn.reply.created_at == max(clock.now(), turn.prompt.created_at + 1)


async def test_end_of_a_stopped_reply_is_waited_for_until_the_server_closes(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    here, elsewhere = await start_chat("here"), await start_chat("elsewhere")
    begun = await say(elsewhere, alice, "hello", conversation)
    await (await bot.asked()).say("one")
    here.replies.draining = True
    waiting = asyncio.create_task(here.replies.wait_end(begun, is_stopped=True))
    await settle()
    assert not waiting.done()
    here.replies.closing = True
    here.rooms.wake_followers()
    with pytest.raises(Draining):
        await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize("jump", [HOUR, YEAR, -YEAR])
async def test_clock_that_jumps_leaves_no_reply_running_that_nobody_makes(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, clock: HandClock,
    jump: float,
) -> None:  # fmt: skip
    here, there = await start_chat("here", watched=False), await start_chat("there")
    begun = await say(here, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("as far as this")
    clock.move(jump)
    await Orphans(there).take_over(everything=False)
    assert await stored(store, begun) == ("interrupted", "as far as this", "worker_lost")
    kept = await store.turns.get(begun.turn.reply.id)
    assert kept is not None
    assert kept.turn.reply.created_at == max(clock.now(), kept.turn.prompt.created_at + 1)
    await here.replies._checkpoint()
    assert (await end_of(here, begun)).turn.reply.content == "as far as this"


async def test_reply_that_its_worker_never_heard_of_does_not_hold_up_the_conversation(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, clock: HandClock
) -> None:
    """The commit went through and the database's answer was lost: nobody makes the reply."""
    orphan = await store.turns.begin(said(alice, "hello", conversation.uuid, worker=chat.replies.worker))
    waiting = await say(chat, alice, "anybody?", conversation)
    assert waiting.state == "queued"
    clock.move(LEASE_SECONDS + 1)
    await Orphans(chat).take_over(everything=False)
    assert await stored(store, orphan) == ("failed", "", "worker_lost")
    talk = await bot.asked()
    await talk.say("yes")
    talk.finish()
    assert (await wait_for_answer(chat, waiting)).turn.reply.content == "yes"


async def test_fault_in_one_checkpoint_does_not_end_those_to_come(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.ERROR, "palaver.reply")
    poisoned_talk = await store.conversations.create(new_conversation(alice), chat.clock.now())
    poisoned = await say(chat, alice, "hello", poisoned_talk)
    poison = await bot.asked()
    await poison.say("\ud83d")
    async with asyncio.timeout(10):
        while "running replies cannot be kept" not in caplog.text:
            await store.check()
    poison.finish()
    await end_of(chat, poisoned)
    await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("kept again")

    async def kept() -> bool:
        return len(await rows(store, "SELECT text FROM reply_log WHERE text = 'kept again'")) == 1

    await until(kept)


async def test_reply_whose_end_cannot_be_kept_is_not_made_once_more(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_ending: Ending) -> EndedReply:
        raise ValueError("a fault of the database's")

    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("once")
    monkeypatch.setattr(store.turns, "finish", fails)
    talk.finish()
    assert (await end_of(chat, begun)).turn.reply.status == "failed"
    monkeypatch.undo()
    store.database.count_broken_off()
    await Orphans(chat).take_over(everything=False)
    await asyncio.sleep(0)
    assert not bot.is_asked
    assert (await stored(store, begun))[0] == "running"


async def test_reply_whose_system_prompt_could_not_be_read_is_made_by_the_next_look(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed as this worker's before its prompt is read."""

    async def is_gone(_text: object) -> str:
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(store.turns._texts, "get", is_gone)
    with pytest.raises(StoreUnavailable):
        await say(chat, alice, "hello", conversation)
    monkeypatch.undo()
    await Orphans(chat).take_over(everything=False)
    asked = await bot.asked()
    assert (asked.prompt.system, asked.prompt.message) == ("Be kind.", "hello")
    asked.finish()


async def test_reply_that_cannot_be_taken_up_keeps_none_of_the_others_from_it(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await store.conversations.create(new_conversation(alice), chat.clock.now())
    bad = await store.turns.begin(said(alice, "never", conversation.uuid, worker=chat.replies.worker))
    await store.turns.begin(said(alice, "hello", other.uuid, worker=chat.replies.worker))
    store.database.count_broken_off()
    take_up = store.turns.take_up

    async def take_up_the_other(held: Held) -> Begun | None:
        if held.reply_id == bad.turn.reply.id:
            raise ValueError("a fault of the database's")
        return await take_up(held)

    monkeypatch.setattr(store.turns, "take_up", take_up_the_other)
    orphans = Orphans(chat)
    await orphans.take_over(everything=False)
    asked = await bot.asked()
    assert asked.prompt.message == "hello"
    asked.finish()
    # It is the sweep's, once its lease has run out.
    assert chat.replies._left_to_sweep == {(bad.turn.reply.id, 1)}
    monkeypatch.undo()
    store.database.count_broken_off()
    await orphans.take_over(everything=False)
    assert not bot.is_asked


async def test_end_that_waits_for_its_commit_is_one_of_the_crowd_and_one_that_waits_for_the_database_is_not(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "FEW", 1)
    monkeypatch.setattr(ending, "PATIENCE_SECONDS", 60)
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    asked, go = asyncio.Event(), asyncio.Event()

    async def fails(_ending: Ending) -> EndedReply:
        asked.set()
        await go.wait()
        raise StoreUnavailable("the database does not answer")

    async def is_busy() -> bool:
        # Others have their turns.
        await store.check()
        return chat.replies.crowd.is_busy

    async def is_not() -> bool:
        return not await is_busy()

    with monkeypatch.context() as broken:
        broken.setattr(store.turns, "finish", fails)
        await talk.say("yes")
        talk.finish()
        await asked.wait()
        assert await is_busy()
        go.set()
        await until(is_not)
        assert chat.replies.makes(begun.turn.reply.id)
    assert (await end_of(chat, begun)).turn.reply.status == "complete"


async def test_text_is_kept_whatever_cannot_be_kept_of_what_came_beside_it(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("All of it.")
    talk.finish(Finished(usage=Usage(2**63 + 5, -1), model="gpt\x00-4" + "x" * 300))
    reply = (await end_of(chat, begun)).turn.reply
    assert (reply.status, reply.content) == ("complete", "All of it.")
    assert reply.model == ("gpt-4" + "x" * 300)[:200]
    assert reply.usage is not None
    assert reply.usage.estimated
    assert await stored(store, begun) == ("complete", "All of it.", "stop")


async def test_what_a_stopped_reply_has_used_is_counted(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("Half of")
    await chat.replies.stop(begun.turn.reply.id)
    reply = (await end_of(chat, begun)).turn.reply
    assert reply.status == "stopped"
    assert reply.usage is not None
    assert (reply.usage.estimated, reply.usage.completion_tokens > 0) == (True, True)
    counted = await rows(store, "SELECT completion_tokens FROM conversations WHERE id = $1", conversation.id)
    assert counted[0][0] == reply.usage.completion_tokens


async def test_what_was_thought_is_counted_however_little_is_said_of_it(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    for said_too in ("", "Yes."):
        begun = await say(chat, alice, "hello", conversation)
        talk = await bot.asked()
        await talk.think("Let me ", "think " * 20)
        await talk.say(said_too)
        await chat.replies.stop(begun.turn.reply.id)
        reply = (await end_of(chat, begun)).turn.reply
        assert (reply.status, reply.content) == ("stopped", said_too)
        assert reply.usage is not None
        assert reply.usage.estimated
        assert reply.usage.prompt_tokens > 0
        # 127 characters.
        assert reply.usage.completion_tokens == 32 + (reply.token_count or 0)
    [used] = await store.ledger.usage("model", Period(0, 100_000))
    assert used.turns == 2


async def test_usage_is_kept_where_only_the_model_s_name_cannot_be(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("All of it.")
    talk.finish(Finished(usage=Usage(70, 40), model="gpt-\ud83d"))
    reply = (await end_of(chat, begun)).turn.reply
    assert (reply.status, reply.content, reply.model, reply.usage) == ("complete", "All of it.", None, Usage(70, 40))
    [used] = await store.ledger.usage("model", Period(0, 100_000))
    assert (used.key, used.total_tokens) == ("hand", 110)


async def test_what_a_reply_has_used_is_counted_although_its_user_was_erased_meanwhile(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat = await start_chat(watched=False)
    begun = await say(chat, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("Yes.")
    await store.accounts.erase_user(alice.id, NOW)
    talk.finish(Finished(usage=Usage(70, 40), model="gpt-4"))
    await end_of(chat, begun)
    [used] = await store.ledger.usage("user", Period(0, 100_000))
    assert (used.key, used.turns, used.total_tokens) == (alice.id, 1, 110)


async def test_reply_that_was_left_behind_is_billed_as_the_model_that_answered_for_the_one_asked_for(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, clock: HandClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    here, there = await start_chat("here", watched=False), await start_chat("there")
    new = new_conversation(alice, speaking=Speaking(model="gpt-4", provider="openai"))
    conversation = await store.conversations.create(new, NOW)
    begun = await say(here, alice, "hello", conversation)
    talk = await bot.asked()
    await talk.say("late")
    clock.move(LEASE_SECONDS + 1)
    monkeypatch.setattr(HandBots, "model_for_turn", lambda _self, wanted: {"gpt-4": "qwen3:8b"}.get(wanted))
    await Orphans(there).take_over(everything=False)
    [used] = await store.ledger.usage("model", Period(0, 100_000))
    assert used.key == "qwen3:8b"
    talk.finish()
    await end_of(here, begun)
    assert await store.ledger.usage("model", Period(0, 100_000)) == [used]


class StubbornBot:
    """Says a word, and never again takes notice of anything."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def talk(self, _prompt: Prompt) -> AsyncIterator[Piece]:
        yield Text("word")
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


@pytest.fixture
def stubborn() -> Iterator[StubbornBot]:
    """Let go in the end, whatever comes of the test: nothing else ends it."""
    bot = StubbornBot()
    yield bot
    bot.released.set()


async def test_bot_that_takes_no_notice_of_being_ended_is_left_behind(
    start_chat: StartChat, store: SqlStore, alice: User, conversation: Conversation, stubborn: StubbornBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("palaver.chat.reply.LEAVE_SECONDS", 0.05)
    chat = await start_chat()
    monkeypatch.setattr(HandBots, "bot", lambda _self, _provider: stubborn)
    begun = await say(chat, alice, "hello", conversation)
    reply_id = begun.turn.reply.id
    telling = chat.replies.telling(reply_id)
    assert telling is not None
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == f"reply {reply_id}"]
    more = Waker()
    async with asyncio.timeout(10):
        with telling.waking(more):
            if not telling.log.length:
                await more.wait()
    await chat.replies.stop(begun.turn.reply.id)
    assert (await end_of(chat, begun)).turn.reply.status == "stopped"
    assert await stored(store, begun) == ("stopped", "word", "stopped")
    stubborn.released.set()
    await task
    assert await stored(store, begun) == ("stopped", "word", "stopped")
