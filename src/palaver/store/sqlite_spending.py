"""What those with a budget have spent and what is held back for their replies, as SQLite's writer remembers it.

It stands in a table in the writer's memory, and triggers keep it up: whatever writes replies or the ledger changes it,
and what is undone there is undone here. Once another process has written, or another day has come, a row counts no
more, and is made anew from the replies that are open and the ledger. An index of what is held back and rows of what is
spent, as on PostgreSQL where others always write (store/postgres_spending.py), took a third of what limits cost a turn.
"""

from collections.abc import Collection, Mapping

from palaver.chat.clock import DAY, Micros
from palaver.chat.ledger import Spent, month_of
from palaver.chat.limit import LimitOf
from palaver.store.database import Transaction
from palaver.store.payers import Payer
from palaver.store.prices import MARK

# `payer`: an application counts what its users use, and what it says itself besides. `state`: after which write of
# others.
TABLE = (
    "CREATE TEMP TABLE sums (payer INTEGER PRIMARY KEY, state INTEGER NOT NULL, day INTEGER NOT NULL, "
    "month INTEGER NOT NULL, tokens_today INTEGER NOT NULL, tokens_this_month INTEGER NOT NULL, "
    "money_this_month INTEGER NOT NULL, held_tokens INTEGER NOT NULL, held_money INTEGER NOT NULL)"
)
IS_THERE = "SELECT 1 FROM sqlite_temp_master WHERE name = 'sums'"
STATE = "PRAGMA data_version"
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


def _hold(sign: str, row: str) -> str:
    """What a reply holds back, added to or taken from the sums of who pays."""
    return _change(
        f"held_tokens = held_tokens {sign} COALESCE({row}.reserved_tokens, 0), "
        f"held_money = held_money {sign} COALESCE({row}.reserved_money, 0) "
        f"WHERE {row}.status IN ('queued', 'running') AND",
        f"{row}.payer_id",
        f"{row}.payer_app_id",
    )


def _use(sign: str, row: str) -> str:
    """What a row of the ledger counts."""
    tokens = f"({row}.prompt_tokens + {row}.completion_tokens)"
    return _change(
        f"tokens_today = tokens_today {sign} ({row}.day = day) * {tokens}, "
        f"tokens_this_month = tokens_this_month {sign} ({row}.day >= month) * {tokens}, "
        f"money_this_month = money_this_month {sign} ({row}.day >= month) * {row}.cost WHERE",
        f"{row}.user_id",
        f"{row}.app_id",
    )


def _change(what: str, user: str, app: str) -> str:
    # Not one statement with `IN` for both: that makes a table of two each time.
    return f"UPDATE sums SET {what} payer = 2 * {user}; UPDATE sums SET {what} payer = 2 * {app} + 1; "


OF_A_REPLY = "status, payer_id, payer_app_id, reserved_tokens, reserved_money"
SOMEBODY_PAYS = "OLD.payer_id IS NOT NULL OR NEW.payer_id IS NOT NULL"
TRIGGERS = tuple(
    f"CREATE TEMP TRIGGER {name} AFTER {event} BEGIN {changes}END"
    for name, event, changes in (
        ("reply_added", "INSERT ON main.messages WHEN NEW.payer_id IS NOT NULL", _hold("+", "NEW")),
        (
            "reply_changed",
            f"UPDATE OF {OF_A_REPLY} ON main.messages WHEN {SOMEBODY_PAYS}",
            _hold("-", "OLD") + _hold("+", "NEW"),
        ),
        ("reply_removed", "DELETE ON main.messages WHEN OLD.payer_id IS NOT NULL", _hold("-", "OLD")),
        ("ledger_added", "INSERT ON main.ledger", _use("+", "NEW")),
        ("ledger_changed", "UPDATE ON main.ledger", _use("-", "OLD") + _use("+", "NEW")),
        ("ledger_removed", "DELETE ON main.ledger", _use("-", "OLD")),
    )
)


async def recall(tx: Transaction, payers: Collection[Payer], now: Micros) -> tuple[Mapping[str, Spent], str | None]:
    """By their scopes; and the mark of the prices."""
    if await tx.one(IS_THERE) is None:
        for statement in (TABLE, *TRIGGERS):
            await tx.run(statement)
    row = await tx.one(STATE)
    assert row is not None
    state, day, month, mark = row[0], now // DAY, month_of(now).first_day, None
    spent: dict[str, Spent] = {}
    for payer in payers:
        found = await tx.one(RECALL_BY[payer.of], payer.id, now, state, day)
        if found is None:
            await tx.run(ADD_UP_BY[payer.of], payer.id, state, day, month)
            found = await tx.one(RECALL_BY[payer.of], payer.id, now, state, day)
        assert found is not None
        *sums, mark = found
        spent[payer.scope] = Spent(*sums)
    return spent, mark
