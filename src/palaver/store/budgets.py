"""Budgets in the database, which hold however many ask at once.

What is held back for a reply stands in the reply's own row, and counts as long as the reply runs or waits: whatever
becomes of the reply, nothing of it can be forgotten. The row of who pays is locked before it is looked at.
"""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from palaver.chat.clock import DAY, SECOND, Micros
from palaver.chat.context import TOKENS_AROUND
from palaver.chat.conversation import ConversationId, Past, Speaking, Usage
from palaver.chat.errors import OverBudget
from palaver.chat.ledger import (
    BILLED_BY_MODEL,
    Budget,
    Budgets,
    DatedPrice,
    ModelSize,
    Price,
    Reservation,
    Spent,
    day_of,
    month_of,
    over_budget,
    over_conversation,
    to_cost,
    to_reserve,
    worst_of,
)
from palaver.chat.limit import LimitOf
from palaver.chat.user import UserId
from palaver.store.database import Row, Transaction
from palaver.store.going_on import read_histories, to_histories
from palaver.store.payers import Payer, payers_within
from palaver.store.prices import MARK, NO_PRICES, Prices, price_at
from palaver.store.prompt_size import PROMPT_SIZE
from palaver.store.spending import HELD_BY as HELD_ON_SQLITE
from palaver.store.spending import recall
from palaver.store.summaries import PAST, select_past

OWN_BUDGET = f"SELECT {', '.join(Budget.__struct_fields__)}, user_id FROM limits WHERE user_id = $1"
FROM_LEDGER = (
    "CAST(COALESCE(SUM(CASE WHEN day = CAST($2 AS BIGINT) THEN prompt_tokens + completion_tokens ELSE 0 END), 0) "
    "AS BIGINT), CAST(COALESCE(SUM(prompt_tokens + completion_tokens), 0) AS BIGINT), "
    "CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM ledger WHERE {whose} = $4 AND day >= CAST($3 AS BIGINT)"
)
# Of who has no row yet, or one of a later day, as a clock that was ahead has left it: with it, what was used until then
# would be forgotten. A reply that began before its payer had a budget, and ends just while this is made, is not in it.
OPEN_SPENDING = (
    "INSERT INTO spending (scope, day, month, tokens_today, tokens_this_month, money_this_month) "
    "SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), " + FROM_LEDGER + " "
    "ON CONFLICT (scope) DO UPDATE SET day = excluded.day, month = excluded.month, "
    "tokens_today = excluded.tokens_today, "
    "tokens_this_month = excluded.tokens_this_month, money_this_month = excluded.money_this_month "
    "WHERE spending.day > excluded.day"
)
HELD = (
    "SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) AS tokens, CAST(COALESCE(SUM(money), 0) AS BIGINT) AS money FROM ("
    "SELECT reserved_tokens AS tokens, reserved_money AS money FROM messages "
    "WHERE {payer} = $1 AND status IN ('queued', 'running') "
    "UNION ALL SELECT tokens, money FROM reservations WHERE {payer} = $1 AND until > $2) AS held"
)
# On PostgreSQL, in the order in which those who pay are locked: that of their scopes.
HELD_BY: Mapping[LimitOf, str] = {
    "app": HELD.format(payer="payer_app_id"), "user": HELD.format(payer="payer_id"),
}  # fmt: skip
# What is held and the prices' mark come with it: to look for either alone would be a round trip more for each turn.
SPENT = (
    f"spending.scope, day, month, tokens_today, tokens_this_month, money_this_month, {MARK}, held.tokens, held.money"
)
# Who had to wait for the row finds in it what was used until then, but what is held is as it was before. That is too
# little only where somebody else has looked meanwhile, and then the last column is false.
LOOK_AND_LOCK: Mapping[LimitOf, str] = {
    of: f"UPDATE spending SET looks = spending.looks + 1 FROM ({held}) AS held, "
    "(SELECT looks FROM spending WHERE scope = $3) AS seen "
    f"WHERE spending.scope = $3 RETURNING {SPENT}, spending.looks = seen.looks + 1"
    for of, held in HELD_BY.items()
}
# The same, and what a bot is to see of the past, unless $4 to $7 are NULL: together they take one round trip, which is
# most of their cost. What was looked at has no conversation, and its numbers in one text with the mark last, which may
# be missing: the rows of the past, which are many, carry nothing for it. To look at nobody with each of many pasts took
# PostgreSQL as long as all the rest of the turn.
LOOK_LOCK_AND_READ: Mapping[LimitOf, str] = {
    of: "WITH looked (scope, day, month, tokens_today, tokens_this_month, money, mark, held_tokens, held_money, "
    f"is_sure) AS ({sql}) SELECT past.* FROM ({select_past(4)}) AS past UNION ALL "
    "SELECT NULL, NULL, scope, CONCAT_WS(' ', day, month, tokens_today, tokens_this_month, money, held_tokens, "
    "held_money, CAST(is_sure AS INTEGER), mark), NULL FROM looked"
    for of, sql in LOOK_AND_LOCK.items()
}
NOTHING_PAST = (None,) * 4
# By so much at the most, between workers. At midnight a row may be of tomorrow.
CLOCKS_DIFFER = 60 * SECOND
HELD_IN_CONVERSATION = (
    "SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) FROM ("
    "SELECT reserved_tokens AS tokens FROM messages WHERE conversation_id = $1 AND status = 'running' "
    "AND payer_id = $2 UNION ALL "
    "SELECT reserved_tokens FROM messages WHERE conversation_id = $1 AND status = 'queued' AND payer_id = $2) AS held"
)


class Wish(Struct):
    """A reply that is to be made: who pays, and what the bot is to see: at most so many messages before the number
    `before`, among them the replies that it `waits_for`. `past` and `standing`, the tokens of those and of what stands
    before them, are looked up where they are None. `used` are those that the conversation has used so far. `payers`:
    who has to be able to afford it, once that is found; None where nobody counts what it uses."""

    payer_id: UserId
    app_id: UserId | None
    speaking: Speaking
    tokens: int
    conversation_id: ConversationId = ConversationId(0)
    context_from: int = 0
    before: int = 0
    limit: int = 0
    waits_for: int = 0
    used: int = 0
    past: int | None = None
    standing: int | None = None
    payers: Sequence[Payer] | None = None
    reads_past: bool = False
    """Whether the `history` is wanted, and not its size alone."""
    history: Sequence[Past] | None = None


class _Looked(Struct, frozen=True):
    """What was found of one who pays: `SPENT` in its order, and whether what is held may be relied on."""

    scope: str
    day: int
    month: int
    tokens_today: int
    tokens_this_month: int
    money_this_month: int
    mark: str | None
    held_tokens: int
    held_money: int
    is_sure: bool


class _Bot(Struct, frozen=True):
    """Who is going to answer, as far as that is known: what its model takes, and the prices that may hold for it."""

    size: ModelSize
    prices: Sequence[Price]


async def reserve(
    tx: Transaction, wishes: Sequence[Wish | None], budgets: Budgets, known: Prices, now: Micros
) -> list[Reservation | OverBudget | None]:
    """What is held back for each of them, or why it cannot be; None where nobody counts.

    It writes nothing that anybody is told, and holds the rows of who pays until the transaction ends: the rows of the
    replies have to be written in it. Those are to be locked before that this transaction changes and that run (see
    store/locks.py), and the conversations of the wishes.
    """
    payers = await _find_payers(tx, wishes, budgets)
    counted = [wish for wish in wishes if wish is not None and wish.payers is not None]
    if not counted:
        return [None] * len(wishes)
    await _measure(tx, counted)
    reading = [wish for wish in wishes if wish is not None and wish.reads_past and wish.before > 1]
    spent, mark = await _lock_spending(tx, payers, reading, now)
    counts_money = any(payer.budget.money_a_month for payer in payers.values())
    prices = await known.all(tx, mark) if counts_money else NO_PRICES
    held_there = await _held_in_conversations(tx, counted) if budgets.conversation_tokens else {}
    # What is known of a bot is looked up once for all that ask the same one.
    bots: dict[tuple[str | None, str | None], _Bot] = {}
    wanted: list[Reservation | None] = []
    for wish in wishes:
        if wish is None or wish.payers is None:
            wanted.append(None)
            continue
        named = (wish.speaking.provider, wish.speaking.model)
        bot = bots.get(named)
        if bot is None:
            bot = bots[named] = _to_bot(wish.speaking, prices, budgets, now)
        wanted.append(_to_reservation(wish, bot, budgets))
    answers = _decide(wishes, wanted, spent, held_there, budgets, now)
    if tx.lock and any(isinstance(answer, OverBudget) for answer in answers):
        # What ended while a row was waited for may be in both: in what was used, and in what is held.
        await _add_up_held(tx, payers.values(), spent, now)
        answers = _decide(wishes, wanted, spent, held_there, budgets, now)
    return answers


def _decide(
    wishes: Sequence[Wish | None],
    reservations: Sequence[Reservation | None],
    spent: Mapping[str, Spent],
    held_there: Mapping[ConversationId, int],
    budgets: Budgets,
    now: Micros,
) -> list[Reservation | OverBudget | None]:
    """One after the other: what the first gets is held back from the next."""
    answers: list[Reservation | OverBudget | None] = []
    for wish, wanted in zip(wishes, reservations, strict=True):
        if wish is None or wish.payers is None or wanted is None:
            answers.append(None)
            continue
        refusals: list[OverBudget] = []
        if budgets.conversation_tokens:
            held = held_there.get(wish.conversation_id, 0)
            refusals += over_conversation(budgets.conversation_tokens, wish.used, held, wanted)
        for payer in wish.payers:
            refusals += over_budget(payer.budget, spent[payer.scope], wanted, now, payer.of, budgets.currency)
        if refusals:
            answers.append(worst_of(refusals))
            continue
        for payer in wish.payers:
            of_payer = spent[payer.scope]
            of_payer.held_tokens += wanted.tokens
            of_payer.held_money += wanted.money
        answers.append(wanted)
    return answers


def _to_reservation(wish: Wish, bot: _Bot, budgets: Budgets) -> Reservation:
    past, besides = wish.past or 0, wish.tokens + (wish.standing or 0)
    alone = to_reserve(past, besides, wish.speaking, bot.size, budgets)
    tokens, money = alone.total_tokens, _most_cost(alone, bot.prices)
    if not wish.waits_for:
        return Reservation(wish.payer_id, wish.app_id, tokens, money, tokens, money)
    waits_for = min(wish.waits_for, wish.limit)
    usage = to_reserve(past, besides, wish.speaking, bot.size, budgets, waits_for=waits_for)
    return Reservation(
        wish.payer_id, wish.app_id, usage.total_tokens, _most_cost(usage, bot.prices), tokens, money
    )  # fmt: skip


def _most_cost(usage: Usage, prices: Sequence[Price]) -> int:
    return max([to_cost(usage, price) for price in prices]) if prices else 0


async def _find_payers(tx: Transaction, wishes: Sequence[Wish | None], budgets: Budgets) -> Mapping[str, Payer]:
    """Sets the payers of each of them, and gives all of these by their scopes."""
    own = await _own_budgets(tx, wishes) if budgets.some_have_their_own else {}
    found: dict[str, Payer] = {}
    for wish in wishes:
        if wish is None:
            continue
        of_user, of_app = budgets.person, budgets.app
        if own:
            if wish.payer_id in own:
                of_user = own[wish.payer_id].or_else(of_user)
            if wish.app_id in own:
                of_app = own[wish.app_id].or_else(of_app)
        payers = payers_within(wish.payer_id, wish.app_id, of_user, of_app)
        for payer in payers:
            found[payer.scope] = payer
        wish.payers = payers if payers or budgets.conversation_tokens else None
    return found


async def _own_budgets(tx: Transaction, wishes: Sequence[Wish | None]) -> Mapping[int | None, Budget]:
    ids = {id_ for wish in wishes if wish is not None for id_ in (wish.payer_id, wish.app_id) if id_ is not None}
    rows = await tx.all_many(OWN_BUDGET, [(id_,) for id_ in sorted(ids)])
    return {row[3]: Budget(*row[:3]) for row in rows}


async def _measure(tx: Transaction, wishes: Sequence[Wish]) -> None:
    """Sets what is not known, but for the size of a past that is going to be read."""
    # Nothing was said before in a conversation that is yet to be made.
    unknown = [
        wish
        for wish in wishes
        if wish.conversation_id and (wish.standing is None or (wish.past is None and not wish.reads_past))
    ]
    if not unknown:
        return
    asked = [_past_of(wish) for wish in unknown]
    for wish, row in zip(unknown, await tx.all_many(PROMPT_SIZE, asked), strict=True):
        wish.past, wish.standing = row


def _to_bot(speaking: Speaking, prices: Mapping[str, Sequence[DatedPrice]], budgets: Budgets, now: Micros) -> _Bot:
    may_hold = []
    if prices:
        found = [price_at(prices.get(name, ()), now) for name in _may_be_billed_as(speaking, budgets)]
        may_hold = [price for price in found if price is not None]
    return _Bot(budgets.size_of(speaking), may_hold)


def _may_be_billed_as(speaking: Speaking, budgets: Budgets) -> Sequence[str]:
    """Where the model that is wanted is not offered just now, the default one answers."""
    provider = speaking.provider or budgets.default_provider
    if provider is not None and provider not in BILLED_BY_MODEL:
        return [provider]
    return [model for model in (speaking.model, budgets.default_model) if model is not None]


async def _lock_spending(
    tx: Transaction, payers: Mapping[str, Payer], reading: Sequence[Wish], now: Micros
) -> tuple[Mapping[str, Spent], str | None]:
    """What each of them has spent, and the mark of the prices. What is held may be told as more than it is. With it the
    past is read that is wanted."""
    if reading and not (tx.lock and payers):
        _keep_past(reading, await read_histories(tx, [_past_of(wish) for wish in reading]))
        reading = ()
    if not tx.lock:
        return await recall(tx, payers.values(), now)
    in_order = [payers[scope] for scope in sorted(payers)]
    day, month, mark = now // DAY, month_of(now).first_day, None
    spent: dict[str, Spent] = {}
    unsure: list[Payer] = []
    for of in HELD_BY:
        some = [payer for payer in in_order if payer.of == of]
        if not some:
            continue
        for one in await _look(tx, of, some, now, reading):
            mark = one.mark
            spent[one.scope] = _to_spent(one, day, month)
            if not one.is_sure:
                unsure.append(payers[one.scope])
        reading = ()
    if unsure:
        await _add_up_held(tx, unsure, spent, now)
    return spent, mark


async def _look(
    tx: Transaction, of: LimitOf, payers: Sequence[Payer], now: Micros, reading: Sequence[Wish] = ()
) -> list[_Looked]:
    asked = [(payer.id, now, payer.scope) for payer in payers]
    if reading:
        # The first who pays goes with the last past: where there is one of each, that is one round trip.
        *others, last = [_past_of(wish) for wish in reading]
        read = list(await tx.all_many(PAST, others)) if others else []
        rows = [(*asked[0], *last), *((*one, *NOTHING_PAST) for one in asked[1:])]
        found = await tx.all_many(LOOK_LOCK_AND_READ[of], rows)
        seen = [row for row in found if row[0] is None]
        _keep_past(reading, to_histories(read + [row for row in found if row[0] is not None]))
        looked = [_looked_by(row) for row in seen]
    else:
        looked = [_Looked(*row) for row in await tx.all_many(LOOK_AND_LOCK[of], asked)]
    looked = [one for one in looked if one.day <= (now + CLOCKS_DIFFER) // DAY]
    if len(looked) == len(payers):
        return looked
    known = {one.scope for one in looked}
    new = [payer for payer in payers if payer.scope not in known]
    day, month = day_of(now).first_day, month_of(now).first_day
    for payer in new:
        await tx.run(OPEN_SPENDING.format(whose=f"{of}_id"), payer.scope, day, month, payer.id)
    return looked + await _look(tx, of, new, now)


def _looked_by(row: Row) -> _Looked:
    """What stands in a row of `LOOK_LOCK_AND_READ`, in the columns of the past."""
    numbers = row[3].split(" ")
    day, month, tokens_today, tokens_this_month, money, held_tokens, held_money, is_sure = map(int, numbers[:8])
    mark = numbers[8] if len(numbers) > 8 else None
    return _Looked(
        row[2], day, month, tokens_today, tokens_this_month, money, mark, held_tokens, held_money, bool(is_sure)
    )  # fmt: skip


def _past_of(wish: Wish) -> tuple[ConversationId, int, int, int]:
    return wish.conversation_id, wish.context_from, wish.before, wish.limit


def _keep_past(wishes: Sequence[Wish], histories: Mapping[ConversationId, Sequence[Past]]) -> None:
    for wish in wishes:
        wish.history = histories.get(wish.conversation_id, ())
        wish.past = sum([one.token_count for one in wish.history]) + TOKENS_AROUND * len(wish.history)


async def _add_up_held(tx: Transaction, payers: Collection[Payer], spent: Mapping[str, Spent], now: Micros) -> None:
    for of, sql in HELD_BY.items():
        some = [payer for payer in payers if payer.of == of]
        rows = await tx.all_many(sql, [(payer.id, now) for payer in some]) if some else ()
        for payer, row in zip(some, rows, strict=True):
            spent[payer.scope].held_tokens, spent[payer.scope].held_money = row


def held_by(tx: Transaction) -> Mapping[LimitOf, str]:
    """What adds up the tokens and the money that are held back for somebody, at a time."""
    return HELD_BY if tx.lock else HELD_ON_SQLITE


def _to_spent(looked: _Looked, day: int, month: int) -> Spent:
    is_of_day, is_of_month = looked.day >= day, looked.month >= month
    return Spent(
        tokens_today=looked.tokens_today if is_of_day else 0,
        tokens_this_month=looked.tokens_this_month if is_of_month else 0,
        money_this_month=looked.money_this_month if is_of_month else 0,
        held_tokens=looked.held_tokens,
        held_money=looked.held_money,
    )


async def _held_in_conversations(tx: Transaction, wishes: Sequence[Wish]) -> Mapping[ConversationId, int]:
    """What is held back there for replies that come before it."""
    busy = [(wish.conversation_id, wish.payer_id) for wish in wishes if wish.waits_for]
    rows = await tx.all_many(HELD_IN_CONVERSATION, busy) if busy else ()
    return {asked[0]: row[0] for asked, row in zip(busy, rows, strict=True)}
