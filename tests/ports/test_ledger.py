"""What is used is billed once, at the price of its time, and no budget is passed however many ask at once."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from palaver.chat.clock import DAY, SECOND, Micros
from palaver.chat.conversation import Conversation, Speaking, Usage
from palaver.chat.errors import NotFound, OverBudget
from palaver.chat.ledger import (
    MOST_PRICE,
    NO_BUDGET,
    Budget,
    Budgets,
    DatedPrice,
    ModelSize,
    Period,
    Price,
    Reservation,
    Used,
    day_of,
    month_of,
    to_cost,
    to_reserve,
    to_total,
)
from palaver.chat.limit import Limit, OwnLimits
from palaver.chat.ports import AnotherReply, Begun, NewTurn
from palaver.chat.user import Reader, User
from palaver.options import budgets as to_budgets
from palaver.settings import Settings
from palaver.store import SqlStore
from palaver.store.budgets import Wish, reserve
from palaver.store.database import Transaction
from palaver.store.going_on import PROMOTE
from palaver.store.ledger import COST
from palaver.store.prices import Prices
from palaver.store.prices import add_price as set_price
from tests.ports.counting import CountingDatabase
from tests.ports.recalled import spent_by
from tests.ports.talking import (
    EXPIRED,
    HERE,
    LATER,
    LEASE,
    NOW,
    ending,
    new_conversation,
    new_user,
    rows,
    said,
)

ALWAYS = Period(0, 100_000)
MONTH = 30 * DAY
USAGE = Usage(1000, 200, 400)

# What a reply may use here: 100 of its own, and 3 tokens of a message with a frame and a system prompt.
SPEAKING = Speaking(model="gpt-4", max_tokens=100)


def budgets(
    tokens: int | None = None, *, month: int | None = None, money: int | None = None, app: Budget = NO_BUDGET,
    conversation: int = 0, own: bool = False,
) -> Budgets:  # fmt: skip
    person = Budget(tokens_a_day=tokens, tokens_a_month=month, money_a_month=money)
    return Budgets(person, app, conversation, some_have_their_own=own)


def within(turn: NewTurn, held: Budgets) -> NewTurn:
    return replace(turn, budgets=held)


async def say(store: SqlStore, who: User, held: Budgets, where: str | None = None, *, now: Micros = NOW) -> Begun:
    place = new_conversation(who, speaking=SPEAKING) if where is None else where
    return await store.turns.begin(within(said(who, "hi", place, now=now), held))


async def held(store: SqlStore) -> int:
    """Tokens that are held back, all over."""
    [[replies], [answers]] = [
        await rows(store, "SELECT COALESCE(SUM(reserved_tokens), 0) FROM messages "
                   "WHERE payer_id IS NOT NULL AND status IN ('queued', 'running')"),
        await rows(store, "SELECT COALESCE(SUM(tokens), 0) FROM reservations"),
    ]  # fmt: skip
    return int(replies[0]) + int(answers[0])


async def total(store: SqlStore) -> Used:
    return to_total(await store.ledger.usage("day", ALWAYS))


async def kept(store: SqlStore) -> tuple[int, ...]:
    """What messages, and rows of what is not stored, say that was used."""
    [row] = await rows(
        store,
        "SELECT SUM(p), SUM(c), SUM(k), SUM(cost) FROM (SELECT prompt_tokens AS p, completion_tokens AS c, "
        "cached_tokens AS k, cost FROM messages UNION ALL SELECT prompt_tokens, completion_tokens, cached_tokens, cost "
        "FROM usage) AS all_of_it",
    )
    return tuple(int(value or 0) for value in row)


async def test_reply_to_what_was_said_when_the_clock_was_ahead_is_later_than_that_and_billed_when_it_ends(
    store: SqlStore, alice: User
) -> None:
    ahead = Micros(LATER + 40 * DAY)
    begun = await say(store, alice, budgets(10_000), now=ahead)
    await store.turns.finish(replace(ending(begun, usage=USAGE, now=LATER), said_at=ahead))
    assert await rows(store, "SELECT created_at FROM messages WHERE role = 'assistant'") == [(ahead + 1,)]
    assert await rows(store, "SELECT last_message_at FROM conversations") == [(ahead + 1,)]
    assert await rows(store, "SELECT day FROM ledger") == [(LATER // DAY,)]


async def add_price(store: SqlStore, price: Price, since: int, model: str = "gpt-4") -> None:
    assert await store.ledger.add_price(DatedPrice(model, Micros(since), price))


async def finish(
    store: SqlStore, begun: Begun, usage: Usage | None = USAGE, *, now: Micros = LATER, model: str = "gpt-4"
) -> None:
    end = ending(begun, "Yes." if usage else "", "complete" if usage else "failed", usage=usage, now=now)
    assert (await store.turns.finish(replace(end, billed_as=model))).done


# Prices


async def test_reply_costs_what_held_when_it_ended_and_later_prices_change_nothing(
    store: SqlStore, alice: User
) -> None:
    await add_price(store, Price(1_000_000, 100_000, 2_000_000), LATER)
    await add_price(store, Price(9_000_000, 9_000_000, 9_000_000), LATER + 1)
    before, then, after = [await store.turns.begin(said(alice, "hi", new_conversation(alice))) for _ in range(3)]
    await finish(store, before, now=Micros(LATER - 1))
    await finish(store, then, now=LATER)
    await finish(store, after, now=Micros(LATER + 1))
    await add_price(store, Price(5, 5, 5), LATER + 2)
    costs = await rows(store, "SELECT cost FROM messages WHERE role = 'assistant' ORDER BY id")
    # 600 fresh at 1, 400 cached at 0.1, 200 answered at 2.
    assert [row[0] for row in costs] == [0, 1040, 10_800]
    assert (await total(store)).cost == 11_840


async def test_price_is_never_changed(store: SqlStore) -> None:
    first = DatedPrice("gpt-4", NOW, Price(1, 2, 3))
    assert await store.ledger.add_price(first)
    assert not await store.ledger.add_price(DatedPrice("gpt-4", NOW, Price(4, 5, 6)))
    assert await store.ledger.prices() == [first]


async def test_price_that_has_not_begun_is_taken_back(store: SqlStore) -> None:
    first, second = DatedPrice("gpt-4", NOW, Price(1, 2, 3)), DatedPrice("gpt-4", LATER, Price(4, 5, 6))
    assert await store.ledger.add_price(first)
    assert await store.ledger.add_price(second)
    assert await store.ledger.remove_price("gpt-4", LATER)
    assert not await store.ledger.remove_price("gpt-4", LATER)
    assert not await store.ledger.remove_price("gpt-5", NOW)
    assert await store.ledger.prices() == [first]


COUNTS = st.integers(0, 1 << 30)
PRICES = st.integers(0, MOST_PRICE)


@pytest.mark.proof("money")
async def test_database_counts_money_as_the_core_does(store: SqlStore) -> None:
    sql = "SELECT " + COST.format(prompt="$1", cached="$2", completion="$3", model="$4", now="$5")

    async def cost(usage: Usage) -> int:
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        [row] = await rows(store, sql, usage.prompt_tokens, cached, usage.completion_tokens, "gpt-4", NOW)
        return int(row[0])

    examples: list[tuple[Usage, Price]] = [
        (Usage(0, 0), Price(7, 7, 7)),
        (Usage(1, 0), Price(499_999, 0, 0)),
        (Usage(1, 0), Price(500_000, 0, 0)),
        (Usage(3, 5, 9), Price(11, 13, 17)),
        (Usage(1 << 30, 1 << 30, 1 << 30), Price(MOST_PRICE, MOST_PRICE, MOST_PRICE)),
    ]

    @given(st.builds(Usage, COUNTS, COUNTS, COUNTS), st.builds(Price, PRICES, PRICES, PRICES))
    def gather(usage: Usage, price: Price) -> None:
        examples.append((usage, price))

    gather()
    for since, (usage, price) in enumerate(examples[:60], NOW - 1000):
        await add_price(store, price, since)
        assert await cost(usage) == to_cost(usage, price), (usage, price)


# The sums


async def test_sums_agree_however_they_are_cut(store: SqlStore, alice: User, bob: User) -> None:
    app = await store.accounts.add_user(new_user("shop", "app"))
    of_shop = await store.accounts.add_user(new_user("customer", "app_user", app_id=app.id))
    await add_price(store, Price(3_000_000, 300_000, 15_000_000), NOW)
    sizes = itertools.count(1)
    for who, model, days in itertools.product((alice, bob, of_shop), ("gpt-4", "qwen3:8b"), (0, 1, 40)):
        begun = await store.turns.begin(said(who, "hi", new_conversation(who)))
        number = next(sizes)
        await finish(store, begun, Usage(100 * number, number, number), now=Micros(NOW + days * DAY), model=model)
    whole = await total(store)
    assert (whole.turns, whole.prompt_tokens, whole.completion_tokens) == (18, 17_100, 171)
    for by in ("day", "user", "model", "app", "preset"):
        assert to_total(await store.ledger.usage(by, ALWAYS)) == whole
    assert (whole.prompt_tokens, whole.completion_tokens, whole.cached_tokens, whole.cost) == await kept(store)
    in_conversations = await rows(
        store, "SELECT SUM(prompt_tokens), SUM(completion_tokens), SUM(cached_tokens), SUM(cost) FROM conversations"
    )
    assert tuple(map(int, in_conversations[0])) == await kept(store)
    assert [one.key for one in await store.ledger.usage("day", ALWAYS)] == [
        NOW // DAY, NOW // DAY + 1, NOW // DAY + 40,
    ]  # fmt: skip
    assert [(one.key, one.turns) for one in await store.ledger.usage("app", ALWAYS)] == [(0, 12), (app.id, 6)]
    assert [one.key for one in await store.ledger.usage("model", Period(NOW // DAY, NOW // DAY))] == [
        "gpt-4", "qwen3:8b",
    ]  # fmt: skip


async def test_sums_name_whom_they_are_about_and_can_be_of_one_alone(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    app = await store.accounts.add_user(new_user("shop", "app"))
    customer = await store.accounts.add_user(new_user("customer", "app_user", app_id=app.id))
    for who, app_id, tokens in ((alice, None, 1), (customer, app.id, 20), (app, app.id, 300)):
        await store.ledger.add_usage(who.id, app_id, "gpt-4", Usage(tokens, 0), NOW, billed_as="gpt-4")
    by_user = await store.ledger.usage("user", ALWAYS)
    assert {(one.uuid, one.name, one.app) for one in by_user} == {
        (alice.uuid, "alice", None), (customer.uuid, "customer", "shop"), (app.uuid, "shop", None),
    }  # fmt: skip
    assert [(one.uuid, one.name) for one in await store.ledger.usage("app", ALWAYS)] == [
        (None, None), (app.uuid, "shop"),
    ]  # fmt: skip
    for by in ("day", "user", "model", "app", "preset"):
        sums = {who.name: to_total(await store.ledger.usage(by, ALWAYS, who)) for who in (alice, customer, app)}
        assert {name: one.prompt_tokens for name, one in sums.items()} == {"alice": 1, "customer": 20, "shop": 320}
    await store.accounts.erase_user(alice.id, NOW)
    gone = next(one for one in await store.ledger.usage("user", ALWAYS) if one.key == alice.id)
    assert (gone.uuid, gone.name, gone.prompt_tokens) == (None, None, 1)
    assert conversation.preset_id is not None
    begun = await store.turns.begin(said(customer, "hi", new_conversation(customer)))
    await finish(store, begun, Usage(1, 1))
    named = {one.key: one.name for one in await store.ledger.usage("preset", ALWAYS)}
    presets = await store.presets.get(conversation.preset_id)
    assert presets is not None
    assert named == {0: None, presets.id: presets.name}


async def test_what_was_billed_outlives_asking_again_purge_and_erasure(store: SqlStore, alice: User) -> None:
    await add_price(store, Price(1_000_000, 1_000_000, 1_000_000), NOW)
    talk = new_conversation(alice)
    begun = await store.turns.begin(said(alice, "hi", talk, client_id="c1"))
    broken = replace(ending(begun, "Ye", "interrupted", usage=Usage(10, 1)), billed_as="gpt-4")
    await store.turns.finish(broken)
    again = await store.turns.begin(said(alice, "hi", talk.uuid, client_id="c1"))
    await finish(store, again, Usage(10, 5))
    whole = await total(store)
    assert (whole.turns, whole.prompt_tokens, whole.completion_tokens, whole.cost) == (2, 20, 6, 26)
    assert await kept(store) == (20, 6, 0, 26)
    await store.conversations.delete(Reader(alice.id), talk.uuid, NOW)
    assert await store.conversations.purge(LATER) == 1
    assert await total(store) == whole
    assert await kept(store) == (20, 6, 0, 26)
    await say(store, alice, budgets(10**6))
    await store.accounts.erase_user(alice.id, NOW)
    assert await total(store) == whole
    assert [tuple(row) for row in await rows(store, "SELECT * FROM spending")] == []


async def test_answer_that_is_not_stored_is_billed_too(store: SqlStore, alice: User) -> None:
    await add_price(store, Price(1_000_000, 500_000, 2_000_000), NOW)
    await store.ledger.add_usage(alice.id, None, "gpt-4-0613", Usage(10, 5, 4), NOW, billed_as="gpt-4")
    [used] = await store.ledger.usage("model", ALWAYS)
    assert used == Used("gpt-4", 1, 10, 5, 4, 18)
    assert await kept(store) == (10, 5, 4, 18)


# Budgets


async def test_reply_holds_back_what_it_may_use_and_its_end_puts_what_it_used_in_the_place(
    store: SqlStore, alice: User
) -> None:
    begun = await say(store, alice, budgets(1000))
    assert 100 < await held(store) < 200
    with pytest.raises(OverBudget):
        await say(store, alice, budgets(230))
    await finish(store, begun, Usage(20, 10))
    assert await held(store) == 0
    await say(store, alice, budgets(230))


async def test_refused_message_writes_nothing_and_tells_the_limit_and_when_to_come_back(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await finish(store, await say(store, alice, budgets(3000)), Usage(2900, 0), now=NOW)
    tables = ("messages", "conversations", "texts", "presets", "ledger", "reservations")
    before = {name: list(map(tuple, await rows(store, f"SELECT * FROM {name}"))) for name in tables}
    for where in (None, conversation.uuid):
        with pytest.raises(OverBudget) as refused:
            await say(store, alice, budgets(3000), where)
        assert refused.value.limit == Limit("tokens_a_day", 3000, 86_400)
        assert refused.value.retry_after == pytest.approx((NOW // DAY + 1) * 86_400 - NOW / SECOND)
        assert (refused.value.shortage, refused.value.left) == ("too_little", 100)
    with pytest.raises(OverBudget) as refused:
        await say(store, alice, budgets(month=2900))
    # NOW is in November.
    assert refused.value.limit == Limit("tokens_a_month", 2900, 30 * 86_400)
    assert (refused.value.shortage, refused.value.left) == ("used_up", 0)
    assert NOW / SECOND + refused.value.retry_after == pytest.approx(datetime(2023, 12, 1, tzinfo=UTC).timestamp())
    assert {name: list(map(tuple, await rows(store, f"SELECT * FROM {name}"))) for name in tables} == before


async def test_who_only_waits_for_what_others_hold_back_may_come_back_soon(store: SqlStore, alice: User) -> None:
    begun = await say(store, alice, budgets(230))
    with pytest.raises(OverBudget) as refused:
        await say(store, alice, budgets(230))
    assert (refused.value.shortage, refused.value.left, refused.value.retry_after) == ("held", 230, 5)
    # The day is over when it is over, all the same.
    assert refused.value.reset == pytest.approx((NOW // DAY + 1) * 86_400 - NOW / SECOND)
    with pytest.raises(OverBudget) as refused:
        await say(store, alice, budgets(conversation=230), begun.turn.conversation.uuid)
    assert (refused.value.shortage, refused.value.left, refused.value.retry_after) == ("held", 230, 5)
    await finish(store, begun, Usage(20, 10), now=NOW)
    await say(store, alice, budgets(230))


async def test_of_several_limits_the_one_is_told_that_lasts_longest(store: SqlStore, alice: User) -> None:
    yesterday = Micros(NOW - DAY)
    await store.ledger.add_usage(alice.id, None, "gpt-4", Usage(1000, 0), yesterday, billed_as="gpt-4")
    limits = budgets(230, month=1250)
    await say(store, alice, limits)
    with pytest.raises(OverBudget) as refused:
        await say(store, alice, budgets(230, month=1100))
    assert refused.value.limit is not None
    assert (refused.value.limit.name, refused.value.shortage) == ("tokens_a_month", "too_little")
    with pytest.raises(OverBudget) as refused:
        await say(store, alice, budgets(100, month=1100))
    assert refused.value.limit is not None
    assert (refused.value.limit.name, refused.value.shortage) == ("tokens_a_day", "too_small")


async def test_budget_smaller_than_one_reply_is_said_to_be_so(store: SqlStore, alice: User) -> None:
    for limits in (budgets(100), budgets(month=100), budgets(conversation=100)):
        with pytest.raises(OverBudget) as refused:
            await say(store, alice, limits)
        assert (refused.value.shortage, refused.value.left) == ("too_small", 100)


@pytest.mark.parametrize("end", ["failed", "taken back", "dropped", "deleted", "left behind", "purged"])
async def test_nothing_stays_held_back_whatever_becomes_of_a_reply(store: SqlStore, alice: User, end: str) -> None:
    begun = await say(store, alice, budgets(10_000))
    uuid = begun.turn.conversation.uuid
    waiting = await say(store, alice, budgets(10_000), uuid)
    assert waiting.state == "queued"
    assert await held(store) > 200

    async def fail() -> None:
        await finish(store, begun, None)

    async def take_back() -> None:
        await store.turns.take_back(Reader(alice.id), uuid, waiting.turn.prompt.uuid, NOW)
        await finish(store, begun)

    async def drop() -> None:
        await store.conversations.end(Reader(alice.id), uuid, NOW)
        await finish(store, begun)

    async def delete() -> None:
        await store.conversations.delete(Reader(alice.id), uuid, NOW)
        await finish(store, begun)

    async def leave() -> None:
        for left in await store.turns.abandoned(EXPIRED, EXPIRED):
            assert (await store.turns.finish(left)).done

    async def erase() -> None:
        await store.accounts.erase_user(alice.id, NOW)

    ways = {
        "failed": fail,
        "taken back": take_back,
        "dropped": drop,
        "deleted": delete,
        "left behind": leave,
        "purged": erase,
    }
    await ways[end]()
    left = await rows(store, "SELECT id FROM messages WHERE status = 'queued'")
    for (reply_id,) in left:
        # What waited goes on waiting with what is held back for it, and no more.
        assert reply_id == waiting.turn.reply.id
    assert await held(store) <= 280 * len(left)


@pytest.mark.parametrize("how", ["edited", "answered anew"])
async def test_reply_that_waited_and_left_the_view_holds_nothing_back(store: SqlStore, alice: User, how: str) -> None:
    limits = budgets(10_000)
    begun = await say(store, alice, limits)
    uuid = begun.turn.conversation.uuid
    assert (await say(store, alice, limits, uuid)).state == "queued"
    if how == "edited":
        edited = replace(said(alice, "hi", uuid), edits=begun.turn.prompt.uuid)
        again = await store.turns.begin(within(edited, limits))
    else:
        another = AnotherReply(
            Reader(alice.id), uuid, begun.turn.reply.uuid, NOW, HERE, LEASE, "queue", limits
        )  # fmt: skip
        again = await store.turns.begin_another(another)
    await finish(store, begun)
    waiting = await rows(store, "SELECT id, reserved_tokens FROM messages WHERE status = 'queued'")
    assert [tuple(row) for row in waiting] == [(again.turn.reply.id, await held(store))]


async def test_failed_reply_without_tokens_costs_nothing(store: SqlStore, alice: User) -> None:
    await finish(store, await say(store, alice, budgets(200)), None)
    await say(store, alice, budgets(200))
    assert await total(store) == Used("")


@pytest.mark.parametrize("days", [1, 40])
@pytest.mark.parametrize("used_ahead", [None, Usage(1, 1)])
async def test_clock_that_was_ahead_lets_nobody_pass_a_budget(
    store: SqlStore, alice: User, used_ahead: Usage | None, days: int
) -> None:
    used = budgets(10_000, month=10_000)
    for _ in range(2):
        await finish(store, await say(store, alice, used))
    most = budgets(2 * USAGE.total_tokens) if days == 1 else budgets(month=2 * USAGE.total_tokens)
    ahead = Micros(NOW + days * DAY)
    await finish(store, await say(store, alice, most, now=ahead), used_ahead, now=ahead)
    with pytest.raises(OverBudget):
        await say(store, alice, most)


@pytest.mark.parametrize("refused", ["an answer", "another reply"])
async def test_refusal_has_nobody_added_up_again(store: SqlStore, alice: User, refused: str) -> None:
    begun = await store.turns.begin(said(alice, "hi", new_conversation(alice, speaking=SPEAKING)))
    counting = CountingDatabase(store.database)
    watched = SqlStore(counting, store.engine)
    another = AnotherReply(
        Reader(alice.id), begun.turn.conversation.uuid, None, NOW, HERE, LEASE, "queue", budgets(10)
    )  # fmt: skip

    async def ask() -> object:
        if refused == "an answer":
            return await watched.ledger.reserve_answer(alice.id, None, SPEAKING, 10, budgets(10), NOW, LATER)
        return await watched.turns.begin_another(another)

    for _ in range(2):
        with pytest.raises(OverBudget):
            await ask()
    assert len([sql for sql, _ in counting.asked if "FROM ledger" in sql]) == 1


async def test_write_that_fails_has_nobody_added_up_again(store: SqlStore, alice: User, bob: User) -> None:
    counting = CountingDatabase(store.database)
    watched = SqlStore(counting, store.engine)
    begun = await say(watched, alice, budgets(10_000))
    with pytest.raises(NotFound):
        await watched.turns.take_back(Reader(bob.id), begun.turn.conversation.uuid, begun.turn.prompt.uuid, NOW)
    await say(watched, alice, budgets(10_000))
    assert len([sql for sql, _ in counting.asked if "FROM ledger" in sql]) == 1


async def test_day_and_month_begin_anew(store: SqlStore, alice: User) -> None:
    tomorrow, next_month = Micros(NOW + DAY), Micros(NOW + MONTH)
    limits = budgets(1500, month=2000)
    await finish(store, await say(store, alice, limits), Usage(1400, 0))
    with pytest.raises(OverBudget):
        await say(store, alice, limits, now=LATER)
    await finish(store, await say(store, alice, limits, now=tomorrow), Usage(500, 0), now=tomorrow)
    with pytest.raises(OverBudget) as refused:
        await say(store, alice, limits, now=tomorrow)
    assert refused.value.limit is not None
    assert refused.value.limit.name == "tokens_a_month"
    await say(store, alice, limits, now=next_month)


async def test_reply_that_ends_on_another_day_is_spent_there(store: SqlStore, alice: User) -> None:
    tomorrow = Micros(NOW + DAY)
    begun = await say(store, alice, budgets(1000))
    await finish(store, begun, Usage(900, 0), now=tomorrow)
    with pytest.raises(OverBudget):
        await say(store, alice, budgets(1000), now=tomorrow)


async def test_budget_that_comes_later_counts_what_was_used_before(store: SqlStore, alice: User) -> None:
    await finish(store, await store.turns.begin(said(alice, "hi", new_conversation(alice))), Usage(900, 0), now=NOW)
    with pytest.raises(OverBudget):
        await say(store, alice, budgets(1000))
    # Once it is looked at, it goes on counting, also what is said while no budget holds.
    await say(store, alice, budgets(2000))
    await finish(store, await store.turns.begin(said(alice, "hi", new_conversation(alice))), Usage(900, 0), now=NOW)
    with pytest.raises(OverBudget):
        await say(store, alice, budgets(2000))


async def test_money_is_held_back_by_the_price_of_the_model(store: SqlStore, alice: User) -> None:
    await add_price(store, Price(0, 0, 10_000_000), NOW)
    # 100 tokens at 10 a million are 1,000 millionths.
    with pytest.raises(OverBudget) as refused:
        await say(store, alice, budgets(money=999))
    assert refused.value.limit == Limit("money_a_month", 999, 30 * 86_400)
    assert (refused.value.shortage, refused.value.left) == ("too_small", 999)
    begun = await say(store, alice, budgets(money=1999))
    with pytest.raises(OverBudget):
        await say(store, alice, budgets(money=1999))
    await finish(store, begun, Usage(1, 50))
    await say(store, alice, budgets(money=1999))


async def test_price_counts_from_its_moment_on_whichever_process_has_set_it(
    store: SqlStore, other_store: SqlStore, alice: User
) -> None:
    limits = budgets(money=10_000)

    async def held_at(price: Price | None, since: int, now: int) -> int:
        if price is not None:
            await add_price(other_store, price, since)
        begun = await say(store, alice, limits, now=Micros(now))
        [[money]] = await rows(store, "SELECT reserved_money FROM messages WHERE id = $1", begun.turn.reply.id)
        await finish(store, begun, None)
        return int(money)

    # 100 tokens are answered at the most.
    assert await held_at(None, 0, NOW) == 0
    assert await held_at(Price(0, 0, 1_000_000), NOW, NOW) == 100
    assert await held_at(Price(0, 0, 2_000_000), NOW + 10, NOW + 9) == 100
    assert await held_at(None, 0, NOW + 10) == 200
    assert await held_at(Price(0, 0, 3_000_000), NOW + 20, NOW + 19) == 200
    assert await other_store.ledger.remove_price("gpt-4", Micros(NOW + 20))
    assert await held_at(None, 0, NOW + 20) == 200


async def test_price_that_could_not_be_kept_holds_nothing_back(store: SqlStore, alice: User) -> None:
    prices, limits = Prices(), budgets(money=10_000)
    wish = Wish(alice.id, None, SPEAKING, 10)

    async def hold(tx: Transaction) -> int:
        [wanted] = await reserve(tx, [wish], limits, prices, NOW)
        assert isinstance(wanted, Reservation)
        return wanted.money

    async def set_in_vain(tx: Transaction) -> None:
        assert await set_price(tx, DatedPrice("gpt-4", NOW, Price(0, 0, 1_000_000)))
        assert await hold(tx) == 100
        raise NotFound

    assert await store.database.write(hold) == 0
    with pytest.raises(NotFound):
        await store.database.write(set_in_vain)
    assert await store.database.write(hold) == 0


async def test_bot_that_is_no_model_holds_back_no_money_of_one(store: SqlStore, alice: User) -> None:
    await add_price(store, Price(0, 0, 10_000_000), NOW)
    poor = budgets(money=999)
    by_dummy = new_conversation(alice, speaking=replace(SPEAKING, provider="dummy"))
    await store.turns.begin(within(said(alice, "hi", by_dummy), poor))
    await say(store, alice, replace(poor, default_provider="dummy"))
    assert [row[0] for row in await rows(store, "SELECT DISTINCT reserved_money FROM messages WHERE payer_id > 0")] == [
        0
    ]
    await add_price(store, Price(0, 0, 10_000_000), NOW, "dummy")
    with pytest.raises(OverBudget):
        await say(store, alice, replace(poor, default_provider="dummy"))
    by_model = new_conversation(alice, speaking=replace(SPEAKING, provider="openai_rag"))
    with pytest.raises(OverBudget):
        await store.turns.begin(within(said(alice, "hi", by_model), replace(poor, default_provider="dummy")))


async def test_zero_is_no_limit_whatever_is_usual(store: SqlStore, alice: User, bob: User) -> None:
    nothing = budgets(0, month=0, money=0)
    assert not nothing.are_set
    await say(store, alice, nothing)
    await store.limits.put(alice.id, OwnLimits(tokens_a_day=0))
    await say(store, alice, budgets(100, own=True))
    with pytest.raises(OverBudget):
        await say(store, bob, budgets(100, own=True))
    assert (await store.ledger.own(alice.id, Budget(tokens_a_day=100), NOW, is_app=False)).left == []


def test_least_amount_of_money_is_a_limit_too() -> None:
    assert to_budgets(Settings(money_a_month=1e-9)).person.money_a_month == 1
    assert not to_budgets(Settings()).are_set


async def test_all_that_the_bot_is_sent_is_held_back_in_whatever_script_it_is(store: SqlStore, alice: User) -> None:
    # A token each, and three bytes.
    talk = new_conversation(alice, system_prompt="\u4f60" * 1000, speaking=SPEAKING)
    await finish(store, await store.turns.begin(within(said(alice, "hi", talk), budgets(10_000))))
    assert await held(store) == 0
    await say(store, alice, budgets(10_000), talk.uuid)
    assert await held(store) >= 1250 + 100
    await store.database.write(
        lambda tx: tx.run("UPDATE conversations SET summary = $1, summary_to = 2", "\u597d" * 400)
    )
    [row] = await rows(store, "SELECT reserved_tokens FROM messages WHERE status = 'running'")
    await store.turns.begin(within(said(alice, "hi", talk.uuid), budgets(10_000)))
    [queued] = await rows(store, "SELECT reserved_tokens FROM messages WHERE status = 'queued'")
    assert queued[0] - row[0] >= 500


async def test_what_ends_together_is_added_up_for_each_who_pays_for_it(store: SqlStore, alice: User) -> None:
    shop = await store.accounts.add_user(new_user("shop", "app"))
    bob = await store.accounts.add_user(new_user("bob", "app_user", app_id=shop.id))
    plenty = budgets(100_000, app=Budget(tokens_a_day=100_000))
    begun = [await say(store, who, plenty) for who in (bob, alice, bob, alice, bob)]
    models = ("gpt-4", "gpt-4", "other", "other", "gpt-4")
    await asyncio.gather(*(finish(store, one, model=model) for one, model in zip(begun, models, strict=True)))
    each = USAGE.total_tokens
    for scope, times in ((f"app:{shop.id}", 3), (f"user:{alice.id}", 2), (f"user:{bob.id}", 3)):
        spent = await spent_by(store, scope)
        assert (spent.tokens_today, spent.tokens_this_month) == (times * each, times * each)
    used = {(one.key, one.turns, one.total_tokens) for one in await store.ledger.usage("model", ALWAYS)}
    assert used == {("gpt-4", 3, 3 * each), ("other", 2, 2 * each)}


async def test_reply_that_waits_holds_back_what_is_said_before_it_is_its_turn(store: SqlStore, alice: User) -> None:
    talk = new_conversation(alice, speaking=SPEAKING)
    places = (talk, talk.uuid, talk.uuid, talk.uuid)
    begun = [await store.turns.begin(within(said(alice, "hi", place), budgets(100_000))) for place in places]
    assert [one.state for one in begun] == ["started", "queued", "queued", "queued"]
    each = await rows(store, "SELECT reserved_tokens FROM messages WHERE role = 'assistant' ORDER BY number")
    # Of each that comes before it the longest answer, and a quarter more.
    assert all(later[0] - earlier[0] >= 125 for earlier, later in pairwise(each)), each


def test_past_is_held_back_up_to_what_the_model_takes_and_no_further() -> None:
    def reserve(past: int, besides: int, size: ModelSize) -> int:
        return to_reserve(past, besides, Speaking(), size, Budgets(reply_tokens=50)).prompt_tokens

    assert reserve(50_000, 0, ModelSize(131_072)) >= 62_500
    assert reserve(500_000, 0, ModelSize(131_072)) == 131_072
    # A model that makes more of each: as it was learned.
    assert reserve(10_000, 0, ModelSize(131_072, 2.0)) >= 20_000
    assert reserve(10_000, 0, ModelSize(131_072, 0.5)) >= 12_500
    # What is not cut is sent, however long it is.
    assert reserve(500_000, 200_000, ModelSize(131_072)) >= 250_000


async def test_reply_says_whether_it_has_to_stay_within_what_was_held_back(store: SqlStore, alice: User) -> None:
    talk = new_conversation(alice, speaking=SPEAKING)
    free = await store.turns.begin(said(alice, "hi", new_conversation(alice)))
    first = await store.turns.begin(within(said(alice, "hi", talk), budgets(10_000)))
    queued = await store.turns.begin(within(said(alice, "and?", talk.uuid), budgets(10_000)))
    ended = await store.turns.finish(ending(first, "A.", usage=USAGE, promote=True))
    assert ended.next is not None
    assert ended.next.turn.reply.id == queued.turn.reply.id
    assert (free.is_reserved, first.is_reserved, ended.next.is_reserved) == (False, True, True)
    await finish(store, ended.next)
    asked = AnotherReply(Reader(alice.id), talk.uuid, None, NOW, HERE, LEASE, "queue", budgets(10_000))
    assert (await store.turns.begin_another(asked)).is_reserved


async def test_own_budget_of_nothing_is_no_limit(store: SqlStore, alice: User, bob: User) -> None:
    add = "INSERT INTO limits (user_id, tokens_a_day) VALUES ($1, $2)"
    await store.database.write(lambda tx: tx.run(add, alice.id, 0))
    begun = await say(store, alice, budgets(50, own=True))
    assert not begun.is_reserved
    with pytest.raises(OverBudget):
        await say(store, bob, budgets(50, own=True))
    assert (await store.ledger.own(alice.id, Budget(tokens_a_day=50), NOW, is_app=False)).left == []


async def test_own_budget_goes_before_the_usual_one(store: SqlStore, alice: User, bob: User) -> None:
    add = "INSERT INTO limits (user_id, tokens_a_day) VALUES ($1, $2)"
    await store.database.write(lambda tx: tx.run(add, alice.id, 100))
    assert await store.ledger.some_have_their_own_budget()
    with pytest.raises(OverBudget):
        await say(store, alice, budgets(own=True))
    with pytest.raises(OverBudget):
        await say(store, alice, budgets(100_000, own=True))
    await say(store, bob, budgets(own=True))
    # Who has none is not looked after.
    counting = CountingDatabase(store.database)
    asked = budgets(own=True)
    await counting.write(lambda tx: reserve(tx, [Wish(bob.id, None, SPEAKING, 10)], asked, Prices(), NOW))
    assert not [sql for sql, _ in counting.asked if "ledger" in sql or "spending" in sql]


async def test_application_has_one_budget_for_all_its_users(store: SqlStore) -> None:
    app = await store.accounts.add_user(new_user("shop", "app"))
    users = [await store.accounts.add_user(new_user(f"c{n}", "app_user", app_id=app.id)) for n in range(3)]
    limits = budgets(app=Budget(tokens_a_day=400))
    first, second, third = users
    begun = [await say(store, who, limits) for who in (first, second, first)]
    with pytest.raises(OverBudget):
        await say(store, third, limits)
    for one in begun:
        await finish(store, one, Usage(10, 1), now=NOW)
    await say(store, third, limits)


async def test_what_many_hold_back_is_looked_up_at_once(store: SqlStore, alice: User, bob: User) -> None:
    app = await store.accounts.add_user(new_user("shop", "app"))
    of_shop = [await store.accounts.add_user(new_user(f"c{n}", "app_user", app_id=app.id)) for n in range(3)]
    limits = budgets(10_000, app=Budget(tokens_a_day=10_000))
    for who in (alice, alice, bob, *of_shop):
        await say(store, who, limits)
    counting = CountingDatabase(store.database)
    wishes = [Wish(who.id, who.app_id, SPEAKING, 10) for who in (alice, bob, *of_shop)]
    await counting.write(lambda tx: reserve(tx, wishes, limits, Prices(), NOW))
    looks = [rows for sql, rows in counting.asked if "reserved_tokens" in sql]
    # SQLite's writer remembers it from when they began.
    assert looks == ([1, 5] if store.engine == "postgres" else [])
    each = await held(store) // 6
    # Alice has two of them, and the application three.
    for budget, refused in (
        (budgets(3 * each - 20), [True, False, False, False, False]),
        (budgets(app=Budget(tokens_a_day=4 * each - 20)), [False, False, True, True, True]),
    ):
        answers = await store.database.write(lambda tx, budget=budget: reserve(tx, wishes, budget, Prices(), NOW))  # type: ignore[misc]
        assert [isinstance(one, OverBudget) for one in answers] == refused


async def test_who_never_asked_before_is_counted_beside_those_who_did(store: SqlStore, alice: User, bob: User) -> None:
    limits = budgets(10_000)
    await finish(store, await say(store, alice, limits))
    used = (await spent_by(store, f"user:{alice.id}")).tokens_today
    wishes = [Wish(who.id, None, SPEAKING, 10) for who in (bob, alice)]
    [one, other] = await store.database.write(lambda tx: reserve(tx, wishes, limits, Prices(), NOW))
    assert isinstance(one, Reservation)
    assert isinstance(other, Reservation)
    assert one.tokens == other.tokens
    # Enough for bob, of whom nothing is known, and too little for alice, who has used some.
    little = budgets(one.tokens + used - 1)
    answers = await store.database.write(lambda tx: reserve(tx, wishes, little, Prices(), NOW))
    assert [isinstance(answer, OverBudget) for answer in answers] == [False, True]


async def test_conversation_has_a_budget_of_its_own(store: SqlStore, alice: User) -> None:
    limits = budgets(conversation=300)
    begun = await say(store, alice, limits)
    uuid = begun.turn.conversation.uuid
    await finish(store, begun, Usage(150, 50))
    with pytest.raises(OverBudget) as refused:
        await say(store, alice, limits, uuid)
    assert refused.value.limit == Limit("conversation_tokens", 300, of="conversation")
    assert (refused.value.shortage, refused.value.left) == ("too_little", 100)
    await say(store, alice, limits)


async def test_known_message_is_told_however_little_is_left(store: SqlStore, alice: User) -> None:
    talk = new_conversation(alice, speaking=SPEAKING)
    begun = await store.turns.begin(within(said(alice, "hi", talk, client_id="c1"), budgets(1000)))
    await finish(store, begun, Usage(990, 10))
    again = await store.turns.begin(within(said(alice, "hi", talk.uuid, client_id="c1"), budgets(1000)))
    assert again.state == "known"


async def test_asking_again_and_asking_for_another_are_held_back_too(store: SqlStore, alice: User) -> None:
    talk = new_conversation(alice, speaking=SPEAKING)
    begun = await store.turns.begin(within(said(alice, "hi", talk, client_id="c1"), budgets(1000)))
    await store.turns.finish(ending(begun, "Y", "interrupted", usage=Usage(790, 10)))
    with pytest.raises(OverBudget):
        await store.turns.begin(within(said(alice, "hi", talk.uuid, client_id="c1"), budgets(810)))
    again = await store.turns.begin(within(said(alice, "hi", talk.uuid, client_id="c1"), budgets(1000)))
    assert await held(store) > 100
    await finish(store, again, Usage(1, 1))
    asked = AnotherReply(Reader(alice.id), talk.uuid, None, NOW, HERE, LEASE, "queue")
    with pytest.raises(OverBudget):
        await store.turns.begin_another(replace(asked, budgets=budgets(810)))
    another = await store.turns.begin_another(replace(asked, budgets=budgets(1000)))
    assert await held(store) > 100
    await finish(store, another, Usage(1, 1))
    assert await held(store) == 0


async def test_answer_that_is_not_stored_is_held_back_until_it_is_there_or_its_time_is_over(
    store: SqlStore, alice: User
) -> None:
    until = Micros(NOW + 60 * SECOND)

    async def ask(now: Micros = NOW) -> int | None:
        return await store.ledger.reserve_answer(alice.id, None, SPEAKING, 10, budgets(300), now, until)

    first, second = await ask(), await ask()
    with pytest.raises(OverBudget):
        await ask()
    assert first is not None
    assert second is not None
    await store.ledger.refund_answer(first)
    await store.ledger.add_usage(alice.id, None, "m", Usage(100, 5), NOW, billed_as="m", reservation=second)
    assert await held(store) == 0
    third = await ask()
    assert third is not None
    with pytest.raises(OverBudget):
        await ask()
    # Its worker died: nothing ended it.
    await ask(Micros(until + 1))
    await store.ledger.remove_expired(Micros(until + 1))
    assert [row[0] for row in await rows(store, "SELECT id FROM reservations")] == []


async def test_answer_that_comes_after_its_time_gives_nothing_back_that_is_anothers(
    store: SqlStore, alice: User
) -> None:
    limits = budgets(10_000)
    await finish(store, await say(store, alice, limits), None)

    async def ask(now: Micros, until: Micros) -> int:
        held = await store.ledger.reserve_answer(alice.id, None, SPEAKING, 10, limits, now, until)
        assert held is not None
        return held

    late = await ask(NOW, Micros(NOW + SECOND))
    await ask(Micros(NOW + 2 * SECOND), LATER)
    both = await held(store)
    await store.ledger.refund_answer(late)
    assert await held(store) == both // 2
    in_time = await ask(Micros(NOW + 3 * SECOND), LATER)
    await store.ledger.refund_answer(in_time)
    assert await held(store) == both // 2
    # What is remembered of it is looked at when the test ends.


async def test_what_waited_goes_on_before_those_who_pay_are_locked(store: SqlStore, alice: User) -> None:
    limits = budgets(10_000)
    begun = await say(store, alice, limits)
    await say(store, alice, limits, begun.turn.conversation.uuid)
    counting = CountingDatabase(store.database)
    ended = ending(begun, usage=USAGE, now=LATER)
    following = (await SqlStore(counting, store.engine).turns.finish(replace(ended, promote_to=HERE))).next
    assert following is not None
    asked = [sql for sql, _ in counting.asked]
    [billed] = [index for index, sql in enumerate(asked) if "INTO ledger" in sql]
    assert asked.index(PROMOTE) < billed


@pytest.mark.proof("money")
async def test_many_at_once_in_two_processes_never_pass_a_budget(
    store: SqlStore, other_store: SqlStore, alice: User
) -> None:
    limits = budgets(2000)
    # The row of who pays is there: making it would be a lock of its own.
    await finish(store, await say(store, alice, limits), None)
    outcomes = await asyncio.gather(
        *(say(where, alice, limits) for where in (store, other_store) * 40), return_exceptions=True
    )
    begun = [one for one in outcomes if isinstance(one, Begun)]
    assert {type(one) for one in outcomes} == {Begun, OverBudget}
    reserved = await held(store)
    assert 2000 - 150 < reserved <= 2000
    each = reserved // len(begun)
    # All of them end, and as many again begin: as much as is left, and not one more.
    used = Usage(each - 60, 10)
    stores = itertools.cycle((store, other_store))
    await asyncio.gather(*(finish(where, one, used) for one, where in zip(begun, stores, strict=False)))
    assert await held(store) == 0
    whole = await total(store)
    assert (whole.turns, whole.total_tokens) == (len(begun), len(begun) * used.total_tokens)
    for where in (store, other_store):
        spent = await spent_by(where, f"user:{alice.id}")
        assert (spent.tokens_today, spent.tokens_this_month) == (whole.total_tokens, whole.total_tokens)
    more = await asyncio.gather(
        *(say(where, alice, limits) for where in (store, other_store) * 20), return_exceptions=True
    )
    fits = (2000 - whole.total_tokens) // each
    assert len([one for one in more if isinstance(one, Begun)]) == fits


@pytest.mark.proof("money")
async def test_ends_and_begins_of_many_people_at_once_leave_every_sum_right(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User
) -> None:
    limits = budgets(10**9)

    async def talk(where: SqlStore, who: User, number: int) -> None:
        begun = await say(where, who, limits)
        second = await say(where, who, limits, begun.turn.conversation.uuid)
        end = replace(ending(begun, "A.", usage=Usage(number, 1), promote=True), billed_as=f"m{number % 3}")
        ended = await where.turns.finish(end)
        assert ended.next is not None
        assert ended.next.turn.reply.id == second.turn.reply.id
        await finish(where, ended.next, Usage(number, 1), model="gpt-4")

    people: Sequence[tuple[SqlStore, User]] = ((store, alice), (other_store, bob), (other_store, alice), (store, bob))
    await asyncio.gather(*(talk(*people[number % 4], number) for number in range(60)))
    whole = await total(store)
    assert (whole.turns, whole.prompt_tokens, whole.completion_tokens) == (120, 2 * sum(range(60)), 120)
    spent = [await spent_by(store, f"user:{who.id}") for who in (alice, bob)]
    assert sum(one.tokens_today for one in spent) == whole.total_tokens
    assert await held(store) == 0


async def test_who_asks_is_told_what_was_used_and_what_is_left(store: SqlStore, alice: User) -> None:
    await add_price(store, Price(1_000_000, 1_000_000, 1_000_000), NOW)
    await finish(store, await say(store, alice, budgets(10_000)), Usage(100, 50), now=NOW)
    yesterday = Micros(NOW - DAY)
    await store.ledger.add_usage(alice.id, None, "gpt-4", Usage(7, 3), yesterday, billed_as="gpt-4")
    own = await store.ledger.own(alice.id, Budget(1000, 2000, 1000), NOW, is_app=False)
    assert (own.today.total_tokens, own.this_month.total_tokens, own.this_month.cost) == (150, 160, 150)
    assert [(one.limit.name, one.left) for one in own.left] == [
        ("tokens_a_day", 850), ("tokens_a_month", 1840), ("money_a_month", 850),
    ]  # fmt: skip
    assert own.left[0].renewed_at == (NOW // DAY + 1) * DAY


async def test_reply_that_was_left_behind_is_billed_for_what_was_kept(
    store: SqlStore, other_store: SqlStore, alice: User
) -> None:
    talk = new_conversation(alice)
    first = await store.turns.begin(said(alice, "hi", talk))
    await finish(store, first, Usage(1, 1))
    await store.turns.begin(said(alice, "and?", talk.uuid))
    [left] = await other_store.turns.abandoned(EXPIRED, EXPIRED)
    assert left.usage is not None
    assert left.usage.estimated
    # Two messages of three tokens, an answer of one, a system prompt of three, and what is around each.
    assert left.usage.prompt_tokens == 3 + 3 + 1 + 3 + 4 * 4
    assert left.billed_as == "gpt-4"


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [("2024-02-29", "2024-02-01", "2024-02-29"), ("2025-12-31", "2025-12-01", "2025-12-31"),
     ("2026-01-01", "2026-01-01", "2026-01-31")],
)  # fmt: skip
def test_months_are_those_of_the_calendar(day: str, first: str, last: str) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    now = Micros(int(noon.timestamp()) * SECOND)
    month = month_of(now)
    shown = [datetime.fromtimestamp(one * 86_400, UTC).date().isoformat() for one in (month.first_day, month.last_day)]
    assert shown == [first, last]
    assert day_of(now).seconds_left(now) == 43_200


async def test_own_days_are_told_by_model(store: SqlStore, alice: User, bob: User) -> None:
    day = NOW // DAY
    for who, when, model, tokens in (
        (alice, NOW, "a", 1), (alice, NOW, "a", 2), (alice, NOW, "b", 4), (alice, Micros(NOW + DAY), "a", 8),
        (bob, NOW, "a", 16),
    ):  # fmt: skip
        await store.ledger.add_usage(who.id, None, model, Usage(tokens, 1), when, billed_as=model)
    told = await store.ledger.own_days(alice, Period(day, day + 1))
    assert [(when - day, used.key, used.turns, used.prompt_tokens) for when, used in told] == [
        (0, "a", 2, 3), (0, "b", 1, 4), (1, "a", 1, 8),
    ]  # fmt: skip
    assert await store.ledger.own_days(alice, Period(day + 2, day + 9)) == []
