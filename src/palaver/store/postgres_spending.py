"""What those with a budget have spent and what is held back for their replies, on PostgreSQL, where others always
write: who pays has a row in `spending`, which is locked as it is looked at, and what is held back is added up from the
rows of replies. For SQLite see store/sqlite_spending.py.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import convert
from msgspec.json import Decoder

from palaver.chat.clock import DAY, SECOND, Micros
from palaver.chat.ledger import Spent, day_of, month_of
from palaver.chat.limit import LimitOf
from palaver.store.database import Transaction
from palaver.store.going_on import NO_HISTORIES, Histories, PastAsked, to_histories, to_lists
from palaver.store.payers import Payer
from palaver.store.prices import MARK
from palaver.store.summaries import select_past, select_pasts

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
# All of them, which the planner is not to know: it takes it for a few, and finds these by an index scan, in its order.
# That marks what is dead in the index. A bitmap scan, which it would choose for more, marks nothing: with each turn it
# would see everything again that has ended since the last vacuum, of the same who pays.
ALL_OF_THEM = "LIMIT (SELECT 1000000000)"
HELD = (
    "SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) AS tokens, CAST(COALESCE(SUM(money), 0) AS BIGINT) AS money FROM ("
    "(SELECT reserved_tokens AS tokens, reserved_money AS money FROM messages "
    f"WHERE {{payer}} = $1 AND status IN ('queued', 'running') ORDER BY reserved_tokens {ALL_OF_THEM}) UNION ALL "
    f"(SELECT tokens, money FROM reservations WHERE {{payer}} = $1 AND until > $2 ORDER BY until {ALL_OF_THEM})"
    ") AS held"
)
# In the order in which those who pay are locked: that of their scopes.
HELD_BY: Mapping[LimitOf, str] = {
    "app": HELD.format(payer="payer_app_id"), "user": HELD.format(payer="payer_id"),
}  # fmt: skip
# What is held and the prices' mark come with it: to look for either alone would be a round trip more for each turn.
SPENT = (
    f"tokens_today, tokens_this_month, money_this_month, held.tokens, held.money, spending.scope, day, month, {MARK}"
)
# The fields of `_Looked`, in their order: those of `Spent` come first.
LOOKED = "tokens_today, tokens_this_month, money, held_tokens, held_money, scope, day, month, mark, is_sure"
# Who had to wait for the row finds in it what was used until then, but what is held is as it was before. That is too
# little only where somebody else has looked meanwhile, and then the last column is false.
LOOK_AND_LOCK: Mapping[LimitOf, str] = {
    of: f"UPDATE spending SET looks = spending.looks + 1 FROM ({held}) AS held, "
    "(SELECT looks FROM spending WHERE scope = $3) AS seen "
    f"WHERE spending.scope = $3 RETURNING {SPENT}, spending.looks = seen.looks + 1"
    for of, held in HELD_BY.items()
}


def _look_lock_and_read(past: str) -> Mapping[LimitOf, str]:
    """`LOOK_AND_LOCK`, and what bots are to see of the past unless $4 to $7 are NULL: together they are one round trip,
    which is most of their cost. What was looked at has no conversation, and is a list in the row's text: the rows of
    the past, which are many, carry nothing for it."""
    return {
        of: f"WITH looked ({LOOKED}) AS ({sql}) SELECT past.* FROM ({past}) AS past UNION ALL "
        f"SELECT NULL, NULL, NULL, CAST(JSON_BUILD_ARRAY({LOOKED}) AS TEXT), NULL FROM looked"
        for of, sql in LOOK_AND_LOCK.items()
    }


AND_READ_ONE = _look_lock_and_read(select_past(4))
AND_READ_MANY = _look_lock_and_read(select_pasts(4))
NOTHING_PAST = (None,) * 4
# By so much at the most, between workers. At midnight a row may be of tomorrow.
CLOCKS_DIFFER = 60 * SECOND


class _Looked(Spent, array_like=True, kw_only=True):
    """One who pays: `LOOKED`, which is reckoned with as it was found. `is_sure`: what is held may be relied on."""

    scope: str
    day: int
    month: int
    mark: str | None
    is_sure: bool


_to_looked = Decoder(_Looked).decode


async def look_and_lock(
    tx: Transaction, payers: Mapping[str, Payer], pasts: Sequence[PastAsked], now: Micros
) -> tuple[Mapping[str, Spent], str | None, Histories]:
    """What each of them has spent, the mark of the prices, and the pasts that are asked for: one round trip where one
    asks. The rows of those who pay are locked from then on. What is held may be told as more than it is."""
    mark = None
    today = now // DAY
    spent: dict[str, Spent] = {}
    unsure: list[Payer] = []
    histories: Histories = NO_HISTORIES
    for some in _by_kind(payers):
        if pasts:
            looked, histories = await _look_and_read(tx, some, now, pasts)
            pasts = ()
        else:
            looked = await _look(tx, some, now)
        for one in await _with_new(tx, looked, some, now):
            mark = one.mark
            if one.day < today:
                _begin_day(one, now)
            spent[one.scope] = one
            if not one.is_sure:
                unsure.append(payers[one.scope])
    if unsure:
        await add_up_held(tx, unsure, spent, now)
    return spent, mark, histories


def _by_kind(payers: Mapping[str, Payer]) -> Iterable[Sequence[Payer]]:
    """In the order of their scopes, those of each kind apart."""
    if len(payers) == 1:
        return [list(payers.values())]
    by_kind: dict[LimitOf, list[Payer]] = {}
    for scope in sorted(payers):
        by_kind.setdefault(payers[scope].of, []).append(payers[scope])
    return by_kind.values()


async def _look_and_read(
    tx: Transaction, payers: Sequence[Payer], now: Micros, pasts: Sequence[PastAsked]
) -> tuple[list[_Looked], Histories]:
    """Those who pay are of one kind. Who has no row yet is not among what was found."""
    of = payers[0].of
    sql, past = (AND_READ_ONE[of], pasts[0]) if len(pasts) == 1 else (AND_READ_MANY[of], to_lists(pasts))
    first, *others = payers
    asked: list[tuple[object, ...]] = [(first.id, now, first.scope, *past)]
    if others:
        asked += [(payer.id, now, payer.scope, *NOTHING_PAST) for payer in others]
    found: list[str] = []
    histories = to_histories(await tx.all_many(sql, asked), found)
    return [_to_looked(one) for one in found], histories


async def _look(tx: Transaction, payers: Sequence[Payer], now: Micros) -> list[_Looked]:
    """As `_look_and_read`, of who pays alone."""
    rows = await tx.all_many(LOOK_AND_LOCK[payers[0].of], [(payer.id, now, payer.scope) for payer in payers])
    return [convert(tuple(row), _Looked) for row in rows]


async def _with_new(
    tx: Transaction, looked: Sequence[_Looked], payers: Sequence[Payer], now: Micros
) -> Sequence[_Looked]:
    """And of those who had no row yet, or one of a later day, which is made anew."""
    latest = (now + CLOCKS_DIFFER) // DAY
    known = [one for one in looked if one.day <= latest]
    if len(known) == len(payers):
        return known
    scopes = {one.scope for one in known}
    new = [payer for payer in payers if payer.scope not in scopes]
    day, month = day_of(now).first_day, month_of(now).first_day
    for payer in new:
        await tx.run(OPEN_SPENDING.format(whose=f"{payer.of}_id"), payer.scope, day, month, payer.id)
    return [*known, *await _with_new(tx, await _look(tx, new, now), new, now)]


async def add_up_held(tx: Transaction, payers: Collection[Payer], spent: Mapping[str, Spent], now: Micros) -> None:
    for of, sql in HELD_BY.items():
        some = [payer for payer in payers if payer.of == of]
        rows = await tx.all_many(sql, [(payer.id, now) for payer in some]) if some else ()
        for payer, row in zip(some, rows, strict=True):
            spent[payer.scope].held_tokens, spent[payer.scope].held_money = row


def _begin_day(looked: _Looked, now: Micros) -> None:
    """Nothing was used since the day that it tells of."""
    looked.tokens_today = 0
    if looked.month < month_of(now).first_day:
        looked.tokens_this_month = looked.money_this_month = 0
