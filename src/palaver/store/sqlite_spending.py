"""What those with a budget have spent and what is held back for their replies, as SQLite's writer remembers it.

It is added up from the open replies and the ledger once, and then kept up in the process (store/sums.py) by triggers:
whatever writes replies or the ledger tells of it. Once another process has written, or another day has come, it is
added up anew. An index of what is held back and rows of what is spent, as on PostgreSQL where others always write
(store/postgres_spending.py), took a third of what limits cost a turn.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import apsw

from palaver.chat.clock import DAY, Micros
from palaver.chat.ledger import Spent, month_of
from palaver.chat.limit import LimitOf
from palaver.store.database import Transaction
from palaver.store.payers import Payer
from palaver.store.prices import MARK
from palaver.store.sums import MOST, Besides, Sum, Sums

# Those that are open are few, and the two indexes hold nothing else.
OPEN = (
    "SELECT reserved_tokens AS tokens, reserved_money AS money FROM messages INDEXED BY one_running_reply "
    "WHERE status = 'running' AND {payer} = $1 UNION ALL SELECT reserved_tokens, reserved_money "
    "FROM messages INDEXED BY messages_queued WHERE status = 'queued' AND {payer} = $1"
)
# What is held back for answers that are stored nowhere ends by itself.
ANSWERS = "SELECT tokens, money FROM reservations WHERE {payer} = $1 AND until > $2"
SUMMED = "SELECT COALESCE(SUM(tokens), 0) AS tokens, COALESCE(SUM(money), 0) AS money FROM "
BESIDES = f"SELECT {MARK}, EXISTS (SELECT 1 FROM reservations)"
ADD_UP = (
    "SELECT used.today, used.this_month, used.money, held.tokens, held.money FROM (SELECT "
    "COALESCE(SUM(CASE WHEN day = $2 THEN prompt_tokens + completion_tokens ELSE 0 END), 0) AS today, "
    "COALESCE(SUM(prompt_tokens + completion_tokens), 0) AS this_month, COALESCE(SUM(cost), 0) AS money "
    f"FROM ledger WHERE {{used_by}} = $1 AND day >= $3) AS used, ({SUMMED}({OPEN})) AS held"
)
HELD = f"{SUMMED}({OPEN} UNION ALL {ANSWERS})"
FOR_ANSWERS = f"{SUMMED}({ANSWERS})"
COLUMN: Mapping[LimitOf, str] = {"app": "payer_app_id", "user": "payer_id"}
# Of the ledger; for the application as its index has it, which holds nothing else.
USED_BY: Mapping[LimitOf, str] = {"app": "app_id <> 0 AND app_id", "user": "user_id"}
HELD_BY = {of: HELD.format(payer=column) for of, column in COLUMN.items()}
FOR_ANSWERS_BY = {of: FOR_ANSWERS.format(payer=column) for of, column in COLUMN.items()}
ADD_UP_BY = {of: ADD_UP.format(payer=column, used_by=USED_BY[of]) for of, column in COLUMN.items()}


def _triggers(table: str, teller: str, whose: Sequence[str], made_of: Sequence[str], *amounts: str) -> Sequence[str]:
    """Those that tell of each row of the table whose it is, and how much more the `amounts` of it are, which are
    `made_of` those columns; nobody's where the first of `whose` is NULL."""

    def trigger(name: str, event: str, condition: str, *told: str) -> str:
        when = f"AFTER {event} ON main.{table} WHEN {condition}"
        return f"CREATE TEMP TRIGGER IF NOT EXISTS {table}_{name} {when} BEGIN {''.join(told)}END"

    def tell(row: str, more: Sequence[str]) -> str:
        return f"SELECT {teller}({', '.join([*[f'{row}.{column}' for column in whose], *more])}); "

    new, old = [[amount.replace("ROW", row) for amount in amounts] for row in ("NEW", "OLD")]
    added, removed = tell("NEW", new), tell("OLD", [f"-{amount}" for amount in old])
    changed = tell("NEW", [f"{now} - {before}" for now, before in zip(new, old, strict=True)])
    stays = " AND ".join(f"NEW.{column} IS OLD.{column}" for column in whose)
    return (
        trigger("added", "INSERT", f"NEW.{whose[0]} IS NOT NULL", added),
        # Nearly always it is the same who pays: then one word is enough.
        trigger("changed", f"UPDATE OF {', '.join(made_of)}", f"NEW.{whose[0]} IS NOT NULL AND {stays}", changed),
        trigger("moved", f"UPDATE OF {', '.join(whose)}", f"NOT ({stays})", removed, added),
        trigger("removed", "DELETE", f"OLD.{whose[0]} IS NOT NULL", removed),
    )


TRIGGERS = (
    *_triggers(
        "messages",
        "hold",
        ("payer_id", "payer_app_id"),
        ("status", "reserved_tokens", "reserved_money"),
        "(ROW.status IN ('queued', 'running')) * COALESCE(ROW.reserved_tokens, 0)",
        "(ROW.status IN ('queued', 'running')) * COALESCE(ROW.reserved_money, 0)",
    ),
    *_triggers(
        "ledger",
        "spend",
        ("user_id", "app_id", "day"),
        ("prompt_tokens", "completion_tokens", "cost"),
        "(ROW.prompt_tokens + ROW.completion_tokens)",
        "ROW.cost",
    ),
    *[
        f"CREATE TEMP TRIGGER IF NOT EXISTS {table}_{event} AFTER {event} ON main.{table} "
        "BEGIN SELECT look_again(); END"
        for table in ("reservations", "server")
        for event in ("INSERT", "UPDATE", "DELETE")
    ],
)


def tell_all(connection: apsw.Connection, sums: Sums) -> None:
    """Has the triggers tell these sums."""
    tellers: Mapping[str, Callable[..., None]] = {
        "hold": sums.hold, "spend": sums.spend, "look_again": sums.look_again,
    }  # fmt: skip
    for name, tell in tellers.items():
        connection.create_scalar_function(name, tell)


async def recall(tx: Transaction, payers: Collection[Payer], now: Micros) -> tuple[Mapping[str, Spent], str | None]:
    """By their scopes; and the mark of the prices."""
    sums = tx.sums
    assert sums is not None, "only a writer that is alone remembers"
    if not sums.is_told:
        for statement in TRIGGERS:
            await tx.run(statement)
        sums.is_told = sums.has_changed = True
    besides = sums.besides
    if besides is None:
        row = await tx.one(BESIDES)
        assert row is not None
        besides = sums.besides = Besides(row[0], bool(row[1]))
    day = now // DAY
    spent: dict[str, Spent] = {}
    for payer in payers:
        found = (sums.people if payer.of == "user" else sums.apps).get(payer.id)
        if found is None or found.day != day:
            found = await _add_up(tx, sums, payer, now)
        of_payer = spent[payer.scope] = Spent(
            found.tokens_today, found.tokens_this_month, found.money_this_month, found.held_tokens, found.held_money
        )
        if besides.for_answers:
            row = await tx.one(FOR_ANSWERS_BY[payer.of], payer.id, now)
            assert row is not None
            of_payer.held_tokens += row[0]
            of_payer.held_money += row[1]
    return spent, besides.mark


async def _add_up(tx: Transaction, sums: Sums, payer: Payer, now: Micros) -> Sum:
    day, month = now // DAY, month_of(now).first_day
    row = await tx.one(ADD_UP_BY[payer.of], payer.id, day, month)
    assert row is not None
    known = sums.people if payer.of == "user" else sums.apps
    if len(known) >= MOST:
        known.clear()
    known[payer.id] = found = Sum(day, month, *row)
    return found
