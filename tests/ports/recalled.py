"""What is known of those who pay: on PostgreSQL it stands in rows, SQLite's writer remembers it."""

from typing import TypeAlias

from msgspec.structs import replace

from palaver.chat.ledger import Spent
from palaver.chat.limit import LimitOf
from palaver.store import SqlStore
from palaver.store.database import Transaction
from palaver.store.payers import Payer
from palaver.store.sqlite_spending import ADD_UP_BY, BESIDES, recall
from palaver.store.sums import Besides, Sum
from tests.ports.talking import NOW, rows

OFS: dict[str, LimitOf] = {"app": "app", "user": "user"}
Remembered: TypeAlias = tuple[LimitOf, int, Sum]


async def spent_by(store: SqlStore, scope: str) -> Spent:
    """Without what is held, which PostgreSQL adds up at each look."""
    if store.engine == "postgres":
        [row] = await rows(
            store, "SELECT tokens_today, tokens_this_month, money_this_month FROM spending WHERE scope = $1", scope
        )
        return Spent(*row)
    of, id_ = scope.split(":")
    payer = Payer(scope, int(id_), OFS[of])
    recalled, _ = await store.database.write(lambda tx: recall(tx, [payer], NOW))
    known = recalled[scope]
    return Spent(known.tokens_today, known.tokens_this_month, known.money_this_month)


async def check_remembered(store: SqlStore) -> None:
    """Whatever has happened: what is remembered is what the database says, or somebody could pass a budget."""
    known = await remembered(store)

    async def work(tx: Transaction) -> list[Remembered]:
        added_up: list[Remembered] = []
        for of, id_, sum_ in known:
            row = await tx.one(ADD_UP_BY[of], id_, sum_.day, sum_.month)
            assert row is not None
            added_up.append((of, id_, Sum(sum_.day, sum_.month, *row)))
        return added_up

    assert await store.database.write(work) == known
    besides = await store.database.write(_besides)
    if besides is not None:
        [(mark, for_answers)] = await rows(store, BESIDES)
        assert besides == Besides(mark, bool(for_answers))


async def remembered(store: SqlStore) -> list[Remembered]:
    """The sums of those who pay, as they stand."""

    async def work(tx: Transaction) -> list[Remembered]:
        if tx.sums is None:
            return []
        known: list[Remembered] = [("user", id_, replace(sum_)) for id_, sum_ in sorted(tx.sums.people.items())]
        return known + [("app", id_, replace(sum_)) for id_, sum_ in sorted(tx.sums.apps.items())]

    return await store.database.write(work)


async def _besides(tx: Transaction) -> Besides | None:
    return None if tx.sums is None else tx.sums.besides
