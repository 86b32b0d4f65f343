"""What only SQLite promises."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from palaver.chat.clock import DAY, Micros
from palaver.chat.conversation import Speaking, Usage
from palaver.chat.errors import NotFound, StoreUnavailable
from palaver.chat.ledger import Budget, Budgets, DatedPrice, Price, Spent
from palaver.chat.limit import LimitOf
from palaver.chat.user import Reader, User
from palaver.store import SqlStore, StoreOptions, open_store, sqlite, sqlite_spending
from palaver.store.database import Row, Transaction
from palaver.store.knowledge import sqlite_vectors
from palaver.store.migrate import migrate
from palaver.store.payers import payers_of
from palaver.store.prices import PRICES
from palaver.store.sqlite import SqliteDatabase, to_sqlite
from palaver.store.sqlite_spending import ADD_UP_BY, BESIDES, HELD_BY, TRIGGERS, recall
from tests.ports.counting import CountingDatabase
from tests.ports.knowing import arrive, claim, collect, cut, keep, read
from tests.ports.recalled import check_remembered, remembered
from tests.ports.talking import NOW, answer, new_conversation, new_user, rows, said


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(StoreOptions(tmp_path)) as store:
        await migrate(store.database, store.engine)
        yield store


async def pragmas(tx: Transaction) -> dict[str, object]:
    found = {}
    for name in ("synchronous", "journal_mode", "foreign_keys", "page_size"):
        row = await tx.one(f"PRAGMA {name}")
        assert row is not None
        found[name] = row[0]
    return found


async def test_every_commit_is_synced_and_readers_never_wait_for_it(store: SqlStore) -> None:
    # 2 is FULL.
    wanted = {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1, "page_size": 1024}
    assert await store.database.write(pragmas) == wanted
    assert await store.database.read(pragmas) == wanted


async def test_readers_cannot_write(store: SqlStore) -> None:
    with pytest.raises(StoreUnavailable):
        await store.database.read(lambda tx: tx.run("DELETE FROM presets"))


async def test_log_of_writes_that_cannot_be_opened_is_an_outage(store: SqlStore, tmp_path: Path) -> None:
    file = tmp_path / "palaver.sqlite3"
    file.rename(tmp_path / "away")
    file.mkdir()
    with pytest.raises(StoreUnavailable):
        await store.database.drop_log()


async def test_reader_goes_on_while_a_writer_holds_the_file(store: SqlStore, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "palaver.sqlite3"))
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM presets")
    assert len(await store.presets.visible(Reader(new_user("x").id))) == 1
    other.execute("ROLLBACK")
    other.close()


@pytest.fixture
def patient_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for readers for as long as they take, and does not learn from those that it has waited for in vain."""
    for name in ("PATIENCE_MILLISECONDS", "MOST_PATIENCE_MILLISECONDS"):
        monkeypatch.setattr(sqlite, name, 60_000)


@pytest.mark.usefixtures("patient_log")
async def test_log_of_writes_stays_short_although_somebody_always_reads(store: SqlStore, tmp_path: Path) -> None:
    file, written = tmp_path / "palaver.sqlite3", threading.Event()

    def read_one_behind_the_other() -> None:
        readers = [apsw.Connection(str(file)) for _ in range(2)]
        readers[0].execute("BEGIN; SELECT count(*) FROM users")
        while not written.wait(0.005):
            readers[1].execute("BEGIN; SELECT count(*) FROM users")
            readers[0].execute("COMMIT")
            readers.reverse()
        for reader in readers:
            reader.close()

    reading = asyncio.create_task(asyncio.to_thread(read_one_behind_the_other))
    await store.database.write(lambda tx: tx.run("CREATE TABLE filler (text TEXT)"))
    for _ in range(400):
        await store.database.write(lambda tx: tx.run("INSERT INTO filler VALUES ($1)", "x" * 50_000))
    written.set()
    await reading
    # Each page with a head of 24 bytes; one commit is some fifty of them.
    pages = file.with_name("palaver.sqlite3-wal").stat().st_size / (sqlite.PAGE_SIZE + 24)
    assert pages < sqlite.LONG_LOG_PAGES + 100


async def test_writer_waits_for_another_process_that_holds_the_file(store: SqlStore, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "palaver.sqlite3"))
    other.execute("BEGIN IMMEDIATE")
    adding = asyncio.create_task(store.accounts.add_user(new_user("alice")))
    await store.check()
    assert not adding.done()
    other.execute("COMMIT")
    assert (await adding).name == "alice"
    other.close()


async def test_file_that_stays_locked_is_a_store_that_does_not_answer_and_later_does(
    store: SqlStore, tmp_path: Path
) -> None:
    database = store.database
    assert isinstance(database, SqliteDatabase)
    database._connection.set_busy_timeout(1)
    other = apsw.Connection(str(tmp_path / "palaver.sqlite3"))
    other.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(
        *(store.accounts.add_user(new_user(name)) for name in ("alice", "bob", "carol")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 3
    other.execute("COMMIT")
    other.close()
    assert (await store.accounts.add_user(new_user("alice"))).name == "alice"


async def test_what_others_wrote_is_counted_once_the_writer_may_write_again(store: SqlStore, tmp_path: Path) -> None:
    database = store.database
    assert isinstance(database, SqliteDatabase)

    alice = await store.accounts.add_user(new_user("alice"))
    await store.turns.begin(replace(said(alice, "hello", new_conversation(alice)), budgets=Budgets(Budget(10**9))))
    assert await remembered(store) != []
    database._connection.set_busy_timeout(1)
    other = apsw.Connection(str(tmp_path / "palaver.sqlite3"))
    other.execute("DELETE FROM limits")
    # It is seen by whoever asks for the file, and is refused it.
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await remembered(store)
    other.execute("COMMIT")
    other.close()
    assert await remembered(store) == []


async def test_statement_that_fails_between_two_rows_is_in_the_way_of_nobody(store: SqlStore, tmp_path: Path) -> None:
    # No text: it is read as one only when its row is taken.
    broken = "SELECT 1 UNION ALL SELECT CAST(X'FF' AS TEXT) UNION ALL SELECT 2"

    async def fail(tx: Transaction) -> None:
        await tx.all(broken)

    async def fail_at_many(tx: Transaction) -> None:
        await tx.all_many(broken, [(), ()])

    async def add_up(tx: Transaction) -> Row | None:
        return await tx.one("SELECT COUNT(*) FROM users")

    for work in (fail, fail_at_many):
        for carry_out in (store.database.read, store.database.write):
            with pytest.raises(UnicodeDecodeError):
                await carry_out(work)
    with closing(apsw.Connection(str(tmp_path / "palaver.sqlite3"))) as other:
        other.execute("DELETE FROM limits")
    await store.accounts.add_user(new_user("alice"))
    assert await asyncio.gather(*(store.database.read(add_up) for _ in range(8))) == [(1,)] * 8


async def test_what_waits_for_the_writer_is_carried_out_together(store: SqlStore) -> None:
    batches: list[list[str]] = []
    loop = asyncio.get_running_loop()
    holds, goes_on = asyncio.Event(), threading.Event()

    async def hold(_tx: Transaction) -> None:
        loop.call_soon_threadsafe(holds.set)
        goes_on.wait(10)

    async def note(_tx: Transaction, items: Sequence[str]) -> list[str | Exception]:
        batches.append(list(items))
        return list(items)

    write = store.database.together(note, lambda item: item[0])
    held = asyncio.create_task(store.database.write(hold))
    # What waits by then may still be taken together with it.
    await holds.wait()
    writing = []
    for item in ("first", "another", "further", "and", "one more"):
        writing.append(asyncio.ensure_future(write(item)))
        # Asked for, and handed over by itself.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(held, *writing)
    assert batches == [["first", "another"], ["further", "and", "one more"]]


async def test_what_is_asked_for_in_one_round_of_the_loop_shares_a_commit(store: SqlStore) -> None:
    batches: list[list[int]] = []

    async def note(_tx: Transaction, items: Sequence[int]) -> list[int | Exception]:
        batches.append(list(items))
        return list(items)

    write = store.database.together(note, lambda item: item)
    most = sqlite.MOST_IN_A_COMMIT
    # The writer has nothing else to do: it would begin with the first of them alone.
    assert await asyncio.gather(*(write(number) for number in range(2 * most + 1))) == list(range(2 * most + 1))
    assert [len(batch) for batch in batches] == [most, most, 1]


async def test_transaction_that_waits_for_something_else_is_refused(store: SqlStore) -> None:
    something_else = asyncio.get_running_loop().create_future()

    async def work(tx: Transaction) -> None:
        await tx.run("DELETE FROM presets")
        await something_else

    with pytest.raises(RuntimeError, match="waited for something else"):
        await store.database.write(work)
    assert len(await rows(store, "SELECT id FROM presets")) == 3


async def test_what_was_acknowledged_is_there_when_opened_again(tmp_path: Path) -> None:
    options = StoreOptions(tmp_path)
    async with open_store(options) as store:
        await migrate(store.database, store.engine)
        alice = await store.accounts.add_user(new_user("alice"))
    async with open_store(options) as store:
        assert await store.accounts.get_user(alice.id) == alice


async def test_closing_carries_out_what_was_asked_before(tmp_path: Path) -> None:
    options = StoreOptions(tmp_path)
    async with open_store(options) as store:
        await migrate(store.database, store.engine)
        adding = [asyncio.create_task(store.accounts.add_user(new_user(f"user-{number}"))) for number in range(5)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*adding)) == 5


async def test_data_of_a_store_is_its_users_alone(tmp_path: Path) -> None:
    async with open_store(StoreOptions(tmp_path / "deep" / "data")):
        assert (tmp_path / "deep" / "data").stat().st_mode & 0o777 == 0o700


async def test_no_statement_of_a_turn_scans_a_table(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    talk = await store.conversations.create(new_conversation(alice, speaking=Speaking(window=20)), alice.created_at)
    counting = CountingDatabase(store.database)
    watched = SqlStore(counting, "sqlite")
    for number in range(3):
        begun = await watched.turns.begin(said(alice, "hello", talk.uuid, client_id=f"c{number}"))
        await watched.turns.begin(said(alice, "and?", talk.uuid, client_id=f"d{number}"))
        ended = await answer(watched, begun, usage=Usage(1, 1), promote=True)
        assert ended.next is not None
        await answer(watched, ended.next)
    held = Budgets(Budget(10**9, 10**9, 10**9), Budget(10**9), 10**9)
    for number in range(2):
        talk_within = replace(said(alice, "hello", talk.uuid, client_id=f"e{number}"), budgets=held)
        await answer(watched, await watched.turns.begin(talk_within), usage=Usage(1, 1))
    asked = [sql for sql, _ in counting.asked]
    # All of them, once, and again when somebody has changed one.
    assert asked.count(PRICES) == 1
    # What they have used and hold back is added up once: the writer remembers it.
    assert asked.count(ADD_UP_BY["user"]) == 1
    assert asked.count(BESIDES) == 1
    statements = set(asked) - {PRICES, ADD_UP_BY["user"], BESIDES, *TRIGGERS}
    assert len(statements) > 8
    plans = {sql: await explain(store, sql) for sql in statements}
    assert {sql: plan for sql, plan in plans.items() if any(scans_a_table(step) for step in plan)} == {}


async def test_what_is_added_up_to_be_remembered_is_found_by_indexes_that_hold_little_else(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    await store.turns.begin(replace(said(alice, "hello", new_conversation(alice)), budgets=Budgets(Budget(10**9))))
    indexes: dict[LimitOf, str] = {"user": "sqlite_autoindex_ledger_1", "app": "ledger_by_app"}
    for of, index in indexes.items():
        plan = await explain(store, ADD_UP_BY[of])
        assert [step for step in plan if "ledger" in step] == [step for step in plan if index in step] != []
        for sql in (ADD_UP_BY[of], HELD_BY[of]):
            held = [step for step in await explain(store, sql) if "messages" in step]
            assert [step.split()[-1] for step in held] == ["one_running_reply", "messages_queued"]


async def test_whatever_is_done_to_replies_and_the_ledger_is_in_what_is_remembered(store: SqlStore) -> None:
    alice, bob = [await store.accounts.add_user(new_user(name)) for name in ("alice", "bob")]
    shop, market = [await store.accounts.add_user(new_user(name, "app")) for name in ("shop", "market")]
    customers = [await store.accounts.add_user(new_user("carl", "app_user", app_id=app.id)) for app in (shop, market)]
    held = Budgets(Budget(10**9, 10**9, 10**9), Budget(10**9, 10**9, 10**9))

    async def carry_out(sql: str) -> None:
        await store.database.write(lambda tx: tx.run(sql))

    for who in (alice, bob, *customers):
        begun = await store.turns.begin(replace(said(who, "hello", new_conversation(who)), budgets=held))
        await answer(store, begun, usage=Usage(20, 10))
        await store.turns.begin(replace(said(who, "hello", new_conversation(who)), budgets=held))
    assert len(await remembered(store)) == 6
    running, of_shop = "status = 'running'", f"app_id = {shop.id}"
    for change in (
        f"UPDATE messages SET reserved_tokens = 7 WHERE {running}",
        f"UPDATE messages SET payer_id = {bob.id} WHERE payer_id = {alice.id}",
        f"UPDATE messages SET payer_id = {alice.id}, reserved_tokens = 9 WHERE payer_id = {bob.id} AND {running}",
        f"UPDATE messages SET payer_app_id = {market.id} WHERE payer_app_id = {shop.id}",
        f"UPDATE messages SET payer_app_id = {shop.id}, reserved_money = 9 WHERE payer_app_id = {market.id}",
        f"UPDATE messages SET payer_id = NULL WHERE {running} AND payer_app_id IS NULL",
        f"UPDATE messages SET payer_id = {bob.id} WHERE payer_id IS NULL AND {running}",
        f"DELETE FROM messages WHERE {running}",
        "UPDATE ledger SET prompt_tokens = 5, cost = 3",
        f"UPDATE ledger SET day = {NOW // DAY + 1} WHERE user_id = {alice.id}",
        f"UPDATE ledger SET day = {NOW // DAY - 40} WHERE user_id = {alice.id}",
        f"UPDATE ledger SET user_id = {alice.id}, cost = 4 WHERE user_id = {bob.id}",
        f"UPDATE ledger SET app_id = {market.id} WHERE {of_shop}",
        f"UPDATE ledger SET app_id = {shop.id}, cost = 5 WHERE app_id = {market.id} AND user_id = {customers[0].id}",
        f"DELETE FROM ledger WHERE {of_shop}",
    ):
        before = await remembered(store)
        await carry_out(change)
        assert await remembered(store) != before
        await check_remembered(store)


async def test_what_is_undone_is_remembered_by_nobody(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    turn = replace(said(alice, "hello", new_conversation(alice)), budgets=Budgets(Budget(10**9)))

    async def fail(tx: Transaction) -> None:
        await tx.run("UPDATE messages SET reserved_tokens = 7 WHERE status = 'running'")
        raise NotFound

    async def fail_at_once(_tx: Transaction) -> None:
        raise NotFound

    await store.turns.begin(turn)
    before = await remembered(store)
    with pytest.raises(NotFound):
        await store.database.write(fail_at_once)
    # It has changed nothing: who fails often costs the others nothing.
    assert await remembered(store) == before != []
    with pytest.raises(NotFound):
        await store.database.write(fail)
    await check_remembered(store)
    await look_up(store, alice)
    assert await remembered(store) == before


async def test_statement_that_fails_half_way_is_remembered_by_nobody_though_its_work_goes_on(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    budgets = Budgets(Budget(10**9))
    for _ in range(2):
        await store.turns.begin(replace(said(alice, "hello", new_conversation(alice)), budgets=budgets))
    reply = "(SELECT MAX(id) FROM messages)"

    async def go_on(tx: Transaction) -> None:
        with suppress(apsw.ConstraintError):
            # The first reply is changed before the second may not have the number of its prompt.
            await tx.run(
                f"UPDATE messages SET reserved_tokens = 1, number = number - (id = {reply}) WHERE status = 'running'"
            )

    before = await look_up(store, alice)
    await store.database.write(go_on)
    assert await look_up(store, alice) == before


async def test_triggers_whose_making_was_undone_are_made_again(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))

    async def look_up_and_fail(tx: Transaction) -> None:
        await recall(tx, payers_of(alice.id, None), NOW)
        raise NotFound

    with pytest.raises(NotFound):
        await store.database.write(look_up_and_fail)
    await look_up(store, alice)
    await store.turns.begin(replace(said(alice, "hello", new_conversation(alice)), budgets=Budgets(Budget(10**9))))
    [(_, _, sum_)] = await remembered(store)
    assert sum_.held_tokens > 0
    await check_remembered(store)


async def test_what_is_held_back_for_answers_and_other_prices_are_seen_by_the_next_turn(store: SqlStore) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    await look_up(store, alice)
    held = await store.ledger.reserve_answer(
        alice.id, None, Speaking(max_tokens=100), 10, Budgets(Budget(10**9)), NOW, Micros(NOW + DAY)
    )
    assert held is not None
    spent, mark = await look_up(store, alice)
    assert spent.held_tokens > 100
    await store.ledger.add_price(DatedPrice("gpt-4", NOW, Price(1, 1, 1)))
    assert (await look_up(store, alice))[1] != mark
    await store.ledger.refund_answer(held)
    spent, _ = await look_up(store, alice)
    assert spent.held_tokens == 0


async def test_as_many_are_remembered_as_there_is_room_for(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_spending, "MOST", 3)
    users = [await store.accounts.add_user(new_user(f"user-{number}")) for number in range(5)]
    held = Budgets(Budget(10**9))
    for user in (*users, *users):
        begun = await store.turns.begin(replace(said(user, "hello", new_conversation(user)), budgets=held))
        await answer(store, begun, usage=Usage(20, 10))
        assert 0 < len(await remembered(store)) <= 3
    await check_remembered(store)
    for user in users:
        spent, _ = await look_up(store, user)
        assert (spent.tokens_today, spent.held_tokens) == (60, 0)


async def look_up(store: SqlStore, user: User) -> tuple[Spent, str | None]:
    [payer] = payers_of(user.id, None)
    spent, mark = await store.database.write(lambda tx: recall(tx, [payer], NOW))
    return spent[payer.scope], mark


def scans_a_table(step: str) -> bool:
    """And not the few rows that a part of the same statement has found."""
    return step.startswith("SCAN") and step.split()[1] not in ("CONSTANT", "past")


async def explain(store: SqlStore, sql: str) -> list[str]:
    values = [None] * max((int(number) for number in to_numbers(sql)), default=0)
    # Asked of the writer, who alone has what it remembers.
    plan = await store.database.write(lambda tx: tx.all(f"EXPLAIN QUERY PLAN {sql}", *values))
    return [row[3] for row in plan]


def to_numbers(sql: str) -> list[str]:
    return [part[: len(part) - len(part.lstrip("0123456789"))] for part in sql.split("$")[1:]]


@pytest.mark.parametrize(
    ("sql", "sqlite"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT $1, $2", "SELECT ?1, ?2"),
        ("VALUES ($12, $1), ($2, $12)", "VALUES (?12, ?1), (?2, ?12)"),
        ("SELECT '$' || $1", "SELECT '$' || ?1"),
    ],
)
def test_numbered_values_are_written_as_sqlite_has_them(sql: str, sqlite: str) -> None:
    assert to_sqlite(sql) == sqlite


@pytest.mark.proof("words")
@given(numbers=st.lists(st.integers(1, 99), max_size=10))
def test_every_number_stays_the_same(numbers: list[int]) -> None:
    sql = " AND ".join(f"x = ${number}" for number in numbers)
    assert to_sqlite(sql) == sql.replace("$", "?")


async def test_vectors_of_many_short_documents_are_dealt_out_to_all_heaps(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_vectors, "ONE_HEAP", 0)
    notes = await collect(store, await store.accounts.add_user(new_user("alice")))
    for number in range(sqlite_vectors.HEAPS):
        await keep(store, notes, f"{number}.txt", f"Of {number}.")
    embedding = await store.passages.use_embedding("m", 3, NOW)
    texts = await store.passages.without_vectors(embedding.id, 100)
    await store.passages.keep_vectors(embedding.id, [(digest, (1.0, 0.0, 0.0)) for digest, _ in texts])
    heaps = await rows(store, f"SELECT heap FROM bits_{embedding.id}")
    assert len({heap for (heap,) in heaps}) == len(heaps) == sqlite_vectors.HEAPS


def count_in_files(folder: Path, word: bytes) -> int:
    return sum(file.read_bytes().lower().count(word) for file in folder.iterdir())


async def test_nothing_of_a_deleted_document_stays_on_the_disk(store: SqlStore, tmp_path: Path) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    notes = await collect(store, alice)
    await keep(store, notes, "kept.txt", *[f"What stays, number {n}, {'and so on ' * 20}" for n in range(100)])
    document, _ = await arrive(store, notes, "zanzibar.txt", b"zanzibar " * 10_000)
    await read(store, await claim(store), cut(*[f"Zanzibar{n} {'is zanzibar ' * (n % 90)}" for n in range(300)]))
    await keep(store, notes, "more.txt", *[f"What comes later, {n}" for n in range(100)])
    assert count_in_files(tmp_path, b"zanzibar") > 300
    await store.documents.delete(document.id)
    await store.documents.drop_unfinished(NOW)
    assert count_in_files(tmp_path, b"zanzibar") == 0


async def test_no_name_of_what_an_erased_person_kept_stays_on_the_disk(store: SqlStore, tmp_path: Path) -> None:
    alice = await store.accounts.add_user(new_user("alice"))
    for number in range(3):
        await collect(store, alice, f"Zanzibar {number}")
    assert count_in_files(tmp_path, b"zanzibar") > 3
    await store.accounts.erase_user(alice.id, NOW)
    await store.clearing.close()
    await store.documents.drop_unfinished(NOW)
    assert count_in_files(tmp_path, b"zanzibar") == 0
