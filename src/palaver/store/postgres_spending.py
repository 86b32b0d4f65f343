"""What those with a budget have spent and what is held back for their replies, on PostgreSQL, where others always
write: who pays has a row in `spending`, which is locked as it is looked at, and what is held back is added up from the
rows of replies. For SQLite see store/sqlite_spending.py.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from palaver.chat.clock import DAY, SECOND, Micros
from palaver.chat.conversation import ConversationId, Past
from palaver.chat.ledger import Spent, day_of, month_of
from palaver.chat.limit import LimitOf
from palaver.store.database import Row, Transaction
from palaver.store.going_on import to_histories
from palaver.store.payers import Payer
from palaver.store.prices import MARK
from palaver.store.summaries import PAST, select_past

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
# In the order in which those who pay are locked: that of their scopes.
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

Histories: TypeAlias = Mapping[ConversationId, Sequence[Past]]
PastAsked: TypeAlias = tuple[ConversationId, int, int, int]


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


async def look_and_lock(
    tx: Transaction, payers: Mapping[str, Payer], pasts: Sequence[PastAsked], now: Micros
) -> tuple[Mapping[str, Spent], str | None, Histories]:
    """What each of them has spent, the mark of the prices, and the pasts that are asked for: one round trip where one
    asks. The rows of those who pay are locked from then on. What is held may be told as more than it is."""
    in_order = [payers[scope] for scope in sorted(payers)]
    day, month, mark = now // DAY, month_of(now).first_day, None
    spent: dict[str, Spent] = {}
    unsure: list[Payer] = []
    read: list[Row] = []
    for of in HELD_BY:
        some = [payer for payer in in_order if payer.of == of]
        if not some:
            continue
        looked, past = await _look(tx, of, some, now, pasts)
        read += past
        for one in looked:
            mark = one.mark
            spent[one.scope] = _to_spent(one, day, month)
            if not one.is_sure:
                unsure.append(payers[one.scope])
        pasts = ()
    if unsure:
        await add_up_held(tx, unsure, spent, now)
    return spent, mark, to_histories(read)


async def _look(
    tx: Transaction, of: LimitOf, payers: Sequence[Payer], now: Micros, pasts: Sequence[PastAsked] = ()
) -> tuple[list[_Looked], Sequence[Row]]:
    """And the rows of the pasts."""
    asked = [(payer.id, now, payer.scope) for payer in payers]
    past: list[Row] = []
    if pasts:
        # The first who pays goes with the last past: where there is one of each, that is one round trip.
        *others, last = pasts
        read = list(await tx.all_many(PAST, others)) if others else []
        rows = [(*asked[0], *last), *((*one, *NOTHING_PAST) for one in asked[1:])]
        found = await tx.all_many(LOOK_LOCK_AND_READ[of], rows)
        past = read + [row for row in found if row[0] is not None]
        looked = [_looked_by(row) for row in found if row[0] is None]
    else:
        looked = [_Looked(*row) for row in await tx.all_many(LOOK_AND_LOCK[of], asked)]
    looked = [one for one in looked if one.day <= (now + CLOCKS_DIFFER) // DAY]
    if len(looked) < len(payers):
        known = {one.scope for one in looked}
        new = [payer for payer in payers if payer.scope not in known]
        day, month = day_of(now).first_day, month_of(now).first_day
        for payer in new:
            await tx.run(OPEN_SPENDING.format(whose=f"{of}_id"), payer.scope, day, month, payer.id)
        looked += (await _look(tx, of, new, now))[0]
    return looked, past


def _looked_by(row: Row) -> _Looked:
    """What stands in a row of `LOOK_LOCK_AND_READ`, in the columns of the past."""
    numbers = row[3].split(" ")
    day, month, tokens_today, tokens_this_month, money, held_tokens, held_money, is_sure = map(int, numbers[:8])
    mark = numbers[8] if len(numbers) > 8 else None
    return _Looked(
        row[2], day, month, tokens_today, tokens_this_month, money, mark, held_tokens, held_money, bool(is_sure)
    )  # fmt: skip


async def add_up_held(tx: Transaction, payers: Collection[Payer], spent: Mapping[str, Spent], now: Micros) -> None:
    for of, sql in HELD_BY.items():
        some = [payer for payer in payers if payer.of == of]
        rows = await tx.all_many(sql, [(payer.id, now) for payer in some]) if some else ()
        for payer, row in zip(some, rows, strict=True):
            spent[payer.scope].held_tokens, spent[payer.scope].held_money = row


def _to_spent(looked: _Looked, day: int, month: int) -> Spent:
    is_of_day, is_of_month = looked.day >= day, looked.month >= month
    return Spent(
        tokens_today=looked.tokens_today if is_of_day else 0,
        tokens_this_month=looked.tokens_this_month if is_of_month else 0,
        money_this_month=looked.money_this_month if is_of_month else 0,
        held_tokens=looked.held_tokens,
        held_money=looked.held_money,
    )
