"""The ledger in the database: prices, sums of all that was used, and budgets that hold however many ask at once.

What is held back for a reply stands in the reply's own row, and counts as long as the reply runs or waits: whatever
becomes of the reply, nothing of it can be forgotten. The row of who pays is locked before it is looked at.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import astuple

from palaver.chat.clock import DAY, Micros
from palaver.chat.context import TOKENS_AROUND
from palaver.chat.conversation import ConversationId, Speaking, Usage
from palaver.chat.errors import NotFound, OverBudget
from palaver.chat.ledger import (
    BILLED_BY_MODEL,
    NO_BUDGET,
    Budget,
    Budgets,
    By,
    DatedPrice,
    ModelSize,
    Own,
    Period,
    Price,
    Reservation,
    Spending,
    Spent,
    Used,
    day_of,
    month_of,
    month_with,
    over_budget,
    over_conversation,
    to_cost,
    to_left,
    to_reserve,
    worst_of,
)
from palaver.chat.limit import LimitOf
from palaver.chat.user import Reader, User, UserId
from palaver.store.database import Database, Row, Transaction
from palaver.store.prices import MARK, Prices, add_price, read_prices, remove_price
from palaver.store.rows import READABLE

# As `to_cost` in the core, by the price that holds at `{now}`; nothing where the model has none.
COST = (
    "COALESCE((SELECT ((CAST({prompt} AS BIGINT) - CAST({cached} AS BIGINT)) * p.input "
    "+ CAST({cached} AS BIGINT) * p.cached_input + CAST({completion} AS BIGINT) * p.output + 500000) / 1000000 "
    "FROM prices p WHERE p.model = {model} AND p.since <= {now} ORDER BY p.since DESC LIMIT 1), 0)"
)
INTO_LEDGER = (
    "INSERT INTO ledger (user_id, day, app_id, model, preset_id, turns, prompt_tokens, completion_tokens, "
    "cached_tokens, cost) "
)
IF_IT_IS_THERE = (
    "ON CONFLICT (user_id, day, app_id, model, preset_id) DO UPDATE SET turns = ledger.turns + excluded.turns, "
    "prompt_tokens = ledger.prompt_tokens + excluded.prompt_tokens, "
    "completion_tokens = ledger.completion_tokens + excluded.completion_tokens, "
    "cached_tokens = ledger.cached_tokens + excluded.cached_tokens, cost = ledger.cost + excluded.cost"
)
ADD_UP = f"{INTO_LEDGER}VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) {IF_IT_IS_THERE}"
# What the bot is to see of the past, about.
PAST_TOKENS = (
    "(SELECT COALESCE(SUM(past.token_count + {around}), 0) FROM (SELECT token_count FROM messages "
    "WHERE conversation_id = {conversation} AND number >= {first} AND number < {before} AND in_view "
    "AND role IN ('user', 'assistant') AND status IN ('complete', 'stopped', 'interrupted') "
    "ORDER BY number DESC LIMIT {limit}) AS past)"
)
# About, as `count_tokens` does, and rather more: a character that is not of ASCII may be a token.
TEXT_TOKENS = (
    "COALESCE(CASE WHEN OCTET_LENGTH({text}) = LENGTH({text}) THEN LENGTH({text}) / 4 "
    "ELSE OCTET_LENGTH({text}) / 3 END + 1 + {around}, 0)"
)
# System prompt and summary.
STANDING_TOKENS = (
    "(SELECT "
    + TEXT_TOKENS.format(text="t.text", around=TOKENS_AROUND)
    + " + CASE WHEN c.summary_to > 0 THEN "
    + TEXT_TOKENS.format(text="c.summary", around=TOKENS_AROUND)
    + " ELSE 0 END FROM conversations c LEFT JOIN texts t ON t.id = c.prompt_id WHERE c.id = {conversation})"
)
PROMPT = (
    "SELECT CAST("
    + PAST_TOKENS.format(around=TOKENS_AROUND, conversation="$1", first="$2", before="$3", limit="$4")
    + " AS BIGINT), CAST("
    + STANDING_TOKENS.format(conversation="$1")
    + " AS BIGINT)"
)
SOME_HAVE_THEIR_OWN = (
    f"SELECT 1 FROM limits WHERE {' OR '.join(f'{name} IS NOT NULL' for name in Budget.__struct_fields__)} LIMIT 1"
)
OWN_BUDGET = f"SELECT {', '.join(Budget.__struct_fields__)}, user_id FROM limits WHERE user_id = $1"
FROM_LEDGER = (
    "CAST(COALESCE(SUM(CASE WHEN day = CAST($2 AS BIGINT) THEN prompt_tokens + completion_tokens ELSE 0 END), 0) "
    "AS BIGINT), CAST(COALESCE(SUM(prompt_tokens + completion_tokens), 0) AS BIGINT), "
    "CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM ledger WHERE {whose} = $4 AND day >= CAST($3 AS BIGINT)"
)
OPEN_SPENDING = (
    "INSERT INTO spending (scope, day, month, tokens_today, tokens_this_month, money_this_month) "
    "SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), " + FROM_LEDGER + " "
    "ON CONFLICT (scope) DO NOTHING"
)
# A new day begins with what is spent first in it. A worker whose clock is behind another's adds to the later day.
SPEND = (
    "UPDATE spending SET tokens_today = CASE WHEN day < $2 THEN 0 ELSE tokens_today END + $4, "
    "tokens_this_month = CASE WHEN month < $3 THEN 0 ELSE tokens_this_month END + $4, "
    "money_this_month = CASE WHEN month < $3 THEN 0 ELSE money_this_month END + $5, "
    "day = CASE WHEN day < $2 THEN $2 ELSE day END, month = CASE WHEN month < $3 THEN $3 ELSE month END "
    "WHERE scope = $1"
)
# For PostgreSQL either of the two, as $1 or $6 is NULL: together they take one round trip, which is most of their cost.
SPEND_OR_ADD_UP = (
    f"WITH spent AS ({SPEND}) {INTO_LEDGER}SELECT CAST($6 AS BIGINT), CAST($7 AS BIGINT), CAST($8 AS BIGINT), "
    "CAST($9 AS TEXT), CAST($10 AS BIGINT), CAST($11 AS BIGINT), CAST($12 AS BIGINT), CAST($13 AS BIGINT), "
    f"CAST($14 AS BIGINT), CAST($15 AS BIGINT) WHERE CAST($6 AS BIGINT) IS NOT NULL {IF_IT_IS_THERE}"
)
NOTHING_SPENT, NOTHING_ADDED = (None,) * 5, (None,) * 10
HELD = (
    "SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) AS tokens, CAST(COALESCE(SUM(money), 0) AS BIGINT) AS money FROM ("
    "SELECT reserved_tokens AS tokens, reserved_money AS money FROM messages "
    "WHERE {payer} = $1 AND status IN ('queued', 'running') "
    "UNION ALL SELECT tokens, money FROM reservations WHERE {payer} = $1 AND until > $2) AS held"
)
# In the order in which those who pay are locked: that of their scopes.
HELD_BY: Mapping[LimitOf, str] = {
    "app": HELD.format(payer="payer_app_id"), "user": HELD.format(payer="payer_id"),
}  # fmt: skip
# What is held and the prices' mark come with it: to look for either alone would be a round trip more for each turn.
SPENT = (
    f"spending.scope, day, month, tokens_today, tokens_this_month, money_this_month, {MARK}, held.tokens, held.money"
)
LOOK: Mapping[LimitOf, str] = {
    of: f"SELECT {SPENT}, TRUE FROM spending, ({held}) AS held WHERE scope = $3" for of, held in HELD_BY.items()
}
# Locks the row besides. Who had to wait for it finds in it what was used until then, but what is held is as it was
# before. That is too little only where somebody else has looked meanwhile, and then the last column is false.
LOOK_AND_LOCK: Mapping[LimitOf, str] = {
    of: f"UPDATE spending SET looks = spending.looks + 1 FROM ({held}) AS held, "
    "(SELECT looks FROM spending WHERE scope = $3) AS seen "
    f"WHERE spending.scope = $3 RETURNING {SPENT}, spending.looks = seen.looks + 1"
    for of, held in HELD_BY.items()
}
HELD_IN_CONVERSATION = (
    "SELECT CAST(COALESCE(SUM(reserved_tokens), 0) AS BIGINT) FROM messages "
    "WHERE conversation_id = $1 AND payer_id = $2 AND status IN ('queued', 'running')"
)
ADD_RESERVATION = (
    "INSERT INTO reservations (payer_id, payer_app_id, tokens, money, until) VALUES ($1, $2, $3, $4, $5) RETURNING id"
)
END_RESERVATION = "DELETE FROM reservations WHERE id = $1"
ADD_USAGE = (
    "INSERT INTO usage (at, user_id, message_id, model, prompt_tokens, completion_tokens, cached_tokens, cost) "
    "VALUES ($1, $2, NULL, $3, $4, $5, $6, "
    + COST.format(prompt="$4", cached="$7", completion="$5", model="$8", now="$1")
    + ") RETURNING cost, EXISTS (SELECT 1 FROM spending WHERE scope > '')"
)
SUMS = (
    "CAST(SUM(turns) AS BIGINT), CAST(SUM(prompt_tokens) AS BIGINT), CAST(SUM(completion_tokens) AS BIGINT), "
    "CAST(SUM(cached_tokens) AS BIGINT), CAST(SUM(cost) AS BIGINT)"
)
USAGE = (
    f"SELECT sums.*, {{named}} FROM (SELECT {{by}} AS what, {SUMS} FROM ledger "
    "WHERE day >= $1 AND day <= $2{of} GROUP BY {by}) AS sums {names} ORDER BY sums.what"
)
OWN_DAYS = (
    f"SELECT day, model, {SUMS} FROM ledger WHERE {{whose}} = $1 AND day >= $2 AND day <= $3 "
    "GROUP BY day, model ORDER BY day, model"
)
OWN_USAGE = f"SELECT COUNT(*), {SUMS} FROM ledger WHERE {{whose}} = $1 AND day >= $2 AND day <= $3"
USED_IN = (
    "SELECT c.prompt_tokens, c.completion_tokens, c.cached_tokens, c.cost FROM conversations c "
    f"WHERE c.uuid = $1 AND {READABLE}"
)
COLUMNS: Mapping[By, str] = {
    "day": "day", "user": "user_id", "model": "model", "app": "app_id", "preset": "preset_id",
}  # fmt: skip
# UUID, name and application of what a sum is about, and where they stand.
NAMED: Mapping[By, tuple[str, str]] = {
    "user": (
        "u.uuid, u.name, a.name",
        "LEFT JOIN users u ON u.id = sums.what LEFT JOIN users a ON a.id = u.app_id",
    ),
    "app": ("u.uuid, u.name, NULL", "LEFT JOIN users u ON u.id = sums.what"),
    "preset": ("NULL, p.name, NULL", "LEFT JOIN presets p ON p.id = sums.what AND p.deleted_at IS NULL"),
}
UNNAMED = ("NULL, NULL, NULL", "")


class _Payer(Struct, frozen=True):
    """Whose spending is looked at: a person's, or that of an application with all its users. And what they may use."""

    scope: str
    id: int
    of: LimitOf
    budget: Budget = NO_BUDGET


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
    payers: Sequence[_Payer] | None = None


class _Bot(Struct, frozen=True):
    """Who is going to answer, as far as that is known: what its model takes, and the prices that may hold for it."""

    size: ModelSize
    prices: Sequence[Price]


# Of a row of the ledger: user, day, application, model, preset.
_Key: TypeAlias = tuple[UserId, int, UserId, str, int]
NO_APP = UserId(0)


class _Sum(Struct):
    """What was used of a kind, in the order of the ledger's columns."""

    turns: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: int


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
    spent, mark = await _lock_spending(tx, payers, now)
    # What is known of a bot is looked up once for all that ask the same one.
    speaking = {(wish.speaking.provider, wish.speaking.model): wish.speaking for wish in counted}
    prices: Mapping[str, Price] = {}
    if any(payer.budget.money_a_month for payer in payers.values()):
        names = {name for one in speaking.values() for name in _may_be_billed_as(one, budgets)}
        prices = await known.at(tx, mark, names, now)
    bots = {named: _to_bot(one, prices, budgets) for named, one in speaking.items()}
    held_there = await _held_in_conversations(tx, counted) if budgets.conversation_tokens else {}
    wanted = [
        None
        if wish is None or wish.payers is None
        else _to_reservation(wish, bots[wish.speaking.provider, wish.speaking.model], budgets)
        for wish in wishes
    ]
    answers = _decide(wishes, wanted, spent, held_there, budgets, now)
    if tx.lock and any(isinstance(answer, OverBudget) for answer in answers):
        # What ended while the row was waited for may be in both: in what was used, and in what is held.
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


async def spend(tx: Transaction, entries: Sequence[Spending], *, budgets: bool) -> None:
    """Adds what was used to the ledger, and to what those with a budget have spent; `budgets`: there may be such."""
    sums: dict[_Key, _Sum] = {}
    for one in entries:
        key = (one.user_id, one.now // DAY, one.app_id or NO_APP, one.model, one.preset_id or 0)
        known, usage = sums.get(key), one.usage
        if known is None:
            sums[key] = _Sum(1, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, one.cost)
        else:
            known.turns += 1
            known.prompt_tokens += usage.prompt_tokens
            known.completion_tokens += usage.completion_tokens
            known.cached_tokens += usage.cached_tokens
            known.cost += one.cost
    added = [(*key, *astuple(sums[key])) for key in sorted(sums)]
    spent = _to_spending(sums) if budgets else ()
    if spent and tx.lock:
        # In this order, see store/locks.py.
        rows = [(*row, *NOTHING_ADDED) for row in spent] + [(*NOTHING_SPENT, *row) for row in added]
        await tx.run_many(SPEND_OR_ADD_UP, rows)
        return
    if spent:
        await tx.run_many(SPEND, spent)
    await tx.run_many(ADD_UP, added)


def _to_spending(sums: Mapping[_Key, _Sum]) -> list[tuple[object, ...]]:
    """For `SPEND`."""
    spent: dict[tuple[str, int, int], list[int]] = {}
    for (user_id, day, app_id, *_), used in sums.items():
        for payer in _payers(user_id, app_id or None):
            of_payer = spent.setdefault((payer.scope, day, month_with(day).first_day), [0, 0])
            of_payer[0] += used.prompt_tokens + used.completion_tokens
            of_payer[1] += used.cost
    return [(*key, *spent[key]) for key in sorted(spent)]


def _payers(
    user_id: UserId, app_id: UserId | None, of_user: Budget = NO_BUDGET, of_app: Budget = NO_BUDGET
) -> Sequence[_Payer]:
    user = _Payer(f"user:{user_id}", user_id, "user", of_user)
    if app_id is None:
        return (user,)
    app = _Payer(f"app:{app_id}", app_id, "app", of_app)
    # What an application says itself, and not for a user of its own, is the application's alone.
    return (app,) if user_id == app_id else (user, app)


async def _find_payers(tx: Transaction, wishes: Sequence[Wish | None], budgets: Budgets) -> Mapping[str, _Payer]:
    """Sets the payers of each of them, and gives all of these by their scopes."""
    own = await _own_budgets(tx, wishes) if budgets.some_have_their_own else {}

    def budget_of(id_: int | None, usual: Budget) -> Budget:
        return own[id_].or_else(usual) if id_ in own else usual

    known: dict[tuple[UserId, UserId | None], Sequence[_Payer] | None] = {}
    for wish in wishes:
        if wish is None:
            continue
        account = (wish.payer_id, wish.app_id)
        if account not in known:
            of_user, of_app = budget_of(wish.payer_id, budgets.person), budget_of(wish.app_id, budgets.app)
            payers = [payer for payer in _payers(*account, of_user, of_app) if payer.budget.is_set]
            known[account] = payers if payers or budgets.conversation_tokens else None
        wish.payers = known[account]
    return {payer.scope: payer for some in known.values() for payer in some or ()}


async def _own_budgets(tx: Transaction, wishes: Sequence[Wish | None]) -> Mapping[int | None, Budget]:
    ids = {id_ for wish in wishes if wish is not None for id_ in (wish.payer_id, wish.app_id) if id_ is not None}
    rows = await tx.all_many(OWN_BUDGET, [(id_,) for id_ in sorted(ids)])
    return {row[3]: Budget(*row[:3]) for row in rows}


async def _measure(tx: Transaction, wishes: Sequence[Wish]) -> None:
    # Nothing was said before in a conversation that is yet to be made.
    unknown = [wish for wish in wishes if wish.conversation_id and (wish.past is None or wish.standing is None)]
    if not unknown:
        return
    asked = [(wish.conversation_id, wish.context_from, wish.before, wish.limit) for wish in unknown]
    for wish, row in zip(unknown, await tx.all_many(PROMPT, asked), strict=True):
        wish.past, wish.standing = row


def _to_bot(speaking: Speaking, prices: Mapping[str, Price], budgets: Budgets) -> _Bot:
    may_hold = [prices[name] for name in _may_be_billed_as(speaking, budgets) if name in prices] if prices else ()
    return _Bot(budgets.size_of(speaking), may_hold)


def _may_be_billed_as(speaking: Speaking, budgets: Budgets) -> Sequence[str]:
    """Where the model that is wanted is not offered just now, the default one answers."""
    provider = speaking.provider or budgets.default_provider
    if provider is not None and provider not in BILLED_BY_MODEL:
        return [provider]
    return [model for model in (speaking.model, budgets.default_model) if model is not None]


async def _lock_spending(
    tx: Transaction, payers: Mapping[str, _Payer], now: Micros
) -> tuple[Mapping[str, Spent], str | None]:
    """What each of them has spent, and the mark of the prices. What is held may be told as more than it is."""
    rows: dict[str, Row] = {}
    for of in HELD_BY:
        if some := [payers[scope] for scope in sorted(payers) if payers[scope].of == of]:
            rows |= await _look(tx, of, some, now)
    day, month = now // DAY, month_of(now).first_day
    spent = {scope: _to_spent(row, day, month) for scope, row in rows.items()}
    if unsure := [payers[scope] for scope, row in rows.items() if not row[9]]:
        await _add_up_held(tx, unsure, spent, now)
    return spent, next((row[6] for row in reversed(rows.values())), None)


async def _look(tx: Transaction, of: LimitOf, payers: Sequence[_Payer], now: Micros) -> dict[str, Row]:
    sql = (LOOK_AND_LOCK if tx.lock else LOOK)[of]
    rows = {row[0]: row for row in await tx.all_many(sql, [(payer.id, now, payer.scope) for payer in payers])}
    new = [payer for payer in payers if payer.scope not in rows]
    if not new:
        return rows
    day, month = day_of(now).first_day, month_of(now).first_day
    for payer in new:
        await tx.run(OPEN_SPENDING.format(whose=f"{of}_id"), payer.scope, day, month, payer.id)
    return rows | await _look(tx, of, new, now)


async def _add_up_held(tx: Transaction, payers: Collection[_Payer], spent: Mapping[str, Spent], now: Micros) -> None:
    for of, sql in HELD_BY.items():
        some = [payer for payer in payers if payer.of == of]
        rows = await tx.all_many(sql, [(payer.id, now) for payer in some]) if some else ()
        for payer, row in zip(some, rows, strict=True):
            spent[payer.scope].held_tokens, spent[payer.scope].held_money = row


def _to_spent(row: Row, day: int, month: int) -> Spent:
    of_day, of_month, today, this_month, money = row[1:6]
    return Spent(
        tokens_today=today if of_day >= day else 0,
        tokens_this_month=this_month if of_month >= month else 0,
        money_this_month=money if of_month >= month else 0,
        held_tokens=row[7],
        held_money=row[8],
    )


async def _held_in_conversations(tx: Transaction, wishes: Sequence[Wish]) -> Mapping[ConversationId, int]:
    """What is held back there for replies that come before it."""
    busy = [(wish.conversation_id, wish.payer_id) for wish in wishes if wish.waits_for]
    rows = await tx.all_many(HELD_IN_CONVERSATION, busy) if busy else ()
    return {asked[0]: row[0] for asked, row in zip(busy, rows, strict=True)}


class SqlLedger:
    def __init__(self, database: Database, prices: Prices) -> None:
        self._database = database
        self._prices = prices

    async def add_price(self, price: DatedPrice) -> bool:
        return await self._database.write(lambda tx: add_price(tx, price))

    async def remove_price(self, model: str, since: Micros) -> bool:
        return await self._database.write(lambda tx: remove_price(tx, model, since))

    async def prices(self) -> Sequence[DatedPrice]:
        return await self._database.read(read_prices)

    async def some_have_their_own_budget(self) -> bool:
        return await self._database.read(lambda tx: tx.one(SOME_HAVE_THEIR_OWN)) is not None

    async def reserve_answer(
        self,
        payer_id: UserId,
        app_id: UserId | None,
        speaking: Speaking,
        prompt_tokens: int,
        budgets: Budgets,
        now: Micros,
        until: Micros,
    ) -> int | None:
        wish = Wish(payer_id, app_id, speaking, prompt_tokens)

        async def work(tx: Transaction) -> int | None:
            [held] = await reserve(tx, [wish], budgets, self._prices, now)
            if isinstance(held, OverBudget):
                raise held
            if held is None:
                return None
            row = await tx.one(ADD_RESERVATION, payer_id, app_id, held.tokens, held.money, until)
            return None if row is None else int(row[0])

        return await self._database.write(work)

    async def refund_answer(self, reservation: int) -> None:
        await self._database.write(lambda tx: tx.run(END_RESERVATION, reservation))

    async def add_usage(
        self,
        user_id: UserId,
        app_id: UserId | None,
        model: str | None,
        usage: Usage,
        now: Micros,
        *,
        billed_as: str,
        reservation: int | None = None,
    ) -> None:
        async def work(tx: Transaction) -> None:
            row = await tx.one(
                ADD_USAGE, now, user_id, model, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens,
                min(usage.cached_tokens, usage.prompt_tokens), billed_as,
            )  # fmt: skip
            assert row is not None
            if reservation is not None:
                await tx.run(END_RESERVATION, reservation)
            entry = Spending(user_id, app_id, None, billed_as, usage, row[0], now)
            await spend(tx, [entry], budgets=bool(row[1]))

        await self._database.write(work)

    async def remove_expired(self, now: Micros) -> None:
        if await self._database.read(lambda tx: tx.one("SELECT 1 FROM reservations WHERE until < $1", now)):
            await self._database.write(lambda tx: tx.run("DELETE FROM reservations WHERE until < $1", now))

    async def usage(self, by: By, period: Period, of: User | None = None) -> Sequence[Used]:
        named, names = NAMED.get(by, UNNAMED)
        whose, ids = ("", ()) if of is None else (f" AND {_whose(of)} = $3", (of.id,))
        sql = USAGE.format(by=COLUMNS[by], named=named, names=names, of=whose)
        rows = await self._database.read(lambda tx: tx.all(sql, period.first_day, period.last_day, *ids))
        return [_to_used(row) for row in rows]

    async def own_days(self, user: User, period: Period) -> Sequence[tuple[int, Used]]:
        sql = OWN_DAYS.format(whose=_whose(user))
        rows = await self._database.read(lambda tx: tx.all(sql, user.id, period.first_day, period.last_day))
        return [(row[0], Used(*row[1:])) for row in rows]

    async def used_in(self, reader: Reader, conversation: str) -> Used:
        async def work(tx: Transaction) -> Used:
            row = await tx.one(USED_IN, conversation, reader.user_id, reader.app_id, reader.guests_allowed)
            if row is None:
                raise NotFound
            return Used("", 0, *row)

        return await self._database.read(work)

    async def own(self, user_id: UserId, usual: Budget, now: Micros, *, is_app: bool) -> Own:
        today, month = day_of(now), month_of(now)
        sums = OWN_USAGE.format(whose="app_id" if is_app else "user_id")

        async def work(tx: Transaction) -> Own:
            of_day, of_month = [
                _to_own(await tx.one(sums, user_id, period.first_day, period.last_day)) for period in (today, month)
            ]
            [(tokens, money)] = await tx.all(HELD_BY["app" if is_app else "user"], user_id, now)
            row = await tx.one(OWN_BUDGET, user_id)
            spent = Spent(of_day.total_tokens, of_month.total_tokens, of_month.cost, tokens, money)
            budget = (Budget(*row[:3]) if row else NO_BUDGET).or_else(usual)
            return Own(of_day, of_month, to_left(budget, spent, now))

        return await self._database.read(work, one_state=True)


def _whose(user: User) -> str:
    return "app_id" if user.kind == "app" else "user_id"


def _to_used(row: Row) -> Used:
    what, turns, prompt, completion, cached, cost, uuid, name, app = row
    return Used(what, turns, prompt, completion, cached, cost, uuid, name, app)


def _to_own(row: Row | None) -> Used:
    if row is None:
        return Used("")
    turns, prompt, completion, cached, cost = (value or 0 for value in row[1:])
    return Used("", turns, prompt, completion, cached, cost)
