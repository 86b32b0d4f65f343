"""What those with a budget have spent and what is held back for their replies, as SQLite's writer remembers it.

It stands in a table in the writer's memory, and triggers keep it up: whatever writes replies or the ledger changes it,
and what is undone there is undone here. Once another process has written, or another day has come, a row counts no
more, and is made anew from the replies that are open and the ledger. An index of what is held back and rows of what is
spent, as on PostgreSQL where others always write (store/postgres_spending.py), took a third of what limits cost a turn.
"""

from collections.abc import Collection, Mapping, Sequence

import apsw

from palaver.chat.clock import DAY, Micros
from palaver.chat.ledger import Spent, month_of
from palaver.chat.limit import LimitOf
from palaver.store.database import Transaction
from palaver.store.payers import Payer
from palaver.store.prices import MARK

# `payer`: an application counts what its users use, and what it says itself besides. `state`: `Transaction.others`.
TABLE = (
    "CREATE TEMP TABLE sums (payer INTEGER PRIMARY KEY, state INTEGER NOT NULL, day INTEGER NOT NULL, "
    "month INTEGER NOT NULL, tokens_today INTEGER NOT NULL, tokens_this_month INTEGER NOT NULL, "
    "money_this_month INTEGER NOT NULL, held_tokens INTEGER NOT NULL, held_money INTEGER NOT NULL)"
)
WHOM: Mapping[LimitOf, str] = {"app": "2 * $1 + 1", "user": "2 * $1"}

# Those that are open are few, and the two indexes hold nothing else.
OPEN = (
    "SELECT reserved_tokens AS tokens, reserved_money AS money FROM messages INDEXED BY one_running_reply "
    "WHERE status = 'running' AND {payer} = $1 UNION ALL SELECT reserved_tokens, reserved_money "
    "FROM messages INDEXED BY messages_queued WHERE status = 'queued' AND {payer} = $1"
)
# What is held back for answers that are stored nowhere ends by itself.
ANSWERS = "SELECT tokens, money FROM reservations WHERE {payer} = $1 AND until > $2"
ADDED_UP = "SELECT COALESCE(SUM(tokens), 0) AS tokens, COALESCE(SUM(money), 0) AS money FROM "
HELD = f"{ADDED_UP}({OPEN} UNION ALL {ANSWERS})"
RECALL = (
    "SELECT tokens_today, tokens_this_month, money_this_month, held_tokens + answers.tokens, "
    f"held_money + answers.money, {MARK} FROM sums, ({ADDED_UP}({ANSWERS})) AS answers "
    "WHERE sums.payer = {whom} AND state = $3 AND day = $4"
)
ADD_UP = (
    "INSERT OR REPLACE INTO sums SELECT {whom}, $2, $3, $4, used.today, used.this_month, used.money, held.tokens, "
    "held.money FROM (SELECT "
    "COALESCE(SUM(CASE WHEN day = $3 THEN prompt_tokens + completion_tokens ELSE 0 END), 0) AS today, "
    "COALESCE(SUM(prompt_tokens + completion_tokens), 0) AS this_month, COALESCE(SUM(cost), 0) AS money "
    f"FROM ledger WHERE {{used_by}} = $1 AND day >= $4) AS used, ({ADDED_UP}({OPEN})) AS held"
)
COLUMN: Mapping[LimitOf, str] = {"app": "payer_app_id", "user": "payer_id"}
# Of the ledger; for the application as its index has it, which holds nothing else.
USED_BY: Mapping[LimitOf, str] = {"app": "app_id <> 0 AND app_id", "user": "user_id"}
HELD_BY = {of: HELD.format(payer=column) for of, column in COLUMN.items()}
RECALL_BY = {of: RECALL.format(payer=column, whom=WHOM[of]) for of, column in COLUMN.items()}
ADD_UP_BY = {of: ADD_UP.format(payer=column, whom=WHOM[of], used_by=USED_BY[of]) for of, column in COLUMN.items()}


# What a ROW is worth in the sums of who pays.
OF_A_REPLY: Mapping[str, str] = {
    f"held_{what}": f"(ROW.status IN ('queued', 'running')) * COALESCE(ROW.reserved_{what}, 0)"
    for what in ("tokens", "money")
}
OF_THE_LEDGER: Mapping[str, str] = {
    "tokens_today": "(ROW.day = day) * (ROW.prompt_tokens + ROW.completion_tokens)",
    "tokens_this_month": "(ROW.day >= month) * (ROW.prompt_tokens + ROW.completion_tokens)",
    "money_this_month": "(ROW.day >= month) * ROW.cost",
}


def _change(worth: Mapping[str, str], whom: Sequence[str], plus: str = "", minus: str = "") -> str:
    """Adds what the one row is worth to the sums of those, and takes from them what the other is."""
    terms = [(sign, row) for sign, row in (("+", plus), ("-", minus)) if row]
    sums = [name + "".join(f" {sign} {of.replace('ROW', row)}" for sign, row in terms) for name, of in worth.items()]
    changes = ", ".join(f"{name} = {sum_}" for name, sum_ in zip(worth, sums, strict=True))
    # Not one statement with `IN` for both: that makes a table of two each time.
    return "".join(f"UPDATE sums SET {changes} WHERE payer = {payer}; " for payer in whom)


def _triggers(table: str, worth: Mapping[str, str], tells_worth: str, user: str, app: str) -> Sequence[str]:
    """Those that keep up the sums. The columns `user` and `app` of a row tell who pays, nothing where nobody does."""

    def trigger(name: str, event: str, condition: str, *changes: str) -> str:
        when = f"AFTER {event} ON main.{table} WHEN {condition}"
        return f"CREATE TEMP TRIGGER {table}_{name} {when} BEGIN {''.join(changes)}END"

    new, old = [(f"2 * {row}.{user}", f"2 * {row}.{app} + 1") for row in ("NEW", "OLD")]
    added, removed = _change(worth, new, plus="NEW"), _change(worth, old, minus="OLD")
    stays = f"NEW.{user} IS OLD.{user} AND NEW.{app} IS OLD.{app}"
    return (
        trigger("added", "INSERT", f"NEW.{user} IS NOT NULL", added),
        # Nearly always it is the same who pays: then one change is enough.
        trigger(
            "changed",
            f"UPDATE OF {tells_worth}",
            f"NEW.{user} IS NOT NULL AND {stays}",
            _change(worth, new, plus="NEW", minus="OLD"),
        ),
        trigger("moved", f"UPDATE OF {user}, {app}", f"NOT ({stays})", removed, added),
        trigger("removed", "DELETE", f"OLD.{user} IS NOT NULL", removed),
    )


TRIGGERS = (
    *_triggers("messages", OF_A_REPLY, "status, reserved_tokens, reserved_money", "payer_id", "payer_app_id"),
    *_triggers("ledger", OF_THE_LEDGER, "day, prompt_tokens, completion_tokens, cost", "user_id", "app_id"),
)


async def recall(tx: Transaction, payers: Collection[Payer], now: Micros) -> tuple[Mapping[str, Spent], str | None]:
    """By their scopes; and the mark of the prices."""
    day, mark = now // DAY, None
    spent: dict[str, Spent] = {}
    for payer in payers:
        asked = (payer.id, now, tx.others, day)
        try:
            sums = await tx.one(RECALL_BY[payer.of], *asked)
        except apsw.SQLError:
            # There is no table: nobody was looked up yet, or that was undone. To ask for it first would cost half as
            # much again, each time.
            for statement in (TABLE, *TRIGGERS):
                await tx.run(statement)
            sums = None
        if sums is None:
            await tx.run(ADD_UP_BY[payer.of], payer.id, tx.others, day, month_of(now).first_day)
            sums = await tx.one(RECALL_BY[payer.of], *asked)
        assert sums is not None
        *amounts, mark = sums
        spent[payer.scope] = Spent(*amounts)
    return spent, mark
