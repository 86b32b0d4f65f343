"""What those with a budget have spent and what is held back for their replies, as SQLite's writer remembers it.

It is never the only copy: it is made from the ledger and from the replies that are open, and gone as soon as something
was undone or somebody else has written (`Transaction.remembered`). An index of what is held back and rows of what is
spent, as on PostgreSQL where others always write, took a third of what limits cost a turn.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct

from palaver.chat.clock import DAY, Micros
from palaver.chat.ledger import Reservation, Spent, month_of
from palaver.chat.limit import LimitOf
from palaver.chat.user import UserId
from palaver.store.database import Transaction

# By the day, the first of its month, and who pays.
USED = (
    "SELECT COALESCE(SUM(CASE WHEN day = $1 THEN prompt_tokens + completion_tokens ELSE 0 END), 0), "
    "COALESCE(SUM(prompt_tokens + completion_tokens), 0), COALESCE(SUM(cost), 0) "
    "FROM ledger WHERE {whose} = $3 AND day >= $2"
)
# Those that are open are few, and the two indexes hold nothing else.
HELD = (
    "SELECT COALESCE(SUM(tokens), 0), COALESCE(SUM(money), 0), MIN(until) FROM ("
    "SELECT reserved_tokens AS tokens, reserved_money AS money, NULL AS until "
    "FROM messages INDEXED BY one_running_reply WHERE status = 'running' AND {payer} = $1 "
    "UNION ALL SELECT reserved_tokens, reserved_money, NULL "
    "FROM messages INDEXED BY messages_queued WHERE status = 'queued' AND {payer} = $1 "
    "UNION ALL SELECT tokens, money, until FROM reservations WHERE {payer} = $1 AND until > $2)"
)
USED_BY: Mapping[LimitOf, str] = {
    # As the index has it, which holds nothing else.
    "app": USED.format(whose="app_id <> 0 AND app_id"),
    "user": USED.format(whose="user_id"),
}
HELD_BY: Mapping[LimitOf, str] = {"app": HELD.format(payer="payer_app_id"), "user": HELD.format(payer="payer_id")}

# Whoever comes after so many makes all of them be looked up anew.
REMEMBERED = 20_000
FOR_EVER = Micros(1 << 62)


class _Used(Struct):
    """In the last day and the last month (by its first day) in which there was something."""

    day: int
    month: int
    tokens_today: int
    tokens_this_month: int
    money_this_month: int


class _Held(Struct):
    """`until`: what is held back for an answer that is stored nowhere runs out."""

    tokens: int
    money: int
    until: Micros


async def recall(tx: Transaction, scope: str, of: LimitOf, id_: int, now: Micros) -> Spent:
    day, month = now // DAY, month_of(now).first_day
    all_used, all_held = _known(tx, "used"), _known(tx, "held")
    used: _Used | None = all_used.get(scope)
    if used is None:
        row = await tx.one(USED_BY[of], day, month, id_)
        assert row is not None
        used = all_used[scope] = _Used(day, month, *row)
    held: _Held | None = all_held.get(scope)
    if held is None or held.until <= now:
        row = await tx.one(HELD_BY[of], id_, now)
        assert row is not None
        held = all_held[scope] = _Held(row[0], row[1], row[2] or FOR_EVER)
    is_of_day, is_of_month = used.day >= day, used.month >= month
    return Spent(
        used.tokens_today if is_of_day else 0,
        used.tokens_this_month if is_of_month else 0,
        used.money_this_month if is_of_month else 0,
        held.tokens,
        held.money,
    )


def note_spent(tx: Transaction, spent: Iterable[tuple[str, int, int, int, int]]) -> None:
    """By whom, on which day, in which month, tokens and money: as it goes into the ledger."""
    all_used = _known(tx, "used")
    for scope, day, month, tokens, money in spent:
        used: _Used | None = all_used.get(scope)
        if used is None:
            continue
        if used.day < day:
            used.day, used.tokens_today = day, 0
        if used.month < month:
            used.month, used.tokens_this_month, used.money_this_month = month, 0, 0
        used.tokens_today += tokens
        used.tokens_this_month += tokens
        used.money_this_month += money


def hold(tx: Transaction, held: Reservation | None, until: Micros = FOR_EVER) -> None:
    """To be called wherever something is written for which that is held back, if anything is."""
    if held is None or tx.remembered is None:
        return
    for known in _known_held(tx, held.payer_id, held.app_id):
        known.tokens += held.tokens
        known.money += held.money
        known.until = min(known.until, until)


def give_back(
    tx: Transaction, payer_id: UserId | None, app_id: UserId | None, tokens: int, money: int, until: Micros = FOR_EVER
) -> None:
    """What was held back for something that has ended. `payer_id`: None where nothing was."""
    if payer_id is None or tx.remembered is None:
        return
    for known in _known_held(tx, payer_id, app_id):
        # What ran out before the others was not in it when they were added up.
        if until >= known.until:
            known.tokens -= tokens
            known.money -= money


def forget_held(tx: Transaction, scopes: Collection[str] | None = None) -> None:
    """By those, or by all: to be called where replies end otherwise than by `finish_all`."""
    if tx.remembered is None:
        return
    if scopes is None:
        tx.remembered.pop("held", None)
        return
    all_held = _known(tx, "held")
    for scope in scopes:
        all_held.pop(scope, None)


def forget_spending(tx: Transaction) -> None:
    """To be called where the ledger is written otherwise than by `spend`."""
    if tx.remembered is not None:
        tx.remembered.clear()


def _known_held(tx: Transaction, payer_id: UserId, app_id: UserId | None) -> list[_Held]:
    all_held = _known(tx, "held")
    return [all_held[scope] for scope in (f"user:{payer_id}", f"app:{app_id}") if scope in all_held]


def _known(tx: Transaction, what: str) -> dict[str, Any]:
    assert tx.remembered is not None, "only SQLite's writer is alone"
    known: dict[str, Any] = tx.remembered.setdefault(what, {})
    if len(known) > REMEMBERED:
        known.clear()
    return known
