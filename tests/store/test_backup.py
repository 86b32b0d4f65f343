"""What a backup is made of: out of one database and into another, of either kind, and nothing is another there."""

import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from palaver.chat.clock import DAY
from palaver.chat.conversation import Usage
from palaver.chat.errors import OverBudget
from palaver.chat.ledger import Budget, Budgets
from palaver.chat.user import Reader, User
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.backup import Damaged, NoArchive, NotEmpty, NotNew, copy_in, copy_out, open_archive, write_archive
from palaver.store.backup.frames import Frame
from palaver.store.migrate import migrate, newest_version, schema_version
from tests.parts.palaver import StoreKind
from tests.ports.knowing import collect, found, keep, near
from tests.ports.talking import NOW, answer, dump, new_conversation, new_user, rows, said
from tests.promises import Measured

# Of which the order of letters is not that of the bytes.
NAMES = ("Zoë", "alice", "Ärger", "bob", "_x")
MANY = 450


@pytest.fixture
def store_options(request: pytest.FixtureRequest, store_kind: StoreKind, tmp_path: Path) -> StoreOptions:
    url: str | None = request.getfixturevalue("postgres_url") if store_kind == "postgres" else None
    return StoreOptions(tmp_path / "here", url, connections=4)


@pytest.fixture
async def store(store_options: StoreOptions) -> AsyncIterator[SqlStore]:
    async with open_store(store_options) as store:
        await migrate(store.database, store.engine)
        yield store


@pytest.fixture
async def empty(empty_postgres_url: str, tmp_path: Path) -> AsyncIterator[dict[StoreKind, SqlStore]]:
    """Databases that nothing was done to, one of each kind."""
    async with AsyncExitStack() as opened:
        sqlite = await opened.enter_async_context(open_store(StoreOptions(tmp_path / "there")))
        postgres = await opened.enter_async_context(open_store(StoreOptions(tmp_path, empty_postgres_url, 2)))
        yield {"sqlite": sqlite, "postgres": postgres}


async def fill(store: SqlStore) -> User:
    """Something of each kind that is kept, and more rows than are copied at once."""
    alice = await store.accounts.add_user(new_user("alice", email="alice@example.com"))
    for name in NAMES[2:]:
        await store.accounts.add_user(new_user(name))
    gone = await store.accounts.add_user(new_user("gone"))
    await store.accounts.erase_user(gone.id, NOW)
    begun = await store.turns.begin(said(alice, "Wo steht das Öl? \U0001f6e2", new_conversation(alice)))
    await answer(store, begun, "Im Keller.")
    for number in range(MANY):
        await store.turns.begin(said(alice, f"and {number}", begun.turn.conversation.uuid))
    papers = await collect(store, alice, "papers")
    await keep(store, papers, "fruit.txt", "Apples are red.", "Pears are green.", heading="Fruit")
    await collect(store, alice, "empty")
    embedding = await store.passages.use_embedding("meaning", 3, NOW)
    texts = await store.passages.without_vectors(embedding.id, 10)
    vectors = {True: (1.0, 0.0, 0.25), False: (0.0, 1.0, -0.5)}
    await store.passages.keep_vectors(embedding.id, [(digest, vectors["red" in text]) for digest, text in texts])
    assert not await store.passages.without_vectors(embedding.id, 10)
    assert await store.passages.make_current(embedding.id, NOW)
    return alice


async def copied(store: SqlStore, file: Path) -> Iterator[Frame]:
    with write_archive(file) as put:
        await copy_out(store, put, NOW)
    return open_archive(file)


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
async def test_all_that_is_kept_is_the_same_in_a_database_of_either_kind(
    store: SqlStore, empty: dict[StoreKind, SqlStore], to: StoreKind, tmp_path: Path
) -> None:
    alice, there, file = await fill(store), empty[to], tmp_path / "all"
    with write_archive(file) as put:
        left = await copy_out(store, put, NOW)
    assert file.stat().st_mode & 0o077 == 0
    arrived = await copy_in(there, lambda: open_archive(file))
    assert arrived == left == await copy_out(there, lambda _frame: None, NOW)
    assert left.rows > MANY * 2
    assert left.vectors == 2
    # Beside what was counted, with the engines' own words for it.
    untold = {"search", "passage_words", "schema_version", "bits_left", "reply_log"}
    before, after = await dump(store), await dump(there)
    assert {name for name in before if len(before[name]) != len(after[name])} - untold == set()
    assert await found(there, alice, "papers", "apples") == ["Apples are red."]
    assert await near(there, alice, "papers", 0.0, 1.0, 0.0) == ["Pears are green.", "Apples are red."]
    seen = await there.search.find(Reader(alice.id), "öl", limit=5, offset=0)
    assert ["Öl" in one.snippet for one in seen.messages] == [True]
    carol = await there.accounts.add_user(new_user("carol"))
    [(highest,)] = await rows(store, "SELECT MAX(id) FROM users")
    # Ids of rows that are gone are not given again.
    assert carol.id > highest
    begun = await there.turns.begin(said(carol, "hello", new_conversation(carol)))
    assert (await answer(there, begun)).done


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
async def test_what_was_spent_is_made_from_the_ledger_where_a_backup_is_restored(
    store: SqlStore, empty: dict[StoreKind, SqlStore], to: StoreKind, tmp_path: Path
) -> None:
    there = empty[to]
    alice = await store.accounts.add_user(new_user("alice"))
    plenty = replace(said(alice, "hello", new_conversation(alice)), budgets=Budgets(Budget(tokens_a_day=100_000)))
    await answer(store, await store.turns.begin(plenty), usage=Usage(5000, 0))
    # Of a file from before SQLite's writer remembered it: since then nobody has kept them up.
    stale = (
        "INSERT INTO spending (scope, day, month, tokens_today, tokens_this_month, money_this_month) "
        f"VALUES ('user:{alice.id}', {NOW // DAY}, 0, 1, 1, 0) ON CONFLICT (scope) DO UPDATE SET tokens_today = 1"
    )
    await store.database.write(lambda tx: tx.run(stale))
    await copied(store, tmp_path / "all")
    await copy_in(there, lambda: open_archive(tmp_path / "all"))
    little = replace(said(alice, "hello", new_conversation(alice)), budgets=Budgets(Budget(tokens_a_day=5100)))
    with pytest.raises(OverBudget):
        await there.turns.begin(little)


@pytest.mark.proof("operating")
async def test_backup_that_is_cut_or_changed_anywhere_restores_nothing_else(
    store: SqlStore, empty: dict[StoreKind, SqlStore], tmp_path: Path, prove: bool, measured: Measured
) -> None:
    await fill(store)
    await copied(store, tmp_path / "all")
    whole = (tmp_path / "all").read_bytes()
    frames = list(open_archive(tmp_path / "all"))
    broken = tmp_path / "broken"
    step = len(whole) // (200 if prove else 12)
    there = empty["sqlite"]
    places = range(30, len(whole) - 9, step)
    refused = 0
    for place in places:
        for data in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]):
            broken.write_bytes(data)
            # What is packed can say the same in other bits. It says nothing else.
            with suppress(Damaged):
                assert list(open_archive(broken)) == frames
                continue
            with pytest.raises(Damaged):
                await copy_in(there, lambda: open_archive(broken))
            refused += 1
    measured("places", len(places), "")
    measured("files refused", refused, "")
    measured("files that said the same in other bits", 2 * len(places) - refused, "")
    assert refused >= len(places)
    assert await schema_version(there.database, there.engine) == 0
    await copy_in(there, lambda: open_archive(tmp_path / "all"))


async def test_backup_that_is_packed_in_another_way_is_as_good(
    store: SqlStore, empty: dict[StoreKind, SqlStore], tmp_path: Path
) -> None:
    """One bit can be enough for that: a repeated text is taken from another place where it stands."""
    await fill(store)
    await copied(store, tmp_path / "all")
    first, packed = (tmp_path / "all").read_bytes().split(b"\n", 1)
    (tmp_path / "other").write_bytes(first + b"\n" + gzip.compress(gzip.decompress(packed), 9, mtime=0))
    assert (tmp_path / "other").stat().st_size != (tmp_path / "all").stat().st_size
    arrived = await copy_in(empty["sqlite"], lambda: open_archive(tmp_path / "other"))
    assert arrived == await copy_out(store, lambda _frame: None, NOW)


async def test_something_else_is_no_backup(store: SqlStore, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"SQLite format 3\x00")
    with pytest.raises(NoArchive):
        await copy_in(store, lambda: open_archive(other))


async def test_nothing_is_written_over(store: SqlStore, tmp_path: Path) -> None:
    await fill(store)
    before = await copy_out(store, lambda _frame: None, NOW)
    await copied(store, tmp_path / "all")
    with pytest.raises(NotEmpty):
        await copy_in(store, lambda: open_archive(tmp_path / "all"))
    assert await copy_out(store, lambda _frame: None, NOW) == before


async def test_backup_of_an_older_schema_is_brought_to_todays(
    empty: dict[StoreKind, SqlStore], tmp_path: Path, store_kind: StoreKind
) -> None:
    older = empty[store_kind]
    await migrate(older.database, older.engine, up_to=newest_version() - 1)
    await copied(older, tmp_path / "older")
    there = empty["postgres" if store_kind == "sqlite" else "sqlite"]
    await copy_in(there, lambda: open_archive(tmp_path / "older"))
    assert await schema_version(there.database, there.engine) == newest_version()
    with pytest.raises(NotNew):
        await copy_in(there, lambda: open_archive(tmp_path / "older"))


def test_backup_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "all"
    file.write_bytes(b"yesterday's")
    with pytest.raises(OSError, match="full"), write_archive(file):
        raise OSError("full")
    assert file.read_bytes() == b"yesterday's"
    assert [one.name for one in tmp_path.iterdir() if "all" in one.name] == ["all"]
