"""The schema gets to where it has to be, whole or not at all, however many try."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from palaver.chat.clock import DAY, Micros
from palaver.chat.conversation import Speaking
from palaver.chat.errors import OverBudget, StoreUnavailable
from palaver.chat.ledger import Budget, Budgets
from palaver.chat.model import ModelNews
from palaver.chat.ports import Seat
from palaver.chat.ports.outbox import Wishes
from palaver.chat.preset import PresetChange
from palaver.chat.user import Reader, UserId
from palaver.store import SqlStore, StoreOptions, open_store, sqlite
from palaver.store import migrate as migrating
from palaver.store.database import Transaction
from palaver.store.migrate import Migration, SchemaTooNew, check_schema, migrate, migrations, schema_version
from tests.moving.bringing import EXAMPLE
from tests.moving.bringing import bring as bring_export
from tests.parts.palaver import StoreKind
from tests.ports.knowing import collect, found, keep
from tests.ports.talking import LATER, NOW, answer, dump, new_conversation, new_user, rows, said

FIRST = "0001 start"
TODAY = [f"{migration.version:04} {migration.name}" for migration in migrations()]
NEXT_VERSION = migrations()[-1].version + 1
NEXT = f"{NEXT_VERSION:04} moods"

# All that a migration may want: a new table, a column with a default, rows rewritten, lines for one engine alone.
MOODS = """
-- A mood of each conversation.
CREATE TABLE moods (
  id {identity},
  picture {bytes},
  name TEXT NOT NULL UNIQUE
);
INSERT INTO moods (name) VALUES ('calm; -- as ever');
ALTER TABLE conversations ADD COLUMN mood_id BIGINT DEFAULT 1;
UPDATE conversations SET title = title || ', ' || (SELECT name FROM moods);
-- postgres: CREATE INDEX only_on_postgres ON moods USING hash (name);
-- sqlite: CREATE INDEX only_on_sqlite ON moods (name COLLATE NOCASE);
"""

# Three conversations as the first schema kept them: one that was talked in, one without a word, one of two messages of
# which the first is in view.
OF_THE_FIRST_SCHEMA = (
    "INSERT INTO users (id, uuid, kind, name, name_key, created_at) VALUES (1, 'u', 'person', 'alice', 'alice', 1)",
    "INSERT INTO conversations (id, uuid, owner_id, origin, title, last_number, leaf_number, created_at, updated_at) "
    "VALUES (1, 'talked', 1, 'chatify', 'A', 2, 2, 1, 1), (2, 'silent', 1, 'chatify', 'B', 0, 0, 1, 1), "
    "(3, 'elsewhere', 1, 'chatify', 'C', 2, 1, 1, 1)",
    "INSERT INTO messages (conversation_id, number, uuid, role, status, content, created_at) VALUES "
    "(1, 1, 'm-1-1', 'user', 'complete', 'hello', 1), (1, 2, 'm-1-2', 'assistant', 'complete', 'hi', 1), "
    "(3, 1, 'm-3-1', 'user', 'complete', 'there', 1), (3, 2, 'm-3-2', 'user', 'complete', 'not there', 1)",
    "INSERT INTO participants (conversation_id, user_id, joined_at) VALUES (1, 1, 1)",
)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second waits until the first has taken every step, however long that takes."""
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 60_000)


@pytest.fixture
def store_options(request: pytest.FixtureRequest, store_kind: StoreKind, tmp_path: Path) -> StoreOptions:
    """Of a database that nothing was done to."""
    url: str | None = request.getfixturevalue("empty_postgres_url") if store_kind == "postgres" else None
    return StoreOptions(tmp_path / "data", url, connections=4)


@pytest.fixture
async def store(store_options: StoreOptions) -> AsyncIterator[SqlStore]:
    async with open_store(store_options) as store:
        yield store


def bring(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A newer Palaver is installed, which has one more migration."""
    newer = [*migrations(), Migration(NEXT_VERSION, "moods", text)]
    monkeypatch.setattr(migrating, "migrations", lambda: newer)


async def tables(store: SqlStore) -> set[str]:
    sql = {
        "sqlite": "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'",
        "postgres": "SELECT relname FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')",
    }
    return {row[0] for row in await rows(store, sql[store.engine])}


async def run_all(store: SqlStore, *statements: str) -> None:
    async def work(tx: Transaction) -> None:
        for statement in statements:
            await tx.run(statement)

    await store.database.write(work)


async def check_keeps(store: SqlStore, *names: str, bringing: str) -> None:
    """The next migration, which is this one, leaves the rows of these tables as they were, but for further columns."""
    before = {name: await rows(store, f"SELECT * FROM {name} ORDER BY 1") for name in names}
    assert await migrate(store.database, store.engine, up_to=int(bringing[:4])) == [bringing]
    for name, earlier in before.items():
        later = await rows(store, f"SELECT * FROM {name} ORDER BY 1")
        assert [tuple(row)[: len(old)] for row, old in zip(later, earlier, strict=True)] == list(map(tuple, earlier))


async def test_fresh_database_gets_the_whole_schema(store: SqlStore) -> None:
    assert await schema_version(store.database, store.engine) == 0
    assert not await check_schema(store.database, store.engine)
    assert await migrate(store.database, store.engine) == TODAY
    assert await check_schema(store.database, store.engine)
    alice = await store.accounts.add_user(new_user("alice"))
    begun = await store.turns.begin(said(alice, "hello", new_conversation(alice)))
    assert (await answer(store, begun)).done


async def test_second_migration_does_nothing(store: SqlStore) -> None:
    await migrate(store.database, store.engine)
    before = await dump(store)
    assert await migrate(store.database, store.engine) == []
    assert await dump(store) == before


async def test_preset_made_first_gets_a_number_after_the_built_in_ones(store: SqlStore) -> None:
    await migrate(store.database, store.engine)
    [row] = await store.database.write(
        lambda tx: tx.all(
            "INSERT INTO presets (slug, name, title, prompt, created_at, updated_at) "
            "VALUES ('x', 'x', 'x', 'x', 1, 1) RETURNING id"
        )
    )
    assert row[0] == 4


async def test_many_tasks_that_migrate_at_once_do_it_once(store: SqlStore, store_options: StoreOptions) -> None:
    async def run() -> list[str]:
        async with open_store(store_options) as mine:
            return await migrate(mine.database, mine.engine)

    done = await asyncio.gather(*(run() for _ in range(4)))
    assert sorted(done) == [[], [], [], TODAY]
    assert await check_schema(store.database, store.engine)


async def test_database_of_an_earlier_version_is_brought_on_with_all_that_is_in_it(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(store.database, store.engine)
    alice = await store.accounts.add_user(new_user("alice"))
    begun = await store.turns.begin(said(alice, "hello", new_conversation(alice), client_id="c1"))
    running = await store.turns.begin(said(alice, "wait", new_conversation(alice)))
    await answer(store, begun, "hi")
    before = await dump(store)

    bring(monkeypatch, MOODS)
    assert not await check_schema(store.database, store.engine)
    assert await migrate(store.database, store.engine) == [NEXT]
    assert await check_schema(store.database, store.engine)
    assert f"only_on_{store.engine}" in await tables(store)
    assert not {"only_on_sqlite", "only_on_postgres"} <= await tables(store)

    # What was there is there, and what runs goes on.
    after = await dump(store)
    changed = {"conversations", "schema_version"}
    assert {name: kept for name, kept in after.items() if name not in changed} == {
        name: kept for name, kept in before.items() if name not in changed
    }
    titles = await rows(store, "SELECT title, mood_id FROM conversations")
    assert [tuple(row) for row in titles] == [("A talk, calm; -- as ever", 1)] * 2
    assert (await answer(store, running)).done
    again = await store.turns.begin(said(alice, "hello", begun.turn.conversation.uuid, client_id="c1"))
    assert (again.state, again.turn.reply.content) == ("known", "hi")


async def test_second_schema_keeps_what_the_first_held_and_knows_the_last_message_in_view(store: SqlStore) -> None:
    await migrate(store.database, store.engine, up_to=1)
    await run_all(store, *OF_THE_FIRST_SCHEMA)
    await check_keeps(store, "users", "presets", "conversations", "messages", "participants", bringing="0002 cursors")
    told = await rows(store, "SELECT uuid, leaf_uuid, event, kept FROM conversations ORDER BY id")
    assert [(uuid, leaf, event, bool(hidden)) for uuid, leaf, event, hidden in told] == [
        ("talked", "m-1-2", 0, False), ("silent", None, 0, False), ("elsewhere", "m-3-1", 0, False),
    ]  # fmt: skip


async def test_third_schema_keeps_the_models_that_the_second_knew_and_knows_no_servers(store: SqlStore) -> None:
    await migrate(store.database, store.engine, up_to=2)
    model = (
        "INSERT INTO models (name, display_name, description, context_length, is_default, created_at, updated_at) "
        "VALUES ('m', 'The M', 'Ours', 4096, TRUE, 1, 1)"
    )
    await store.database.write(lambda tx: tx.run(model))
    assert await migrate(store.database, store.engine, up_to=3) == ["0003 llm_servers"]
    columns = "display_name, description, context_length, capabilities, own_context_length"
    [kept] = await rows(store, f"SELECT {columns} FROM models")
    assert tuple(kept) == ("The M", "Ours", 4096, "[]", None)
    assert await store.models.news() == ModelNews("m", "0")
    assert await store.servers.list() == []


async def test_ledger_begins_with_what_was_used_before_it(store: SqlStore) -> None:
    await migrate(store.database, store.engine, up_to=4)
    day = 86_400_000_000
    await run_all(
        store,
        *OF_THE_FIRST_SCHEMA,
        "UPDATE conversations SET preset_id = 1, model = 'wanted' WHERE id = 1",
        "UPDATE messages SET prompt_tokens = 10, completion_tokens = 2 WHERE uuid = 'm-1-2'",
        "INSERT INTO messages (conversation_id, number, uuid, role, status, content, created_at, model, prompt_tokens, "
        "completion_tokens, cached_tokens) "
        f"VALUES (1, 3, 'm-1-3', 'assistant', 'complete', 'x', {day}, 'told', 5, 1, 4)",
        "INSERT INTO usage (at, user_id, model, prompt_tokens, completion_tokens, cached_tokens) VALUES "
        f"(1, 1, 'told', 7, 3, 0), (2, 1, 'told', 7, 3, 0), ({day}, 9, NULL, 1, 1, 1)",
    )
    assert await migrate(store.database, store.engine, up_to=5) == ["0005 ledger"]
    ledger = await rows(
        store,
        "SELECT user_id, day, app_id, model, preset_id, turns, prompt_tokens, completion_tokens, cached_tokens, cost "
        "FROM ledger ORDER BY user_id, day, model",
    )
    assert [tuple(row) for row in ledger] == [
        (1, 0, 0, "told", 0, 2, 14, 6, 0, 0),
        (1, 0, 0, "wanted", 1, 1, 10, 2, 0, 0),
        (1, 1, 0, "told", 1, 1, 5, 1, 4, 0),
        (9, 1, 0, "", 0, 1, 1, 1, 1, 0),
    ]


async def test_sixth_schema_keeps_presets_as_they_were_and_knows_who_made_those_that_nobody_changed(
    store: SqlStore,
) -> None:
    await migrate(store.database, store.engine, up_to=5)
    preset = "INSERT INTO presets (slug, owner_id, name, title, prompt, version, created_at, updated_at) VALUES "
    await run_all(
        store,
        *OF_THE_FIRST_SCHEMA,
        f"{preset} ('as-made', 1, 'As made', 'A', 'Be A.', 1, 2, 2), ('changed', 1, 'Changed', 'B', 'Be B.', 3, 2, 5)",
    )
    await check_keeps(store, "users", "presets", "conversations", "messages", bringing="0006 presets")
    told = await rows(store, "SELECT slug, changed_by, caches_answers FROM presets ORDER BY id")
    assert [(slug, by, bool(caches)) for slug, by, caches in told] == [
        *((slug, None, False) for slug in ("general", "domain", "streaming")), ("as-made", 1, False),
        ("changed", None, False),
    ]  # fmt: skip
    assert not any(row[0] for row in await rows(store, "SELECT caches_answers FROM conversations"))
    assert not any(row[0] for row in await rows(store, "SELECT cached FROM messages"))
    await migrate(store.database, store.engine)
    # What was before the change that is known of no more is not there; what comes now is.
    [changed] = await rows(store, "SELECT id FROM presets WHERE slug = 'changed'")
    assert [one.number for one in await store.presets.versions(changed[0], limit=None, offset=0)] == [3]
    await store.presets.change(changed[0], PresetChange(prompt="Be C."), Micros(9))
    assert (await store.presets.version(changed[0], 3)).content.prompt == "Be B."


async def test_seventh_schema_keeps_what_the_sixth_held_and_nothing_of_it_is_summarised(store: SqlStore) -> None:
    await migrate(store.database, store.engine, up_to=1)
    await run_all(store, *OF_THE_FIRST_SCHEMA)
    await migrate(store.database, store.engine, up_to=6)
    await store.database.write(lambda tx: tx.run("UPDATE conversations SET context_from = 2 WHERE id = 1"))
    await check_keeps(store, "users", "presets", "conversations", "messages", "participants", bringing="0007 summaries")
    told = await rows(store, "SELECT context_from, summary, summary_to, summary_lease FROM conversations ORDER BY id")
    assert [tuple(row) for row in told] == [(2, None, 0, 0), (0, None, 0, 0), (0, None, 0, 0)]


async def test_eighth_schema_keeps_what_the_seventh_held_and_finds_it(store: SqlStore) -> None:
    await migrate(store.database, store.engine, up_to=1)
    for statement in OF_THE_FIRST_SCHEMA:
        await store.database.write(lambda tx, sql=statement: tx.run(sql))  # type: ignore[misc]
    await migrate(store.database, store.engine, up_to=7)
    kept = ("users", "presets", "conversations", "messages", "participants")
    before = {name: await rows(store, f"SELECT * FROM {name} ORDER BY 1") for name in kept}
    assert await migrate(store.database, store.engine, up_to=8) == ["0008 web_app"]
    for name, earlier in before.items():
        later = await rows(store, f"SELECT * FROM {name} ORDER BY 1")
        assert [tuple(row)[: len(old)] for row, old in zip(later, earlier, strict=True)] == [
            tuple(old) for old in earlier
        ]
    mine, total = await store.conversations.in_list(Reader(UserId(1)), archived=False, limit=9, offset=0)
    assert (total, [one.pinned_at for one in mine]) == (3, [None] * 3)
    found = await store.search.find(Reader(UserId(1)), "hello", limit=9, offset=0)
    assert [(one.conversation, one.uuid) for one in found.messages] == [("talked", "m-1-1")]
    assert [one.title for one in (await store.search.find(Reader(UserId(1)), "b", limit=9, offset=0)).titled] == ["B"]


async def test_models_that_were_there_before_some_could_be_hidden_are_listed_as_they_were(store: SqlStore) -> None:
    [mine] = [migration for migration in migrations() if migration.name == "hidden_models"]
    await migrate(store.database, store.engine, up_to=mine.version - 1)
    insert = "INSERT INTO models (name, display_name, is_default, created_at, updated_at) VALUES ($1, $1, $2, 1, 1)"
    await store.database.write(lambda tx: tx.run_many(insert, [("a", True), ("b", False)]))
    before = await rows(store, "SELECT * FROM models ORDER BY id")
    assert await migrate(store.database, store.engine, up_to=mine.version) == [f"{mine.version:04} {mine.name}"]
    after = await rows(store, "SELECT * FROM models ORDER BY id")
    assert [tuple(row) for row in after] == [(*row, False) for row in before]


async def test_what_was_there_before_there_was_knowledge_is_there_as_it_was(store: SqlStore) -> None:
    [mine] = [migration for migration in migrations() if migration.name == "knowledge"]
    await migrate(store.database, store.engine, up_to=1)
    await run_all(store, *OF_THE_FIRST_SCHEMA)
    await migrate(store.database, store.engine, up_to=mine.version - 1)
    kept = ("users", "presets", "conversations", "messages", "participants")
    await check_keeps(store, *kept, bringing=f"{mine.version:04} {mine.name}")
    assert {row[0] for row in await rows(store, "SELECT sources FROM messages")} == {None}
    alice = await store.accounts.get_user(UserId(1))
    assert alice is not None
    assert await store.collections.visible(Reader(alice.id)) == []
    await keep(store, await collect(store, alice), "a.txt", "apple pie")
    assert await found(store, alice, "Notes", "apples") == ["apple pie"]


async def test_what_was_to_reach_somebody_before_there_were_targets_is_not_lost(store: SqlStore) -> None:
    [mine] = [migration for migration in migrations() if migration.name == "notifications"]
    await migrate(store.database, store.engine, up_to=1)
    await run_all(
        store,
        *OF_THE_FIRST_SCHEMA,
        "INSERT INTO outbox (user_id, conversation_id, message_id, kind, payload, created_at, due_at, done_at) VALUES "
        "(1, 1, 1, 'message', '', 1, 1, NULL), (1, 1, 1, 'message', '', 1, 1, 2)",
    )
    await migrate(store.database, store.engine, up_to=mine.version - 1)
    kept = ("users", "conversations", "messages", "participants", "outbox")
    await check_keeps(store, *kept, bringing=f"{mine.version:04} {mine.name}")
    assert [tuple(row) for row in await rows(store, "SELECT state, target_id, failures FROM outbox ORDER BY id")] == [
        ("waiting", None, 0), ("sent", None, 0),
    ]  # fmt: skip
    assert [notice.conversation for notice in await store.outbox.due_notices(Micros(9), 9)] == ["talked"]
    assert await store.targets.wishes(UserId(1)) == Wishes()


async def test_what_was_there_before_people_talked_to_each_other_is_there_as_it_was(store: SqlStore) -> None:
    [mine] = [migration for migration in migrations() if migration.name == "people"]
    await migrate(store.database, store.engine, up_to=1)
    await run_all(store, *OF_THE_FIRST_SCHEMA)
    await migrate(store.database, store.engine, up_to=mine.version - 1)
    kept = ("users", "presets", "conversations", "messages", "participants", "outbox")
    await check_keeps(store, *kept, bringing=f"{mine.version:04} {mine.name}")
    await migrate(store.database, store.engine)
    alice = await store.accounts.get_user(UserId(1))
    assert alice is not None
    # What she had read of a talk with a bot makes her nobody's partner.
    assert (await store.connections.list(Seat(alice.id), "all", limit=9, offset=0))[0] == []
    assert await store.connections.unread_total(alice.id) == 0
    assert await store.connections.shows_presence(alice.id)
    bob = await store.accounts.add_user(new_user("bob"))
    made, is_new = await store.connections.find_or_make_pair(alice, bob, alice.id, str(uuid.uuid4()), NOW)
    assert (is_new, [member.user.name for member in made.members]) == (True, ["alice", "bob"])


async def test_what_was_there_before_anything_was_brought_from_elsewhere_is_there_as_it_was(store: SqlStore) -> None:
    [mine] = [migration for migration in migrations() if migration.name == "moved"]
    await migrate(store.database, store.engine, up_to=1)
    await run_all(store, *OF_THE_FIRST_SCHEMA)
    await migrate(store.database, store.engine, up_to=mine.version - 1)
    kept = ("users", "presets", "conversations", "messages", "participants")
    await check_keeps(store, *kept, bringing=f"{mine.version:04} {mine.name}")
    assert (await bring_export(store, EXAMPLE)).counts["userSessions"] == (1, 0, 0)
    assert (await bring_export(store, EXAMPLE)).counts["userSessions"] == (0, 1, 0)


async def test_what_was_spent_before_looks_were_counted_still_is(store: SqlStore) -> None:
    [mine] = [migration for migration in migrations() if migration.name == "looks"]
    await migrate(store.database, store.engine, up_to=mine.version - 1)
    alice = await store.accounts.add_user(new_user("alice"))
    day = NOW // DAY
    await run_all(
        store,
        f"INSERT INTO ledger VALUES ({alice.id}, {day}, 0, 'gpt-4', 0, 1, 90, 0, 0, 0)",
        f"INSERT INTO spending VALUES ('user:{alice.id}', {day}, 0, 90, 90, 0)",
    )
    await migrate(store.database, store.engine)
    most = Budgets(Budget(tokens_a_day=200))
    held = await store.ledger.reserve_answer(alice.id, None, Speaking(max_tokens=60), 10, most, NOW, LATER)
    assert held is not None
    with pytest.raises(OverBudget):
        await store.ledger.reserve_answer(alice.id, None, Speaking(max_tokens=60), 10, most, NOW, LATER)


async def test_what_was_spent_and_held_back_before_it_was_remembered_still_is(
    store: SqlStore, store_options: StoreOptions
) -> None:
    [mine] = [migration for migration in migrations() if migration.name == "remembered"]
    await migrate(store.database, store.engine, up_to=mine.version - 1)
    alice = await store.accounts.add_user(new_user("alice"))
    await run_all(store, f"INSERT INTO ledger VALUES ({alice.id}, {NOW // DAY}, 0, 'gpt-4', 0, 1, 90, 0, 0, 0)")
    speaking = Speaking(max_tokens=60)
    turn = said(alice, "hello", new_conversation(alice, speaking=speaking))
    begun = await store.turns.begin(replace(turn, budgets=Budgets(Budget(tokens_a_day=10_000))))
    assert begun.is_reserved
    await migrate(store.database, store.engine)
    async with open_store(store_options) as later:
        for tokens, fits in ((250, False), (350, True)):
            most = Budgets(Budget(tokens_a_day=tokens))
            asked = later.ledger.reserve_answer(alice.id, None, speaking, 10, most, NOW, LATER)
            if fits:
                assert await asked is not None
            else:
                with pytest.raises(OverBudget):
                    await asked


@pytest.mark.proof("operating")
async def test_many_that_bring_a_populated_database_on_at_once_do_it_once(
    store: SqlStore, store_options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(store.database, store.engine)
    alice = await store.accounts.add_user(new_user("alice"))
    await store.turns.begin(said(alice, "hello", new_conversation(alice)))
    bring(monkeypatch, MOODS)

    async def run() -> list[str]:
        async with open_store(store_options) as mine:
            return await migrate(mine.database, mine.engine)

    assert sorted(await asyncio.gather(*(run() for _ in range(4)))) == [[], [], [], [NEXT]]
    assert [row[0] for row in await rows(store, "SELECT title FROM conversations")] == ["A talk, calm; -- as ever"]


async def test_migration_that_breaks_off_leaves_the_old_version_whole(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(store.database, store.engine)
    alice = await store.accounts.add_user(new_user("alice"))
    await store.turns.begin(said(alice, "hello", new_conversation(alice)))
    before, tables_before = await dump(store), await tables(store)
    bring(monkeypatch, MOODS + "UPDATE conversations SET nothing = 1;\n")
    with pytest.raises(Exception, match="nothing"):
        await migrate(store.database, store.engine)
    assert (await dump(store), await tables(store)) == (before, tables_before)
    # Repaired, it goes through.
    bring(monkeypatch, MOODS)
    assert await migrate(store.database, store.engine) == [NEXT]


async def test_first_migration_that_breaks_off_leaves_nothing(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    [first, *_] = migrations()
    broken = [Migration(first.version, first.name, f"{first.text}\nUPDATE nothing SET x = 1;\n")]
    monkeypatch.setattr(migrating, "migrations", lambda: broken)
    with pytest.raises(Exception, match="nothing"):
        await migrate(store.database, store.engine)
    assert await tables(store) == set()
    assert await schema_version(store.database, store.engine) == 0


async def test_schema_can_be_brought_to_an_earlier_version_alone(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(monkeypatch, MOODS)
    assert await migrate(store.database, store.engine, up_to=1) == [FIRST]
    assert await schema_version(store.database, store.engine) == 1


async def test_older_program_refuses_a_newer_schema_and_says_what_to_do(store: SqlStore) -> None:
    await migrate(store.database, store.engine)
    await store.database.write(lambda tx: tx.run("UPDATE schema_version SET version = 999"))
    before = await dump(store)
    known = migrations()[-1].version
    for ask in (migrate, check_schema):
        with pytest.raises(SchemaTooNew) as refused:
            await ask(store.database, store.engine)
        assert str(refused.value) == (
            f"The database has schema version 999, and this Palaver knows versions up to {known}. "
            "A newer Palaver has changed it: install that version, or restore a backup made before the change."
        )
    assert await dump(store) == before


async def test_database_of_something_else_is_not_touched(store: SqlStore) -> None:
    await store.database.write(lambda tx: tx.run("CREATE TABLE schema_version (version BIGINT)"))
    with pytest.raises(StoreUnavailable, match="no Palaver database"):
        await migrate(store.database, store.engine)
    assert await tables(store) == {"schema_version"}


def test_files_of_the_schema_are_numbered_without_a_gap() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))
