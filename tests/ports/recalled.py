"""What is known of those who pay: on PostgreSQL it stands in rows, SQLite's writer remembers it."""

from collections.abc import Sequence

from palaver.chat.ledger import Spent
from palaver.chat.limit import LimitOf
from palaver.store import SqlStore
from palaver.store.database import Row, Transaction
from palaver.store.payers import Payer
from palaver.store.sqlite_spending import ADD_UP_BY, recall
from tests.ports.talking import NOW, rows

OFS: dict[str, LimitOf] = {"app": "app", "user": "user"}
IS_THERE = "SELECT 1 FROM sqlite_temp_master WHERE name = 'sums'"


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

    async def work(tx: Transaction) -> None:
        for payer, state, day, month, *_ in known:
            await tx.run(ADD_UP_BY["app" if payer % 2 else "user"], payer // 2, state, day, month)

    await store.database.write(work)
    assert await remembered(store) == known


async def remembered(store: SqlStore) -> Sequence[Row]:
    """The rows that count, as they stand."""

    async def work(tx: Transaction) -> Sequence[Row]:
        if store.engine == "postgres" or await tx.one(IS_THERE) is None:
            return ()
        return await tx.all("SELECT * FROM sums WHERE state = $1 ORDER BY payer", tx.others)

    return await store.database.write(work)
