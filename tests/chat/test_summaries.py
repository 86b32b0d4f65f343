"""What was cut from the bot's view is summarised by the bot, once, and nobody waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from palaver.chat.conversation import Conversation, Speaking, Usage
from palaver.chat.errors import BotUnavailable
from palaver.chat.flow import Chat, ask_for_another, continue_chat, show_branch, wait_for_answer
from palaver.chat.ledger import Budget, Budgets, Period
from palaver.chat.pieces import Finished
from palaver.chat.ports import Begun
from palaver.chat.summary import INSTRUCTION, LEASE_SECONDS, MOST_CHARACTERS, MOST_TOKENS
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.chat.conftest import StartChat
from tests.chat.talking import HandBot, HandClock, Talk
from tests.ports.talking import NOW, new_conversation, rows

# Cut to two messages when the fifth would be seen: at the fourth turn, and then at every second one.
WINDOW = 4
CUT_AT = 4


@pytest.fixture
async def conversation(store: SqlStore, alice: User) -> Conversation:
    new = new_conversation(alice, speaking=Speaking(model="gpt-4", window=WINDOW))
    return await store.conversations.create(new, NOW)


@pytest.fixture
async def chat(start_chat: StartChat) -> Chat:
    return await start_chat(summarises=True)


class Talking:
    """Alice's turns with the bot, each answered with its number."""

    def __init__(self, bot: HandBot, who: User, where: Conversation) -> None:
        self._bot, self._reader, self._where = bot, Reader(who.id), where
        self.turns = 0

    async def turn(self, chat: Chat, *, edits: str | None = None) -> tuple[Talk, Begun]:
        self.turns += 1
        begun = await continue_chat(chat, self._reader, f"say {self.turns}", conversation=self._where.uuid, edits=edits)
        return await self._answer(chat, begun)

    async def again(self, chat: Chat) -> tuple[Talk, Begun]:
        begun = await ask_for_another(chat, self._reader, self._where.uuid, None, when_busy=None, request_id="")
        return await self._answer(chat, begun)

    async def _answer(self, chat: Chat, begun: Begun) -> tuple[Talk, Begun]:
        talk = await self._bot.asked()
        assert talk.prompt.message == begun.turn.prompt.content
        await talk.say(f"{self.turns}!")
        talk.finish(Finished(usage=Usage(100, 2), model="gpt-4"))
        await wait_for_answer(chat, begun)
        return talk, begun

    async def up_to_the_cut(self, chat: Chat) -> list[Begun]:
        return [(await self.turn(chat))[1] for _ in range(CUT_AT)]

    async def summary(self) -> Talk:
        """The bot is asked for one."""
        talk = await self._bot.asked()
        assert talk.prompt.message == INSTRUCTION
        return talk

    async def no_summary(self, chat: Chat, *slow: asyncio.Task[Any]) -> None:
        """The bot is asked for none, and all that the turns have begun has come to its end; but for the slow ones."""
        async with asyncio.timeout(10):
            await asyncio.gather(*chat.replies._answers.difference(slow))
        assert not self._bot.is_asked


@pytest.fixture
def talking(bot: HandBot, alice: User, conversation: Conversation) -> Talking:
    return Talking(bot, alice, conversation)


async def kept(store: SqlStore, conversation: Conversation) -> tuple[str | None, int]:
    sql = "SELECT summary, summary_to FROM conversations WHERE id = $1"
    [(summary, up_to)] = await rows(store, sql, conversation.id)
    return summary, up_to


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await true():
            pass


async def give(store: SqlStore, conversation: Conversation, talk: Talk, text: str) -> None:
    """Returns once it is kept."""
    before = await kept(store, conversation)
    await talk.say(text)
    talk.finish(Finished(usage=Usage(80, 9), model="gpt-4-0613"))
    await until(lambda: _changed(store, conversation, before))


async def _changed(store: SqlStore, conversation: Conversation, before: object) -> bool:
    return await kept(store, conversation) != before


def seen(talk: Talk) -> list[str]:
    return [past.content for past in talk.prompt.history]


async def test_what_was_cut_stands_summarised_between_system_prompt_and_history_until_the_next_cut(
    chat: Chat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    await talking.up_to_the_cut(chat)
    talk = await talking.summary()
    # As it was sent before, so that the provider's cache has it; and no more than it takes.
    assert (talk.prompt.system, talk.prompt.summary) == ("Be kind.", "")
    assert seen(talk) == ["say 1", "1!", "say 2", "2!"]
    assert talk.prompt.speaking.max_tokens == MOST_TOKENS
    await give(store, conversation, talk, " Alice counts. ")
    assert await kept(store, conversation) == ("Alice counts.", 5)

    talk, _ = await talking.turn(chat)
    assert (talk.prompt.system, talk.prompt.summary) == ("Be kind.", "Alice counts.")
    assert seen(talk) == ["say 3", "3!", "say 4", "4!"]
    # The next cut: what stood there is part of the next summary, and stays until that is there.
    talk, _ = await talking.turn(chat)
    assert (talk.prompt.summary, seen(talk)) == ("Alice counts.", ["say 5", "5!"])
    talk = await talking.summary()
    assert (talk.prompt.summary, seen(talk)) == ("Alice counts.", ["say 3", "3!", "say 4", "4!"])
    await give(store, conversation, talk, "Alice counts to four.")
    talk, _ = await talking.turn(chat)
    assert talk.prompt.summary == "Alice counts to four."


async def test_its_usage_is_counted_for_the_owner_beside_the_messages(
    chat: Chat, store: SqlStore, alice: User, conversation: Conversation, talking: Talking
) -> None:
    await talking.up_to_the_cut(chat)
    await give(store, conversation, await talking.summary(), "Alice counts.")
    sql = "SELECT user_id, model, prompt_tokens, completion_tokens, message_id FROM usage"
    assert [tuple(row) for row in await rows(store, sql)] == [(alice.id, "gpt-4-0613", 80, 9, None)]
    # Whoever sums up is who answers: here no model.
    assert {one.key for one in await store.ledger.usage("model", Period(0, 100_000))} == {"hand"}


async def test_summary_that_breaks_off_costs_what_was_heard(
    chat: Chat, store: SqlStore, alice: User, talking: Talking
) -> None:
    await talking.up_to_the_cut(chat)
    talk = await talking.summary()
    await talk.say("Alice counts")
    talk.fail(BotUnavailable())
    await until(lambda: _has_usage(store))
    [row] = await rows(store, "SELECT user_id, prompt_tokens > 0, completion_tokens FROM usage")
    assert tuple(row) == (alice.id, 1, 4)


async def test_usage_that_a_bot_makes_up_for_a_summary_is_not_counted(
    chat: Chat, store: SqlStore, talking: Talking
) -> None:
    await talking.up_to_the_cut(chat)
    talk = await talking.summary()
    await talk.say("Alice counts")
    talk.finish(Finished(usage=Usage(2**63 + 5, -1), model="gpt\0-4" + "x" * 300))
    await until(lambda: _has_usage(store))
    [row] = await rows(store, "SELECT prompt_tokens < 1000, completion_tokens, LENGTH(model) FROM usage")
    assert tuple(row) == (1, 4, 200)


async def test_what_a_summary_may_take_is_held_back_until_it_is_there(
    start_chat: StartChat, store: SqlStore, alice: User, conversation: Conversation, talking: Talking
) -> None:
    chat = await start_chat(summarises=True, budgets=Budgets(person=Budget(tokens_a_day=100_000)))
    await talking.up_to_the_cut(chat)
    talk = await talking.summary()
    [(payer, tokens)] = await rows(store, "SELECT payer_id, tokens FROM reservations")
    assert (payer, tokens > MOST_TOKENS) == (alice.id, True)
    await give(store, conversation, talk, "Alice counts.")
    assert await rows(store, "SELECT tokens FROM reservations") == []


async def test_summary_that_too_little_is_left_for_is_not_made(
    start_chat: StartChat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    # The four turns use 408, and another one has room where a summary has not.
    budgets = Budgets(person=Budget(tokens_a_day=800), reply_tokens=100)
    chat = await start_chat(summarises=True, budgets=budgets)
    await talking.up_to_the_cut(chat)
    await talking.turn(chat)
    await talking.no_summary(chat)
    assert await kept(store, conversation) == (None, 0)


async def test_nothing_is_summarised_unless_the_operator_wants_it(
    start_chat: StartChat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    chat = await start_chat()
    await talking.up_to_the_cut(chat)
    talk, _ = await talking.turn(chat)
    assert talk.prompt.summary == ""
    await talking.no_summary(chat)
    assert await kept(store, conversation) == (None, 0)


async def test_slow_summary_holds_up_no_turn_and_is_asked_for_once(
    chat: Chat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    await talking.up_to_the_cut(chat)
    slow = await talking.summary()
    await slow.say("Alice ")
    making = tuple(chat.replies._answers)
    talk, _ = await talking.turn(chat)
    assert talk.prompt.summary == ""
    await talking.no_summary(chat, *making)
    # It is cut once more before the first summary is there; that one is still true, and the next goes on from it.
    await talking.turn(chat)
    await talking.no_summary(chat, *making)
    await give(store, conversation, slow, "counts.")
    assert await kept(store, conversation) == ("Alice counts.", 5)
    talk, _ = await talking.turn(chat)
    assert talk.prompt.summary == "Alice counts."
    assert seen(await talking.summary()) == ["say 3", "3!", "say 4", "4!"]


@pytest.mark.parametrize("error", [BotUnavailable("refused"), ValueError("secret"), OSError("gone")])
async def test_failing_summary_changes_nothing_and_is_left_alone_for_a_while(
    chat: Chat, store: SqlStore, clock: HandClock, conversation: Conversation, talking: Talking, error: Exception
) -> None:
    await talking.up_to_the_cut(chat)
    failing = await talking.summary()
    await failing.say("Alice ")
    failing.fail(error)
    talk, _ = await talking.turn(chat)
    assert talk.prompt.summary == ""
    await talking.no_summary(chat)
    assert await kept(store, conversation) == (None, 0)
    clock.move(LEASE_SECONDS + 1)
    await talking.turn(chat)
    # All that was cut meanwhile.
    assert seen(await talking.summary()) == ["say 1", "1!", "say 2", "2!", "say 3", "3!", "say 4", "4!"]


async def test_summary_that_says_nothing_is_none(
    chat: Chat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    await talking.up_to_the_cut(chat)
    talk = await talking.summary()
    await talk.say(" \n")
    talk.finish()
    await until(lambda: _has_usage(store))
    talk, _ = await talking.turn(chat)
    assert talk.prompt.summary == ""
    assert await kept(store, conversation) == (None, 0)


async def _has_usage(store: SqlStore) -> bool:
    return bool(await rows(store, "SELECT id FROM usage"))


async def test_bot_that_takes_no_notice_of_the_bound_does_not_fill_the_context(
    chat: Chat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    await talking.up_to_the_cut(chat)
    await give(store, conversation, await talking.summary(), "bla " * 10_000)
    summary, _ = await kept(store, conversation)
    assert summary is not None
    assert len(summary) == MOST_CHARACTERS


async def test_of_what_does_not_fit_the_newest_part_is_summarised_and_small_contexts_get_small_summaries(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat = await start_chat(summarises=True, context_tokens=400)
    for text in ("one " * 300, "two"):
        begun = await continue_chat(chat, Reader(alice.id), text, conversation=conversation.uuid)
        talk = await bot.asked()
        await talk.say("!")
        talk.finish()
        await wait_for_answer(chat, begun)
    talk = await bot.asked()
    assert (talk.prompt.message, seen(talk)) == (INSTRUCTION, ["!"])
    assert talk.prompt.speaking.max_tokens == 400 // 8


# Workers


async def test_worker_that_goes_away_leaves_the_summary_to_the_next_turn(
    start_chat: StartChat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    first = await start_chat("first", summarises=True)
    await talking.up_to_the_cut(first)
    left = await talking.summary()
    await first.replies.drain(0)
    assert left.left.is_set()
    second = await start_chat("second", summarises=True)
    await talking.turn(second)
    talk = await talking.summary()
    assert seen(talk) == ["say 1", "1!", "say 2", "2!"]
    await give(store, conversation, talk, "Alice counts.")
    assert (await talking.turn(second))[0].prompt.summary == "Alice counts."


async def test_worker_that_dies_leaves_the_summary_to_the_first_turn_after_its_lease(
    start_chat: StartChat, clock: HandClock, talking: Talking
) -> None:
    dying = await start_chat("dying", summarises=True)
    await talking.up_to_the_cut(dying)
    await talking.summary()
    other = await start_chat("other", summarises=True)
    await talking.turn(other)
    await talking.no_summary(other)
    clock.move(LEASE_SECONDS + 1)
    await talking.turn(other)
    await talking.summary()


async def test_summary_that_is_there_is_not_made_again_by_a_worker_that_starts(
    chat: Chat, start_chat: StartChat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    await talking.up_to_the_cut(chat)
    await give(store, conversation, await talking.summary(), "Alice counts.")
    other = await start_chat("other", summarises=True)
    talk, _ = await talking.turn(other)
    assert talk.prompt.summary == "Alice counts."
    await talking.no_summary(other)


# Branches


async def test_edit_of_what_was_summarised_drops_it(
    chat: Chat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    [_, second, *_] = await talking.up_to_the_cut(chat)
    await give(store, conversation, await talking.summary(), "Alice counts.")
    talk, _ = await talking.turn(chat, edits=second.turn.prompt.uuid)
    assert (talk.prompt.summary, seen(talk)) == ("", ["say 1", "1!"])
    assert await kept(store, conversation) == (None, 0)


async def test_edit_behind_it_and_another_reply_leave_front_and_summary_as_they_were(
    chat: Chat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    [*_, fourth] = await talking.up_to_the_cut(chat)
    await give(store, conversation, await talking.summary(), "Alice counts.")
    talk, _ = await talking.again(chat)
    assert (talk.prompt.summary, seen(talk)) == ("Alice counts.", ["say 3", "3!"])
    talk, _ = await talking.turn(chat, edits=fourth.turn.prompt.uuid)
    assert (talk.prompt.summary, seen(talk)) == ("Alice counts.", ["say 3", "3!"])


async def test_summary_under_way_is_dropped_where_what_it_tells_leaves_the_view(
    chat: Chat, store: SqlStore, conversation: Conversation, talking: Talking
) -> None:
    [_, second, *_] = await talking.up_to_the_cut(chat)
    late = await talking.summary()
    await talking.turn(chat, edits=second.turn.prompt.uuid)
    await late.say("Alice counts.")
    late.finish()
    await until(lambda: _has_usage(store))
    talk, _ = await talking.turn(chat)
    assert talk.prompt.summary == ""
    assert await kept(store, conversation) == (None, 0)


async def test_branch_that_comes_into_view_drops_it(
    chat: Chat, store: SqlStore, alice: User, conversation: Conversation, talking: Talking
) -> None:
    await talking.turn(chat)
    _, old = await talking.turn(chat)
    await talking.turn(chat, edits=old.turn.prompt.uuid)
    for _ in range(2):
        await talking.turn(chat)
    await give(store, conversation, await talking.summary(), "Alice counts.")
    await show_branch(chat, Reader(alice.id), conversation.uuid, old.turn.prompt.uuid)
    assert await kept(store, conversation) == (None, 0)
    talk, _ = await talking.turn(chat)
    assert (talk.prompt.summary, seen(talk)) == ("", ["say 1", "1!", "say 2", "2!"])


async def test_reply_that_left_the_view_says_nothing_of_where_the_new_branch_is_cut(
    chat: Chat, bot: HandBot, alice: User, conversation: Conversation, talking: Talking
) -> None:
    _, first = await talking.turn(chat)
    await talking.turn(chat)
    await talking.turn(chat)
    # It cuts, and while it runs its whole branch is left.
    running = await continue_chat(chat, Reader(alice.id), "say 4", conversation=conversation.uuid)
    old = await bot.asked()
    await old.say("four")
    edit = await continue_chat(
        chat, Reader(alice.id), "say one", conversation=conversation.uuid, edits=first.turn.prompt.uuid
    )
    assert (await chat.replies.wait_end(running)).turn.reply.status == "stopped"
    new = await bot.asked()
    await new.say("one!")
    new.finish()
    await wait_for_answer(chat, edit)
    talk, _ = await talking.turn(chat)
    assert seen(talk) == ["say one", "one!"]
