"""What only PostgreSQL promises."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from palaver.chat.conversation import Message, Speaking, Turn, Usage
from palaver.chat.errors import NotFound, OverBudget, StoreUnavailable
from palaver.chat.ledger import Budget, Budgets, Spending, day_of
from palaver.chat.ports import Seat
from palaver.chat.user import Reader, User, UserId
from palaver.store import SqlStore, StoreOptions, going_on, open_store, postgres, turns
from palaver.store.budgets import Wish, reserve
from palaver.store.database import Row, Transaction
from palaver.store.ending import END_REPLY
from palaver.store.ledger import ADD_RESERVATION, END_RESERVATION, spend
from palaver.store.migrate import ADVISORY_LOCK, migrate, migrations
from palaver.store.people import groups
from palaver.store.postgres import PostgresTransaction
from palaver.store.postgres_spending import AND_READ_MANY, AND_READ_ONE
from palaver.store.prices import Prices
from palaver.store.rows import USER, to_user
from palaver.store.summaries import PAST, PASTS
from tests.ports.talking import HERE, LATER, LEASE, NOW, answer, ending, new_conversation, new_user, rows, said

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture(autouse=True)
def _never_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions stand still here while a test waits for what happens beside them."""
    monkeypatch.setattr(postgres, "ABANDON_SECONDS", 3600)


@pytest.fixture
async def store(postgres_url: str, tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(StoreOptions(tmp_path, postgres_url, connections=8)) as store:
        yield store


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """By the store: what the tests before have left to be cleared away says so at any time."""
    return [record.message for record in caplog.records if record.name == "palaver.store"]


async def wait_for_waiting(store: SqlStore, count: int) -> None:
    """Returns when so many transactions wait for a lock."""
    async with asyncio.timeout(20):
        while (await rows(store, WAITING))[0][0] < count:
            pass


async def test_messages_and_ends_that_share_conversations_never_wait_for_each_other(
    store: SqlStore, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "palaver.store")
    alice = await store.accounts.add_user(new_user("alice"))
    # What comes first by number comes last by UUID.
    news = [replace(new_conversation(alice), uuid=f"{letter}0000000-0000-4000-8000-000000000000") for letter in "cba"]
    begun = [await store.turns.begin(said(alice, "hello", new)) for new in news]
    holder = await asyncpg.connect(postgres_url)
    holding = holder.transaction()
    await holding.start()
    await holder.execute("SELECT id FROM conversations WHERE uuid = $1 FOR UPDATE", news[0].uuid)
    # Both batches take some of their locks before they come to the one that is held.
    finishing = asyncio.gather(*(answer(store, one) for one in begun))
    await wait_for_waiting(store, 1)
    saying = asyncio.gather(*(store.turns.begin(said(alice, "and?", new.uuid)) for new in news))
    await wait_for_waiting(store, 2)
    await holding.rollback()
    await holder.close()
    assert all(ended.done for ended in await finishing)
    assert {one.state for one in await saying} == {"started"}
    assert told(caplog) == []


async def test_checkpoints_and_prompts_that_interrupt_never_wait_for_each_other(
    store: SqlStore, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "palaver.store")
    alice = await store.accounts.add_user(new_user("alice"))
    # What is asked first has the highest number.
    begun = [await store.turns.begin(said(alice, "hello", new_conversation(alice))) for _ in range(3)]
    held = [(one.turn.reply.id, 1) for one in begun]
    holder = await asyncpg.connect(postgres_url)
    holding = holder.transaction()
    await holding.start()
    await holder.execute("SELECT id FROM messages WHERE id = $1 FOR UPDATE", held[1][0])
    asking = asyncio.gather(
        *(
            store.turns.begin(said(alice, "stop!", one.turn.conversation.uuid, when_busy="interrupt"))
            for one in reversed(begun)
        )
    )
    await wait_for_waiting(store, 1)
    checkpointing = asyncio.create_task(store.turns.checkpoint(HERE, LEASE, held, []))
    await wait_for_waiting(store, 2)
    await holding.rollback()
    await holder.close()
    assert {one.interrupts for one in await asking} == {reply_id for reply_id, _ in held}
    assert (await checkpointing).stop == {reply_id for reply_id, _ in held}
    assert told(caplog) == []


async def test_checkpoints_and_ends_never_wait_for_each_other(
    store: SqlStore, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "palaver.store")
    alice = await store.accounts.add_user(new_user("alice"))
    talks = [await store.conversations.create(new_conversation(alice), NOW) for _ in range(3)]
    # The reply in the last conversation has the lowest number.
    begun = [await store.turns.begin(said(alice, "hello", talk.uuid)) for talk in reversed(talks)]
    held = [(one.turn.reply.id, 1) for one in begun]
    holder = await asyncpg.connect(postgres_url)
    holding = holder.transaction()
    await holding.start()
    await holder.execute("SELECT id FROM messages WHERE id = $1 FOR UPDATE", held[-1][0])
    finishing = asyncio.gather(*(store.turns.finish(ending(one)) for one in begun))
    await wait_for_waiting(store, 1)
    checkpointing = asyncio.create_task(store.turns.checkpoint(HERE, LEASE, held, []))
    await wait_for_waiting(store, 2)
    await holding.rollback()
    await holder.close()
    assert all(ended.done for ended in await finishing)
    assert (await checkpointing).held == frozenset()
    assert told(caplog) == []


async def test_transaction_that_lost_a_race_is_carried_out_again(store: SqlStore) -> None:
    tried = 0

    async def work(tx: Transaction) -> int:
        nonlocal tried
        tried += 1
        await tx.run("INSERT INTO server (name, value) VALUES ('once', $1)", str(tried))
        if tried < 3:
            raise asyncpg.SerializationError("somebody was quicker")
        return tried

    assert await store.database.write(work) == 3
    assert [tuple(row) for row in await rows(store, "SELECT value FROM server WHERE name = 'once'")] == [("3",)]


class MadeAndEndedBeside:
    """Lets somebody else make the pair just before it is made, and end it just after that came to nothing."""

    def __init__(self, store: SqlStore, other: User, one: Callable[..., Awaitable[Row | None]]) -> None:
        self._connections = store.connections
        self._other = other
        self._one = one
        self.ended: list[str] = []

    async def one(self, tx: Transaction, sql: str, *values: Any) -> Row | None:
        if sql != groups.ADD_PAIR or self.ended:
            return await self._one(tx, sql, *values)
        self.ended.append(str(uuid.uuid4()))
        me = await self._one(tx, f"SELECT {USER} FROM users u WHERE u.id = $1", values[1])
        assert me is not None
        await self._connections.find_or_make_pair(self._other, to_user(me), self._other.id, self.ended[0], NOW)
        nothing = await self._one(tx, sql, *values)
        await self._connections.end(Seat(self._other.id), self.ended[0], NOW)
        return nothing


async def test_pair_that_somebody_ends_while_it_is_found_is_made_anew(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = [await store.accounts.add_user(new_user(name)) for name in ("alice", "bob")]
    beside = MadeAndEndedBeside(store, bob, PostgresTransaction.one)
    monkeypatch.setattr(PostgresTransaction, "one", lambda tx, sql, *values: beside.one(tx, sql, *values))
    made, is_new = await store.connections.find_or_make_pair(alice, bob, alice.id, str(uuid.uuid4()), NOW)
    assert (is_new, made.conversation.ended) == (True, False)
    assert [made.conversation.uuid] != beside.ended != []


async def test_migration_may_wait_for_longer_than_any_other_statement(
    empty_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_take_long: list[str] = []
    execute = asyncpg.Connection.execute

    async def note(connection: Any, sql: str, *values: Any, timeout: float | None = None) -> Any:
        if timeout == postgres.LONG_SECONDS:
            may_take_long.append(sql)
        return await execute(connection, sql, *values, timeout=timeout)

    other = await asyncpg.connect(empty_postgres_url)
    async with open_store(StoreOptions(tmp_path, empty_postgres_url)) as store:
        async with other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
            monkeypatch.setattr(asyncpg.Connection, "execute", note)
            migrating = asyncio.create_task(migrate(store.database, store.engine))
            await wait_for_waiting(store, 1)
        assert await migrating
    await other.close()
    # To wait for the other one, and to take each step.
    lock, *taken = may_take_long
    assert lock.startswith("SELECT pg_advisory_xact_lock")
    assert len(taken) == sum(len(step.statements("postgres")) for step in migrations())


async def test_race_that_is_always_lost_ends(store: SqlStore) -> None:
    tried = 0

    async def work(_tx: Transaction) -> None:
        nonlocal tried
        tried += 1
        raise asyncpg.SerializationError("somebody was quicker")

    with pytest.raises(asyncpg.SerializationError):
        await store.database.write(work)
    assert tried == 5


async def test_system_prompt_that_is_purged_while_a_conversation_starts_with_it_is_kept(
    store: SqlStore, postgres_url: str
) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    old = await store.conversations.create(new_conversation(alice, system_prompt="You are kind."), NOW)
    purging = await asyncpg.connect(postgres_url)
    transaction = purging.transaction()
    await transaction.start()
    await purging.execute("DELETE FROM conversations WHERE id = $1", old.id)
    await purging.execute("DELETE FROM texts WHERE id = $1", old.prompt_id)
    creating = asyncio.create_task(
        store.conversations.create(new_conversation(alice, system_prompt="You are kind."), NOW)
    )
    await wait_for_waiting(store, 1)
    await transaction.commit()
    await purging.close()
    made = await creating
    assert made.prompt_id not in (None, old.prompt_id)
    begun = await store.turns.begin(said(alice, "hello", made.uuid))
    assert begun.system_prompt == "You are kind."


async def test_connections_that_were_cut_are_made_again(store: SqlStore, postgres_url: str) -> None:
    await store.check()
    cutter = await asyncpg.connect(postgres_url)
    await cutter.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await cutter.close()
    failed = 0
    async with asyncio.timeout(20):
        while True:
            try:
                await store.accounts.get_user(UserId(1))
                break
            except OSError:
                failed += 1
    assert failed <= 8


async def test_who_gets_no_connection_has_had_nothing_broken_off(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(StoreOptions(tmp_path, postgres_url, connections=1)) as store:
        taken, go = asyncio.Event(), asyncio.Event()

        async def hold(_tx: Transaction) -> None:
            taken.set()
            await go.wait()

        holding = asyncio.create_task(store.database.write(hold))
        await taken.wait()
        monkeypatch.setattr(postgres, "ACQUIRE_SECONDS", 0.05)
        with pytest.raises(StoreUnavailable):
            await store.accounts.add_user(new_user("alice"))
        go.set()
        await holding
        assert store.broken_off == 0


async def test_nothing_is_left_open_on_a_connection_after_a_refusal(store: SqlStore) -> None:
    async def work(tx: Transaction) -> None:
        await tx.run("INSERT INTO server (name, value) VALUES ('x', '')")
        raise NotFound

    for _ in range(10):
        with pytest.raises(NotFound):
            await store.database.write(work)
    assert await rows(store, "SELECT name FROM server WHERE name = 'x'") == []


async def test_whoever_leaves_in_the_middle_leaves_nothing_behind(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    talk = await store.conversations.create(new_conversation(alice), NOW)

    async def ask(something_new: int) -> Row | None:
        return await store.database.read(lambda tx: tx.one(f"SELECT {something_new}"))

    for steps in range(500):
        leaving = asyncio.create_task(ask(steps))
        # At another moment each time: before it is asked, while it is, when it is about to be told.
        for _ in range(steps % 100):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert (await store.events.present(None, talk.uuid)).conversation.uuid == talk.uuid


# An answer takes 124 tokens at the most: there is room for one at a time.
SPEAKING = Speaking(max_tokens=100)
ONE_AT_A_TIME = Budgets(Budget(tokens_a_day=200))


async def test_who_waits_while_another_holds_something_back_counts_it(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    await store.ledger.reserve_answer(alice.id, None, SPEAKING, 10, ONE_AT_A_TIME, NOW, NOW)
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(tx: Transaction) -> None:
        await reserve(tx, [Wish(alice.id, None, SPEAKING, 10)], ONE_AT_A_TIME, Prices(), NOW)
        looked.set()
        await go_on.wait()
        await tx.one(ADD_RESERVATION, alice.id, None, 124, 0, LATER)

    holding = asyncio.create_task(store.database.write(hold))
    await looked.wait()
    waiting = asyncio.create_task(store.ledger.reserve_answer(alice.id, None, SPEAKING, 10, ONE_AT_A_TIME, NOW, LATER))
    await wait_for_waiting(store, 1)
    go_on.set()
    await holding
    with pytest.raises(OverBudget) as refused:
        await waiting
    assert refused.value.shortage == "held"


async def test_what_ends_while_somebody_waits_is_counted_once(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    held = await store.ledger.reserve_answer(alice.id, None, SPEAKING, 10, ONE_AT_A_TIME, NOW, LATER)
    spent, go_on = asyncio.Event(), asyncio.Event()

    async def end(tx: Transaction) -> None:
        await tx.run(END_RESERVATION, held)
        await spend(tx, [Spending(alice.id, None, None, "gpt-4", Usage(50, 20), 0, NOW)], budgets=True)
        spent.set()
        await go_on.wait()

    ending_it = asyncio.create_task(store.database.write(end))
    await spent.wait()
    waiting = asyncio.create_task(store.ledger.reserve_answer(alice.id, None, SPEAKING, 10, ONE_AT_A_TIME, NOW, LATER))
    await wait_for_waiting(store, 1)
    go_on.set()
    await ending_it
    assert await waiting is not None


PLENTY = Budgets(Budget(tokens_a_day=1_000_000, money_a_month=1_000_000))


async def test_budget_costs_a_turn_no_round_trip(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    trips = within = 0

    def counted(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def count(*asked: object) -> object:
            nonlocal trips, within
            trips += not within
            within += 1
            try:
                return await ask(*asked)
            finally:
                within -= 1

        return count

    for name in ("one", "all", "run", "all_many", "run_many"):
        monkeypatch.setattr(PostgresTransaction, name, counted(getattr(PostgresTransaction, name)))
    alice = await store.accounts.add_user(new_user("alice"))
    talk = new_conversation(alice)
    needed = []
    # What comes first in a conversation, and what is first paid for, is more.
    for turn, budgets in enumerate((None, None, PLENTY, PLENTY)):
        trips = 0
        begun = await store.turns.begin(replace(said(alice, "hello", talk.uuid if turn else talk), budgets=budgets))
        assert begun.is_reserved == (budgets is not None)
        assert [one.content for one in begun.history] == ["An answer.", "hello"] * turn
        assert (await answer(store, begun, usage=Usage(10, 5))).done
        needed.append(trips)
    assert needed[3] == needed[1]


@pytest.mark.parametrize("budgets", [None, PLENTY], ids=["no budget", "a budget"])
async def test_pasts_of_turns_that_begin_together_are_read_by_one_execution(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, budgets: Budgets | None
) -> None:
    reading = {PAST, PASTS, *AND_READ_ONE.values(), *AND_READ_MANY.values()}
    read = 0
    ask, ask_many = PostgresTransaction.all, PostgresTransaction.all_many

    async def count(tx: PostgresTransaction, sql: str, *values: object) -> Sequence[Row]:
        nonlocal read
        read += sql in reading
        return await ask(tx, sql, *values)

    async def count_many(tx: PostgresTransaction, sql: str, values: Sequence[Sequence[object]]) -> Sequence[Row]:
        nonlocal read
        # One alone goes through `all`.
        read += len(values) if sql in reading and len(values) > 1 else 0
        return await ask_many(tx, sql, values)

    alice = await store.accounts.add_user(new_user("alice"))
    talks = [new_conversation(alice) for _ in range(5)]
    for talk in talks:
        await answer(store, await store.turns.begin(said(alice, "hello", talk)))
    monkeypatch.setattr(PostgresTransaction, "all", count)
    monkeypatch.setattr(PostgresTransaction, "all_many", count_many)
    turns = [replace(said(alice, "and?", talk.uuid), budgets=budgets) for talk in talks]
    begun = await asyncio.gather(*map(store.turns.begin, turns))
    assert [[one.content for one in each.history] for each in begun] == [["An answer.", "hello"]] * 5
    assert read == 1


async def test_ends_that_the_same_people_pay_for_never_wait_for_each_other(
    store: SqlStore, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "palaver.store")
    payers = [await store.accounts.add_user(new_user(name)) for name in ("alice", "bob", "carol")]
    for one in payers:
        await store.ledger.reserve_answer(one.id, None, SPEAKING, 10, ONE_AT_A_TIME, NOW, NOW)

    def settle(some: Sequence[User]) -> Awaitable[None]:
        entries = [Spending(one.id, None, None, "gpt-4", Usage(50, 20), 0, NOW) for one in some]
        return store.database.write(lambda tx: spend(tx, entries, budgets=True))

    holder = await asyncpg.connect(postgres_url)
    holding = holder.transaction()
    await holding.start()
    await holder.execute("SELECT 1 FROM spending WHERE scope = $1 FOR UPDATE", f"user:{payers[1].id}")
    # Taken as they are named, each would hold by then what the other wants next.
    settling = asyncio.gather(settle(payers), settle(payers[::-1]))
    await wait_for_waiting(store, 2)
    await holding.rollback()
    await holder.close()
    await settling
    assert told(caplog) == []
    assert [one.turns for one in await store.ledger.usage("user", day_of(NOW))] == [2, 2, 2]


@pytest.mark.parametrize(
    "sql",
    [END_REPLY, turns.RENEW, turns.STILL_HELD, turns.ASK_TO_STOP],
    ids=["it ends", "it goes on", "it is looked for", "it is to stop"],
)
async def test_reply_that_runs_is_found_by_its_id_and_not_among_all_that_run(
    store: SqlStore, postgres_url: str, sql: str
) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    conversation = (await store.turns.begin(said(alice, "hello", new_conversation(alice)))).turn.conversation
    connection = await asyncpg.connect(postgres_url, statement_cache_size=0)
    await connection.execute(
        "INSERT INTO messages (conversation_id, number, uuid, role, status, content, created_at) "
        f"SELECT {conversation.id}, 10 + at, 'm-' || at, 'user', 'complete', '', 1 FROM generate_series(1, 5000) at"
    )
    # As the planner sees it in a quiet hour.
    await connection.execute("ANALYZE messages; SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE it AS {sql}")
    [(values,)] = await connection.fetch("SELECT CARDINALITY(parameter_types) FROM pg_prepared_statements LIMIT 1")
    plan = await connection.fetch(f"EXPLAIN EXECUTE it ({', '.join(['NULL'] * values)})")
    found = [line for (line,) in plan if " on messages" in line and "Scan" in line]
    assert len(found) == 1
    assert "using messages_pkey" in found[0]
    await connection.close()


async def test_what_is_spent_is_locked_before_the_ledger(store: SqlStore, postgres_url: str) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    await store.ledger.reserve_answer(alice.id, None, SPEAKING, 10, ONE_AT_A_TIME, NOW, NOW)

    async def settle() -> None:
        entry = Spending(alice.id, None, None, "gpt-4", Usage(50, 20), 0, NOW)
        await store.database.write(lambda tx: spend(tx, [entry], budgets=True))

    await settle()
    holder = await asyncpg.connect(postgres_url)
    holding = holder.transaction()
    await holding.start()
    await holder.execute("SELECT 1 FROM ledger FOR UPDATE")
    settling = asyncio.create_task(settle())
    await wait_for_waiting(store, 1)
    assert await rows(store, "SELECT 1 FROM spending WHERE scope > '' FOR UPDATE SKIP LOCKED") == []
    await holding.rollback()
    await holder.close()
    await settling
    [used] = await store.ledger.usage("user", day_of(NOW))
    assert (used.turns, used.total_tokens) == (2, 140)


async def test_reply_whose_prompt_is_taken_back_while_it_is_read_is_read_as_it_was(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    new = new_conversation(alice)
    await store.turns.begin(said(alice, "one", new))
    waiting = (await store.turns.begin(said(alice, "two", new.uuid))).turn

    async def take_back_and_read(tx: Transaction, reply: Message) -> Turn:
        await store.turns.take_back(Reader(alice.id), new.uuid, waiting.prompt.uuid, NOW)
        return await going_on.read_turn(tx, reply)

    monkeypatch.setattr(turns, "read_turn", take_back_and_read)
    found = await store.turns.get(waiting.reply.id)
    assert found is not None
    assert found.turn.prompt.content == "two"
    assert await store.turns.get(waiting.reply.id) is None
