"""What PostgreSQL reads of what is held back no more."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.database import Transaction
from palaver.store.migrate import migrate
from palaver.store.payers import payers_of
from palaver.store.postgres_spending import look_and_lock
from tests.parts.postgres import open_cluster
from tests.parts.run import Run
from tests.ports.talking import LATER, NOW, new_conversation, new_user, said


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def lone_url(run: Run, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database whose cluster has no other. PostgreSQL marks nothing dead that a transaction ended of whose log not
    all is synced, nor of those near it by number, which may be anybody's in the cluster."""
    with open_cluster(run) as cluster:
        name = cluster.create_database()
        cluster.execute(f"ALTER DATABASE {name} SET plan_cache_mode = {request.param}")
        yield cluster.url(name)


@pytest.fixture
async def store(lone_url: str, tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(StoreOptions(tmp_path, lone_url)) as store:
        await migrate(store.database, store.engine)
        yield store


async def test_what_has_ended_is_looked_at_once_more_and_never_again(store: SqlStore, lone_url: str) -> None:
    alice, shop = [await store.accounts.add_user(new_user(name)) for name in ("alice", "shop")]
    payers = {payer.scope: payer for payer in payers_of(alice.id, shop.id)}
    conversation = (await store.turns.begin(said(alice, "hello", new_conversation(alice)))).turn.conversation
    connection = await asyncpg.connect(lone_url)
    # So many that the planner would rather have a bitmap of them, by what it knows of the table.
    await connection.execute(
        "INSERT INTO messages (conversation_id, number, uuid, role, status, content, created_at, payer_id, "
        "payer_app_id, reserved_tokens, reserved_money) SELECT $1, 10 + at, 'm-' || at, 'assistant', "
        "CASE WHEN at % 20 = 0 THEN 'queued' ELSE 'complete' END, '', 1, $2, $3, 5, 7 "
        "FROM generate_series(1, 20000) at",
        conversation.id, alice.id, shop.id,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO reservations (payer_id, payer_app_id, tokens, money, until) "
        "SELECT $1, $2, 5, 7, CAST($3 AS BIGINT) + at FROM generate_series(1, 1000) at",
        alice.id, shop.id, LATER,
    )  # fmt: skip
    await connection.execute("ANALYZE messages, reservations")

    async def look() -> tuple[list[tuple[int, int]], int]:
        """What is held back for both, and how much was read for it in the indexes."""
        before = await read()
        held = await store.database.write(look_once)
        return held, await read() - before

    async def look_once(tx: Transaction) -> list[tuple[int, int]]:
        await tx.all("SELECT pg_stat_force_next_flush()")
        spent, _, _ = await look_and_lock(tx, payers, [(conversation.id, 0, 2, 10)], NOW)
        return [(one.held_tokens, one.held_money) for one in spent.values()]

    async def read() -> int:
        return int(
            await connection.fetchval(
                "SELECT SUM(idx_tup_read) FROM pg_stat_user_indexes "
                "WHERE indexrelname LIKE 'messages_reserved%' OR indexrelname LIKE 'reservations_by_%'"
            )
        )

    assert (await look())[0] == [(10_000, 14_000)] * 2
    await connection.execute("UPDATE messages SET status = 'complete' WHERE status = 'queued'")
    await connection.execute("DELETE FROM reservations")
    await look()
    assert await look() == ([(0, 0)] * 2, 0)
    await connection.close()
