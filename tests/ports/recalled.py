"""What is known of those who pay: on PostgreSQL it stands in rows, SQLite's writer remembers it."""

from palaver.chat.ledger import Spent
from palaver.chat.limit import LimitOf
from palaver.store import SqlStore
from palaver.store.database import Transaction
from palaver.store.spending import HELD_BY, USED_BY, recall
from tests.ports.talking import NOW, rows

OFS: dict[str, LimitOf] = {"app": "app", "user": "user"}


async def spent_by(store: SqlStore, scope: str) -> Spent:
    """Without what is held, which PostgreSQL adds up at each look."""
    if store.engine == "postgres":
        [row] = await rows(
            store, "SELECT tokens_today, tokens_this_month, money_this_month FROM spending WHERE scope = $1", scope
        )
        return Spent(*row)
    of, id_ = scope.split(":")
    known = await store.database.write(lambda tx: recall(tx, scope, OFS[of], int(id_), NOW))
    return Spent(known.tokens_today, known.tokens_this_month, known.money_this_month)


async def check_remembered(store: SqlStore) -> None:
    """Whatever has happened: what is remembered is what the database says, or somebody could pass a budget."""
    if store.engine == "postgres":
        return

    async def work(tx: Transaction) -> None:
        assert tx.remembered is not None
        for scope, used in tx.remembered.get("used", {}).items():
            of, id_ = scope.split(":")
            found = await tx.one(USED_BY[OFS[of]], used.day, used.month, int(id_))
            assert found is not None
            known = (used.tokens_today, used.tokens_this_month, used.money_this_month)
            # What a clock that was behind has told is put down to the later day.
            assert all(mine >= theirs for mine, theirs in zip(known, found, strict=True)), scope
        for scope, held in tx.remembered.get("held", {}).items():
            of, id_ = scope.split(":")
            found = await tx.one(HELD_BY[OFS[of]], int(id_), held.until - 1)
            assert found is not None
            assert tuple(found[:2]) == (held.tokens, held.money), scope

    await store.database.write(work)
