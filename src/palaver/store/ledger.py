"""The ledger in the database: sums of all that was used, by whom and of what; and the prices by which it was billed.

With them go, on PostgreSQL, the sums by which budgets are looked at before a reply is made: store/postgres_spending.py.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from palaver.chat.clock import DAY, Micros
from palaver.chat.conversation import Speaking, Usage
from palaver.chat.errors import NotFound, OverBudget
from palaver.chat.ledger import (
    NO_BUDGET,
    Budget,
    Budgets,
    By,
    DatedPrice,
    Own,
    Period,
    Spending,
    Spent,
    Used,
    day_of,
    month_of,
    month_with,
    to_left,
)
from palaver.chat.user import Reader, User, UserId
from palaver.store.budgets import OWN_BUDGET, Wish, held_by, reserve
from palaver.store.database import Database, Row, Transaction
from palaver.store.payers import payers_of
from palaver.store.prices import Prices, add_price, read_prices, remove_price
from palaver.store.reserving import write_unless_refused
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
SOME_HAVE_THEIR_OWN = (
    f"SELECT 1 FROM limits WHERE {' OR '.join(f'{name} IS NOT NULL' for name in Budget.__struct_fields__)} LIMIT 1"
)
# A new day begins with what is spent first in it. A worker whose clock is behind another's adds to the later day.
SPEND = (
    "UPDATE spending SET tokens_today = CASE WHEN day < {day} THEN 0 ELSE tokens_today END + {tokens}, "
    "tokens_this_month = CASE WHEN month < {month} THEN 0 ELSE tokens_this_month END + {tokens}, "
    "money_this_month = CASE WHEN month < {month} THEN 0 ELSE money_this_month END + {money}, "
    "day = CASE WHEN day < {day} THEN {day} ELSE day END, "
    "month = CASE WHEN month < {month} THEN {month} ELSE month END WHERE scope = {scope}"
)
# For PostgreSQL both, or one of the two as the scope or the user is NULL: together they take one round trip, which is
# most of their cost. What is spent comes first, as the ledger asks for it; see store/locks.py.
SPENT_AND_ADDED_UP = (
    f"spent AS ({SPEND} RETURNING 1), added AS ({INTO_LEDGER}SELECT CAST({{user}} AS BIGINT), "
    "CAST({added_day} AS BIGINT), CAST({app} AS BIGINT), CAST({model} AS TEXT), CAST({preset} AS BIGINT), {added} "
    f"WHERE CAST({{user}} AS BIGINT) IS NOT NULL AND (SELECT COUNT(*) FROM spent) >= 0 {IF_IT_IS_THERE} RETURNING 1)"
)
SPEND_AND_ADD_UP = "WITH " + SPENT_AND_ADDED_UP.format(
    scope="$1", day="$2", month="$3", tokens="$4", money="$5", user="$6", added_day="$7", app="$8", model="$9",
    preset="$10", added=", ".join(f"CAST(${at} AS BIGINT)" for at in range(11, 16)),
) + " SELECT 1"  # fmt: skip
NOTHING_SPENT: tuple[object, ...] = (None,) * 5
NOTHING_ADDED: tuple[object, ...] = (None,) * 10
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

# Of a row of the ledger: user, day, application, model, preset; and turns, tokens in, out and cached, and the cost.
_Key: TypeAlias = tuple[UserId, int, UserId, str, int]
_Sums: TypeAlias = tuple[int, int, int, int, int]
NO_APP = UserId(0)


async def spend(tx: Transaction, entries: Sequence[Spending], *, budgets: bool) -> None:
    """Adds what was used to the ledger, and on PostgreSQL to what those with a budget have spent; `budgets`: there may
    be such. What SQLite's writer remembers of them is kept up by itself."""
    if tx.lock:
        await tx.run_many(SPEND_AND_ADD_UP, _to_rows(entries, budgets=budgets))
    else:
        # Nearly always one alone, which is added up by nobody.
        one, *others = entries
        await tx.run_many(ADD_UP, _to_added(_add_up(entries)) if others else [_key_of(one) + _sums_of(one)])


def to_values_alone(one: Spending, *, budgets: bool) -> tuple[object, ...] | None:
    """Of what nothing else goes with: the scope of who pays, the first day of the month, and the ledger's key. None
    where more than one pays, who come one after the other."""
    key = _key_of(one)
    if not budgets:
        return None, None, *key
    payers = payers_of(one.user_id, one.app_id)
    return (payers[0].scope, month_with(key[1]).first_day, *key) if len(payers) == 1 else None


def _to_rows(entries: Sequence[Spending], *, budgets: bool) -> list[tuple[object, ...]]:
    """For `SPEND_AND_ADD_UP`, and to be carried out in this order: see store/locks.py."""
    sums = _add_up(entries)
    spent, added = _to_spending(sums) if budgets else [], _to_added(sums)
    if not spent:
        return [NOTHING_SPENT + row for row in added]
    both = spent[-1] + added[0]
    return [*[row + NOTHING_ADDED for row in spent[:-1]], both, *[NOTHING_SPENT + row for row in added[1:]]]


def _add_up(entries: Sequence[Spending]) -> Mapping[_Key, _Sums]:
    sums: dict[_Key, _Sums] = {}
    for one in entries:
        key, used = _key_of(one), _sums_of(one)
        known = sums.get(key)
        sums[key] = used if known is None else _plus(known, used)
    return sums


def _key_of(one: Spending) -> _Key:
    return one.user_id, one.now // DAY, one.app_id or NO_APP, one.model, one.preset_id or 0


def _sums_of(one: Spending) -> _Sums:
    usage = one.usage
    return 1, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, one.cost


def _plus(known: _Sums, used: _Sums) -> _Sums:
    return (known[0] + used[0], known[1] + used[1], known[2] + used[2], known[3] + used[3], known[4] + used[4])


def _to_added(sums: Mapping[_Key, _Sums]) -> list[tuple[object, ...]]:
    """For `ADD_UP`, and in its order."""
    return [key + sums[key] for key in sorted(sums)]


def _to_spending(sums: Mapping[_Key, _Sums]) -> list[tuple[object, ...]]:
    """For `SPEND`, and in its order."""
    spent: dict[tuple[str, int, int], tuple[int, int]] = {}
    for (user_id, day, app_id, _model, _preset), (_turns, tokens_in, tokens_out, _cached, cost) in sums.items():
        month = month_with(day).first_day
        for payer in payers_of(user_id, app_id or None):
            key = (payer.scope, day, month)
            tokens, money = spent.get(key, (0, 0))
            spent[key] = (tokens + tokens_in + tokens_out, money + cost)
    return [key + spent[key] for key in sorted(spent)]


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

        async def work(tx: Transaction) -> int | OverBudget | None:
            [held] = await reserve(tx, [wish], budgets, self._prices, now)
            if held is None or isinstance(held, OverBudget):
                return held
            row = await tx.one(ADD_RESERVATION, payer_id, app_id, held.tokens, held.money, until)
            return None if row is None else int(row[0])

        return await write_unless_refused(self._database, work)

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
            [(tokens, money)] = await tx.all(held_by(tx)["app" if is_app else "user"], user_id, now)
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
