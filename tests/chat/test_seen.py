"""What a bot is given of a conversation: as much as its model takes, behind a front that stays the same."""

import asyncio
from itertools import pairwise
from uuid import UUID

import pytest

from palaver.chat.context import TOKENS_AROUND, count_tokens
from palaver.chat.conversation import Conversation, Speaking, Usage
from palaver.chat.flow import Chat, continue_chat, wait_for_answer
from palaver.chat.pieces import Finished, Prompt
from palaver.chat.prompting import to_cache_key
from palaver.chat.tokens import UNLEARNED, to_key
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.chat.conftest import StartChat
from tests.chat.talking import HandBot, HandBots, let_talk
from tests.ports.talking import NOW, new_conversation, rows

GPT = to_key(None, "gpt-4")
ANSWER = "word " * 100


async def turn(
    chat: Chat, bot: HandBot, who: User, where: Conversation, text: str = ANSWER, *, reported: int | None = None
) -> Prompt:
    begun = await continue_chat(chat, Reader(who.id), text, conversation=where.uuid)
    talk = await bot.asked()
    await talk.say(ANSWER)
    talk.finish(Finished(usage=None if reported is None else Usage(reported, 100)))
    await wait_for_answer(chat, begun)
    # What is learned of a turn is learned right after its end was told.
    await asyncio.sleep(0)
    return talk.prompt


def size(prompt: Prompt) -> int:
    return sum(count_tokens(past.content) for past in prompt.history)


async def longest(chat: Chat, bot: HandBot, who: User, where: Conversation) -> int:
    """How much of the past is seen at the most."""
    return max([size(await turn(chat, bot, who, where)) for _ in range(20)])


async def test_model_whose_server_tells_its_context_gets_more_of_the_past(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat = await start_chat(context_tokens=1200)
    usual = await longest(chat, bot, alice, conversation)
    bots = HandBots(bot)
    bots.lengths["gpt-4"] = 4000
    let_talk(chat, bots)
    told = await longest(chat, bot, alice, conversation)
    assert 200 < usual < 600
    assert 1500 < told < 4000


async def test_model_that_makes_more_tokens_gets_less_text_and_no_report_is_needed_for_a_margin(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat = await start_chat(context_tokens=4000)
    assert chat.replies.tokens.factor(GPT) == UNLEARNED
    assert await longest(chat, bot, alice, conversation) <= 3000 / UNLEARNED
    for _ in range(30):
        prompt = await turn(chat, bot, alice, conversation, reported=None)
        counted = size(prompt) + 4 * len(prompt.history) + 2 * count_tokens(ANSWER)
        await turn(chat, bot, alice, conversation, reported=2 * counted)
    assert 1.5 < chat.replies.tokens.factor(GPT) < 2.5
    assert await longest(chat, bot, alice, conversation) <= 3000 / 1.5


@pytest.mark.parametrize("nonsense", [0, 1, 1 << 39])
async def test_nonsense_that_a_server_reports_leaves_the_past_as_it_is(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation, nonsense: int
) -> None:
    chat = await start_chat(context_tokens=4000)
    for _ in range(10):
        await turn(chat, bot, alice, conversation, reported=nonsense)
    assert chat.replies.tokens.factor(GPT) == UNLEARNED


async def test_what_was_sent_is_counted_where_no_server_tells_it_and_not_what_was_cut(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat = await start_chat(context_tokens=3000)
    prompts = [await turn(chat, bot, alice, conversation) for _ in range(20)]
    assert any(len(later.history) < len(earlier.history) for earlier, later in pairwise(prompts))
    besides = count_tokens(ANSWER) + count_tokens("Be kind.") + 2 * TOKENS_AROUND
    kept = await rows(store, "SELECT prompt_tokens FROM messages WHERE role = 'assistant' ORDER BY number")
    assert [row[0] for row in kept] == [
        size(prompt) + TOKENS_AROUND * len(prompt.history) + besides for prompt in prompts
    ]


async def test_counts_of_the_tokenizer_are_kept_with_the_messages(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat.replies.tokens.use(lambda text: len(text.split()))
    await turn(chat, bot, alice, conversation, "three words here")
    kept = await rows(store, "SELECT role, token_count FROM messages ORDER BY number")
    assert [tuple(row) for row in kept] == [("user", 3), ("assistant", 100)]


async def test_front_is_the_same_from_turn_to_turn_but_for_a_cut(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    chat = await start_chat(context_tokens=3000)
    prompts = [await turn(chat, bot, alice, conversation, f"{number}", reported=number) for number in range(40)]
    stays = [later.history[: len(earlier.history)] == earlier.history for earlier, later in pairwise(prompts)]
    assert 2 <= stays.count(False) <= 8
    assert {(prompt.system, prompt.summary, prompt.volatile) for prompt in prompts} == {("Be kind.", "", "")}


async def test_cache_key_is_the_conversations_own_in_every_turn_and_tells_no_id(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    other = await store.conversations.create(new_conversation(alice, speaking=Speaking(model="gpt-4")), NOW)
    first, second = [(await turn(chat, bot, alice, conversation)).cache_key for _ in range(2)]
    others = (await turn(chat, bot, alice, other)).cache_key
    assert first == second == to_cache_key(conversation.uuid)
    assert first != others
    assert first is not None
    assert UUID(conversation.uuid).hex not in first
    assert len(first) == 32
