"""Answers without a conversation: what is kept of them, and what becomes of them when the server goes away."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from palaver.chat.accounts import AccountRules, Accounts
from palaver.chat.books import Books, ModelSizes
from palaver.chat.context import TOKENS_AROUND, count_tokens
from palaver.chat.conversation import Speaking, Usage
from palaver.chat.errors import BotUnavailable, Draining, OverBudget
from palaver.chat.flow import Chat
from palaver.chat.ledger import Budget, Budgets, Period
from palaver.chat.pieces import Finished
from palaver.chat.stateless import Answer, Said, answer_once
from palaver.chat.tokens import UNLEARNED
from palaver.chat.user import User
from palaver.store import SqlStore
from tests.chat.conftest import StartChat
from tests.chat.talking import HandBot, HandBots, HandClock
from tests.ports.talking import rows

Ask = Callable[[], Awaitable[Answer]]


@pytest.fixture
def ask(chat: Chat, store: SqlStore, clock: HandClock) -> Ask:
    """Asks as a guest who has no cookie."""
    accounts = Accounts(store, clock, AccountRules(guests=True), b"secret")

    def stored_guest() -> Awaitable[User]:
        return accounts.stored(accounts.new_guest())

    return lambda: answer_once(chat, stored_guest, [Said("user", "hello")])


async def test_answer_takes_no_more_than_was_held_back_where_somebody_has_a_budget(
    chat: Chat, ask: Ask, store: SqlStore, clock: HandClock, alice: User, bot: HandBot
) -> None:
    async def stored() -> User:
        return alice

    within = replace(chat, books=Books(store, clock, Budgets(person=Budget(tokens_a_day=10_000), reply_tokens=2000)))
    asking = [asyncio.ensure_future(one) for one in (answer_once(within, stored, [Said("user", "hello")]), ask())]
    talks = [await bot.asked(), await bot.asked()]
    assert {talk.prompt.speaking.max_tokens for talk in talks} == {2000, None}
    for talk in talks:
        await talk.say("hi")
        talk.finish()
    await asyncio.gather(*asking)


async def test_long_prompt_is_held_back_as_long_as_it_is(
    chat: Chat, store: SqlStore, clock: HandClock, alice: User, bot: HandBot
) -> None:
    async def stored() -> User:
        return alice

    within = replace(chat, books=Books(store, clock, Budgets(person=Budget(tokens_a_month=100_000))))
    asks = [
        asyncio.ensure_future(answer_once(within, stored, [Said("user", "word " * 50_000)], max_tokens=10))
        for _ in range(2)
    ]
    talk = await bot.asked()
    done, _ = await asyncio.wait(asks, return_when=asyncio.FIRST_COMPLETED)
    assert [type(one.exception()) for one in done] == [OverBudget]
    await talk.say("hi")
    talk.finish()
    await asyncio.wait(asks)
    assert not bot.is_asked


async def test_what_a_model_makes_of_a_prompt_is_learned_and_held_to_under_one_name(
    start_chat: StartChat, alice: User, bot: HandBot
) -> None:
    chat = await start_chat(context_tokens=4000, reserved_tokens=1000)
    sizes = ModelSizes(HandBots(bot), chat.replies.tokens, 4000)
    said = [Said("user", "word " * 100)] * 100

    async def stored() -> User:
        return alice

    async def sent(reported: float) -> int:
        """The tokens of a prompt that is cut to what there is room for, of which the model's server reports so many
        times what was counted."""
        asking = asyncio.ensure_future(answer_once(chat, stored, said))
        talk = await bot.asked()
        counted = sum(count_tokens(past.content) + TOKENS_AROUND for past in talk.prompt.history)
        await talk.say("hi")
        talk.finish(Finished(usage=Usage(int(reported * counted), 1)))
        await asking
        return counted

    first = await sent(2)
    assert 3000 / UNLEARNED - 200 < first <= 3000 / UNLEARNED
    for _ in range(20):
        await sent(2)
    assert sizes.of(Speaking(provider="hand")).factor > 1.8
    assert await sent(2) < 3000 / 1.8


@pytest.mark.parametrize("end", ["fails", "is left"])
@pytest.mark.parametrize("said", ["half of it", ""])
async def test_answer_that_breaks_off_costs_what_was_heard_and_nothing_where_nothing_was(
    chat: Chat, store: SqlStore, clock: HandClock, alice: User, bot: HandBot, end: str, said: str
) -> None:
    async def stored() -> User:
        return alice

    within = replace(chat, books=Books(store, clock, Budgets(person=Budget(tokens_a_day=10_000))))
    asking = asyncio.ensure_future(answer_once(within, stored, [Said("user", "hello")]))
    talk = await bot.asked()
    await talk.say(said)
    ways: dict[str, Callable[[], object]] = {"fails": lambda: talk.fail(BotUnavailable()), "is left": asking.cancel}
    ways[end]()
    await asyncio.wait([asking])
    async with asyncio.timeout(10):
        while await rows(store, "SELECT id FROM reservations"):
            pass
    used = await store.ledger.usage("day", Period(0, 100_000))
    assert [(one.turns, one.completion_tokens) for one in used] == ([(1, 3)] if said else [])


async def test_name_that_a_bot_makes_up_for_its_model_is_kept_as_far_as_it_can_be(ask: Ask, bot: HandBot) -> None:
    asking = asyncio.ensure_future(ask())
    talk = await bot.asked()
    await talk.say("hi")
    talk.finish(Finished(model="gpt\0-4" + "x" * 300))
    assert (await asking).model == ("gpt-4" + "x" * 300)[:200]


async def count_guests(store: SqlStore) -> int:
    return len(await rows(store, "SELECT id FROM users WHERE kind = 'guest'"))


async def test_guest_is_stored_with_the_usage_of_its_answer_and_not_before(
    ask: Ask, store: SqlStore, bot: HandBot
) -> None:
    asking = asyncio.ensure_future(ask())
    talk = await bot.asked()
    assert await count_guests(store) == 0
    await talk.say("hi")
    talk.finish(Finished(model="gpt-4-0613"))
    assert (await asking).text == "hi"
    assert len(await rows(store, "SELECT 1 FROM usage JOIN users u ON u.id = user_id WHERE u.kind = 'guest'")) == 1
    # It was no model that answered.
    assert [one.key for one in await store.ledger.usage("model", Period(0, 100_000))] == ["hand"]


async def test_guest_whose_bot_fails_is_not_stored(ask: Ask, store: SqlStore, bot: HandBot) -> None:
    asking = asyncio.ensure_future(ask())
    (await bot.asked()).fail(BotUnavailable("refused"))
    with pytest.raises(BotUnavailable):
        await asking
    assert await count_guests(store) == 0


async def test_draining_waits_for_answers_and_starts_no_more(ask: Ask, chat: Chat, bot: HandBot) -> None:
    asking = [asyncio.ensure_future(ask()) for _ in range(2)]
    quick, slow = [await bot.asked() for _ in range(2)]
    draining = asyncio.create_task(chat.replies.drain(3600))
    await asyncio.sleep(0)
    with pytest.raises(Draining):
        await ask()
    await quick.say("done")
    quick.finish()
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert not draining.done()
    await slow.say("done, too")
    slow.finish()
    assert {answer.text for answer in await asyncio.gather(*asking)} == {"done", "done, too"}
    await asyncio.wait_for(draining, 10)
    assert not bot.is_asked


async def test_draining_cuts_an_answer_for_which_there_is_no_more_time(ask: Ask, chat: Chat, bot: HandBot) -> None:
    asking = asyncio.ensure_future(ask())
    talk = await bot.asked()
    await talk.say("half")
    await chat.replies.drain(0.01)
    with pytest.raises(BotUnavailable) as cut:
        await asking
    assert cut.value.cause == "draining"
    assert talk.left.is_set()
    assert not bot.is_asked


async def test_bot_that_cancels_itself_ends_its_own_answer_alone(ask: Ask, bot: HandBot) -> None:
    asking = asyncio.ensure_future(ask())
    (await bot.asked()).fail(asyncio.CancelledError())
    with pytest.raises(BotUnavailable) as failed:
        await asking
    assert failed.value.cause == "unavailable"


async def test_who_stops_waiting_for_an_answer_leaves_the_bot(ask: Ask, bot: HandBot) -> None:
    asking = asyncio.ensure_future(ask())
    talk = await bot.asked()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert talk.left.is_set()
