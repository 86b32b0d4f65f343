"""Passages are found by any of their words and by their meaning, by who may search them, and by nobody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from palaver.chat.clock import SECOND, Micros
from palaver.chat.errors import NotFound
from palaver.chat.knowledge import (
    HELD_SECONDS,
    UNWANTED_SECONDS,
    Collection,
    CollectionChange,
    Embedding,
    Hits,
    Passage,
    Source,
)
from palaver.chat.user import NOT_STORED, Reader, User
from palaver.chat.words import to_words
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store import sqlite as engine
from palaver.store.database import Transaction
from palaver.store.knowledge import sqlite_vectors, words
from palaver.store.migrate import migrate
from tests.parts.postgres import Postgres
from tests.ports.knowing import (
    arrive,
    claim,
    collect,
    cut,
    everything,
    found,
    holding,
    keep,
    looking_on,
    near,
    read,
    search,
)
from tests.ports.talking import LATER, NOW, new_user, rows
from tests.ports.test_search import WAITING

HOSTILE = (
    " ", '"', "'", "*", "a*", '1@x" OR "2@y', "NEAR(a b)", "a AND", "NOT a", "words:a", "(", "a:*", "' & '", "!a",
    "a <-> b", "\\", "%", "\x00", "🜁", "-1", "a" * 5000, "x y z " * 2000, "'; DROP TABLE passages; --",
)  # fmt: skip

RARE = "a lighthouse stands here alone"


@pytest.fixture
async def notes(store: SqlStore, alice: User) -> Collection:
    return await collect(store, alice)


async def test_passage_is_found_by_any_of_its_words_in_any_form(
    store: SqlStore, alice: User, notes: Collection
) -> None:
    texts = [
        "The invoices are kept for ten years.", "Der Vertrag läuft Ende März aus.", "Le fatture si pagano a Zürich.",
        "東京都に行く", "Cancelling takes thirty days.",
    ]  # fmt: skip
    await keep(store, notes, "a.txt", *texts)
    for wanted, number in (
        ("invoice", 0), ("Verträge", 1), ("VERTRAGES", 1), ("fattura zurich", 2), ("京都", 3), ("cancelled", 4),
        ("nothing but years", 0), ("cancel", 4),
    ):  # fmt: skip
        assert await found(store, alice, "Notes", wanted) == [texts[number]], wanted
    assert await found(store, alice, "Notes", "nothing") == await found(store, alice, "Notes", "") == []


async def test_passage_comes_with_where_it_stands(store: SqlStore, alice: User, notes: Collection) -> None:
    document, _ = await arrive(store, notes, "sea/law.pdf", b"x")
    [one, two] = cut("Of ships. ", "Of harbours.", heading="Law › Sea")
    await read(store, await claim(store), [one, replace(two, page=7)])
    [passage] = (await search(store, alice, notes.uuid, "harbour")).by_words
    assert passage == Passage(
        passage.id, document.uuid, "sea/law.pdf", 1, 10, 22, "Of harbours.", page=7, heading="Law › Sea"
    )
    # What it stands under says what it is about.
    assert len((await search(store, alice, "Notes", "sea")).by_words) == 2
    assert len((await search(store, alice, "Notes", "sea", limit=1)).by_words) == 1


async def test_rare_word_weighs_more_than_many_frequent_ones(store: SqlStore, alice: User, notes: Collection) -> None:
    await keep(store, notes, "a.txt", *[f"the ship is in the harbour today {n}" for n in range(40)], "a lighthouse")
    assert (await found(store, alice, "Notes", "is the lighthouse in the harbour"))[0] == "a lighthouse"
    # Where there is nothing rarer, what they all have is still found.
    assert len(await found(store, alice, "Notes", "the harbour")) == 8


async def test_what_others_keep_does_not_change_what_is_rare(
    store: SqlStore, alice: User, bob: User, notes: Collection
) -> None:
    await keep(store, notes, "a.txt", *[f"the harbour {n} lies far north" for n in range(40)], RARE)
    before = await found(store, alice, "Notes", "which lighthouse lies far north of the harbour")
    assert before[0] == RARE
    for number in range(4):
        await keep(store, await collect(store, bob, f"{number}"), "b.txt", *["quite other words"] * 100)
    assert await found(store, alice, "Notes", "which lighthouse lies far north of the harbour") == before


async def test_what_others_are_having_read_does_not_change_what_is_rare(
    store: SqlStore, alice: User, bob: User, notes: Collection
) -> None:
    await keep(store, notes, "a.txt", *[f"the harbour {n} lies far north" for n in range(40)], RARE)
    await arrive(store, await collect(store, bob), "b.txt", b"x")
    assert await store.documents.add_passages(await claim(store), cut(*["quite other words"] * 400))
    assert (await found(store, alice, "Notes", "which lighthouse lies far north of the harbour"))[0] == RARE


async def test_passages_are_found_by_who_may_search_them_as_long_as_they_may(
    store: SqlStore, alice: User, bob: User, notes: Collection
) -> None:
    admin = replace(await store.accounts.add_user(new_user("admin")), is_admin=True)
    guest = new_user("guest", "guest")
    assert guest.id == NOT_STORED
    await keep(store, notes, "a.txt", "a secret")

    async def finders() -> list[str]:
        people = (alice, bob, admin, guest)
        return [
            one.name for one in people for where in (notes.uuid, "Notes") if await found(store, one, where, "secret")
        ]

    assert await finders() == ["alice"] * 2
    await store.collections.share(notes.id, ["bob"])
    assert await finders() == ["alice", "alice", "bob", "bob"]
    await store.collections.share(notes.id, [])
    assert await finders() == ["alice"] * 2
    await store.collections.change(notes.id, CollectionChange(is_public=True), LATER)
    assert len(await finders()) == 8
    await store.collections.change(notes.id, CollectionChange(is_public=False), LATER)
    assert await finders() == ["alice"] * 2


async def test_what_is_being_read_or_taken_away_keeps_nothing_else_from_being_found(
    store: SqlStore, alice: User, notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "FEW", 5)
    large = cut(*[f"kettle {n} has a warranty and no refund" for n in range(40)])
    asked = "kettle warranty refund"
    first, _ = await arrive(store, notes, "large.txt", b"x")
    claimed = await claim(store)
    await store.documents.add_passages(claimed, large[:30])
    await keep(store, notes, "small.txt", "Of a toaster there is a refund.")
    await store.documents.add_passages(claimed, large[30:])
    assert await found(store, alice, "Notes", asked) == ["Of a toaster there is a refund."]
    await store.documents.finish(claimed, LATER)
    assert len(await found(store, alice, "Notes", asked)) == 8
    await store.clearing.close()
    await store.documents.delete(first.id)
    await store.clearing.close()
    assert await found(store, alice, "Notes", asked) == ["Of a toaster there is a refund."]
    await store.documents.drop_unfinished(NOW)
    assert await found(store, alice, "Notes", asked) == ["Of a toaster there is a refund."]


# PostgreSQL looks at all of them at once.
@pytest.mark.parametrize("store_kind", ["sqlite"])
async def test_no_more_places_are_looked_at_where_what_is_left_out_lies_between_them(
    store: SqlStore, alice: User, notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = words.SqliteWords.WEIGHED_HITS.replace(f"{words.MOST_HITS}", "8")
    monkeypatch.setattr(words.SqliteWords, "WEIGHED_HITS", hits)
    await keep(store, notes, "before.txt", *[f"kettle {n}" for n in range(8)])
    await arrive(store, notes, "between.txt", b"x")
    await store.documents.add_passages(await claim(store), cut("kettle"))
    await keep(store, notes, "behind.txt", *[f"kettle {n}" for n in range(8)])
    assert len((await search(store, alice, "Notes", "kettle", limit=20)).by_words) == 8


async def test_collection_of_ones_own_is_searched_alone(
    store: SqlStore, alice: User, bob: User, notes: Collection
) -> None:
    await keep(store, await collect(store, bob, is_public=True), "b.txt", "apple of bob")
    await keep(store, notes, "a.txt", "apple of alice")
    assert await found(store, alice, "Notes", "apple") == ["apple of alice"]
    assert await found(store, bob, "Notes", "apple") == ["apple of bob"]
    assert await search(store, alice, "Other", "apple") == Hits()


async def test_whatever_is_looked_for_finds_nothing_that_does_not_hold_it(
    store: SqlStore, alice: User, bob: User
) -> None:
    await keep(store, await collect(store, bob), "b.txt", "y")
    await keep(store, await collect(store, alice), "a.txt", "peach")
    for text in HOSTILE:
        assert await found(store, alice, "Notes", text) == [], text
        name = text.replace("\x00", "")
        assert await store.passages.search(Reader(alice.id), name, ["peach"], None, 8) == Hits(), text


async def test_citation_tells_what_its_reader_may_see_now(
    store: SqlStore, alice: User, bob: User, notes: Collection
) -> None:
    document = await keep(store, notes, "a.txt", "one", "two", heading="Top")
    sources = [Source(1, document.uuid, 1), Source(2, document.uuid, 9), Source(3, "nowhere", 0, "old", 3, "old")]
    seen = Source(1, document.uuid, 1, "a.txt", None, "Top")
    unseen = [replace(one, name="", page=None, heading="") for one in sources]
    assert await store.passages.cite(Reader(alice.id), sources) == [seen, *unseen[1:]]
    assert await store.passages.cite(Reader(bob.id), sources) == unseen
    assert await store.passages.cite(Reader(bob.id, is_admin=True), [seen]) == unseen[:1]
    await store.collections.share(notes.id, ["bob"])
    assert await store.passages.cite(Reader(bob.id), sources[:1]) == [seen]
    await store.documents.delete(document.id)
    assert await store.passages.cite(Reader(alice.id), [seen]) == unseen[:1]
    assert await store.passages.cite(Reader(alice.id), []) == []


# By meaning


async def embed(store: SqlStore, embedding: Embedding, **meanings: tuple[float, ...]) -> list[str]:
    """Gives every text that lacks one the vector of the word it begins with; the texts that it was asked for."""
    asked = []
    while texts := await store.passages.without_vectors(embedding.id, 2):
        asked += [text for _, text in texts]
        await store.passages.keep_vectors(
            embedding.id, [(digest, meanings[to_words(text)[0]]) for digest, text in texts]
        )
    return asked


FRUIT = {"apple": (1.0, 0.1, 0.0), "pear": (0.9, 0.3, 0.0), "stone": (0.0, -0.1, 1.0), "half": (1.0, 0.1, 0.0)}


@pytest.fixture
async def embedding(store: SqlStore) -> Embedding:
    """Of three numbers."""
    assert await store.passages.can_embed()
    return await store.passages.use_embedding("fruit", 3, NOW)


async def test_passages_are_found_by_meaning_once_all_have_vectors(
    store: SqlStore, alice: User, notes: Collection, embedding: Embedding
) -> None:
    await keep(store, notes, "a.txt", "stone", "pear", "apple", "stone too")
    await keep(store, notes, "b.txt", "apple", "pear two")
    assert await store.passages.use_embedding("fruit", 3, LATER) == embedding
    assert not await store.passages.make_current(embedding.id, NOW)
    assert await store.passages.embedding() is None
    assert await near(store, alice, "Notes", 1.0, 0.0, 0.0) == []
    # Each text once, whoever has it.
    assert await embed(store, embedding, **FRUIT) == ["stone", "pear", "apple", "stone too", "pear two"]
    assert await store.passages.make_current(embedding.id, NOW)
    assert await store.passages.embedding() == replace(embedding, is_current=True)
    assert await near(store, alice, "Notes", 1.0, 0.0, 0.0) == [
        "apple", "apple", "pear", "pear two", "stone", "stone too",
    ]  # fmt: skip
    assert (await near(store, alice, "Notes", 0.0, 0.0, 9.0))[:2] == ["stone", "stone too"]
    hits = await search(store, alice, "Notes", "two", vector=(0.0, 0.0, 1.0), limit=1)
    assert [[one.text for one in some] for some in (hits.by_words, hits.by_meaning)] == [["pear two"], ["stone"]]
    # Numbers of another model's size mean nothing here.
    assert await near(store, alice, "Notes", 1.0, 0.0) == []


async def test_what_was_embedded_before_is_not_asked_for_again(
    store: SqlStore, alice: User, bob: User, notes: Collection, embedding: Embedding
) -> None:
    await keep(store, notes, "a.txt", "apple", "pear")
    await embed(store, embedding, **FRUIT)
    assert await store.passages.make_current(embedding.id, NOW)
    theirs = await collect(store, bob)
    await keep(store, theirs, "b.txt", "pear", "stone", "apple")
    await keep(store, theirs, "c.txt", "apple")
    assert await embed(store, embedding, **FRUIT) == ["stone"]
    assert await near(store, bob, "Notes", 1.0, 0.1, 0.0) == ["apple", "apple", "pear", "stone"]
    assert await near(store, alice, "Notes", 1.0, 0.1, 0.0) == ["apple", "pear"]
    assert await near(store, alice, theirs.uuid, 1.0, 0.1, 0.0) == []


async def test_half_a_document_is_never_found_by_meaning_either(
    store: SqlStore, alice: User, notes: Collection, embedding: Embedding
) -> None:
    await keep(store, notes, "a.txt", "apple")
    await embed(store, embedding, **FRUIT)
    assert await store.passages.make_current(embedding.id, NOW)
    document, _ = await arrive(store, notes, "b.txt", b"x")
    claimed = await claim(store)
    await store.documents.add_passages(claimed, cut("apple", "half"))
    assert await embed(store, embedding, **FRUIT) == []
    assert await near(store, alice, "Notes", 1.0, 0.1, 0.0) == ["apple"]
    await store.documents.finish(claimed, LATER)
    assert await embed(store, embedding, **FRUIT) == ["half"]
    assert len(await near(store, alice, "Notes", 1.0, 0.1, 0.0)) == 3
    # Found no more from the first moment on, whatever its vectors say.
    await store.clearing.close()
    await store.documents.delete(document.id)
    await store.clearing.close()
    assert await near(store, alice, "Notes", 1.0, 0.1, 0.0) == ["apple"]


async def test_what_is_taken_away_keeps_nothing_that_is_less_near_from_being_found(
    store: SqlStore, alice: User, notes: Collection, embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_vectors, "ALL_COMPARED", 0)
    monkeypatch.setattr(sqlite_vectors, "OF_THE_FIRST", 1)
    gone = await keep(store, notes, "gone.txt", *[f"apple {number}" for number in range(40)])
    await keep(store, notes, "kept.txt", "stone")
    await embed(store, embedding, **FRUIT)
    assert await store.passages.make_current(embedding.id, NOW)
    await store.clearing.close()
    await store.documents.delete(gone.id)
    await store.clearing.close()
    assert await near(store, alice, "Notes", 1.0, 0.1, 0.0) == ["stone"]


async def test_another_model_takes_over_when_it_has_all_and_the_old_one_answers_till_then(
    store: SqlStore, alice: User, notes: Collection, embedding: Embedding
) -> None:
    await keep(store, notes, "a.txt", "apple", "pear", "stone")
    await embed(store, embedding, **FRUIT)
    assert await store.passages.make_current(embedding.id, NOW)
    new = await store.passages.use_embedding("colours", 2, NOW)
    first = await store.passages.without_vectors(new.id, 1)
    await store.passages.keep_vectors(new.id, [(digest, (1.0, 0.0)) for digest, _ in first])
    assert not await store.passages.make_current(new.id, NOW)
    assert await store.passages.embedding() == replace(embedding, is_current=True)
    assert (await near(store, alice, "Notes", 0.0, 0.0, 1.0))[0] == "stone"
    await embed(store, new, apple=(1.0, 0.0), pear=(0.5, 1.0), stone=(-1.0, 0.5))
    # Not while a server is set to the old one: the two would take turns.
    assert not await store.passages.make_current(new.id, NOW)
    over = Micros(NOW + HELD_SECONDS * SECOND)
    await store.passages.use_embedding("fruit", 3, Micros(over - 1))
    assert not await store.passages.make_current(new.id, over)
    over = Micros(2 * over - NOW)
    assert await store.passages.make_current(new.id, over)
    assert await store.passages.embedding() == replace(new, is_current=True, wanted_at=over)
    assert (await near(store, alice, "Notes", -1.0, 0.5))[0] == "stone"
    assert not await store.passages.make_current(embedding.id, Micros(over - 1))
    # The old one is kept for a day.
    await store.passages.drop_old_embeddings(Micros(over + UNWANTED_SECONDS * SECOND))
    await store.documents.drop_unfinished(NOW)
    assert len(await rows(store, f"SELECT 1 FROM vectors_{embedding.id}")) == 3
    await store.passages.drop_old_embeddings(Micros(over + UNWANTED_SECONDS * SECOND + 1))
    await store.documents.drop_unfinished(NOW)
    assert not [table for table in await everything(store) if table.endswith(f"_{embedding.id}")]
    # Who still works for the old one does no harm.
    assert await store.passages.without_vectors(embedding.id, 9) == []
    await store.passages.keep_vectors(embedding.id, [(first[0][0], (1.0, 0.0, 0.0))])
    assert not await store.passages.make_current(embedding.id, NOW)
    # It can be used again, and begins anew.
    again = await store.passages.use_embedding("fruit", 3, NOW)
    assert await embed(store, again, **FRUIT) == ["apple", "pear", "stone"]


async def test_vectors_that_are_being_made_are_kept_however_long_that_takes(
    store: SqlStore, embedding: Embedding
) -> None:
    left = await store.passages.use_embedding("left", 3, NOW)
    later = Micros(NOW + 2 * UNWANTED_SECONDS * SECOND)
    assert await store.passages.lease_embedding(embedding.id, later, later)
    await store.passages.drop_old_embeddings(later)
    await store.documents.drop_unfinished(NOW)
    kept = [table for table in await everything(store) if table.startswith("vectors_")]
    assert kept == [f"vectors_{embedding.id}"] != [f"vectors_{left.id}"]


async def test_vectors_of_what_was_deleted_are_gone(
    store: SqlStore, alice: User, notes: Collection, embedding: Embedding
) -> None:
    kept = await keep(store, notes, "kept.txt", "pear")
    gone = await keep(store, notes, "gone.txt", "apple", "pear")
    await embed(store, embedding, **FRUIT)
    table = f"vectors_{embedding.id}"
    assert len(await rows(store, f"SELECT 1 FROM {table}")) == 3
    before = (await everything(store))[table]
    await store.documents.delete(gone.id)
    await store.documents.drop_unfinished(NOW)
    assert [row[0] for row in await rows(store, f"SELECT passage_id FROM {table}")] == [
        one.id for one in await store.documents.passages(kept.id, first=0, limit=9)
    ]
    assert (await everything(store))[table] != before
    # A vector that comes late, for what is not there any more, is not kept.
    await store.passages.keep_vectors(embedding.id, [(b"no such digest", (1.0, 0.0, 0.0))])
    assert len(await rows(store, f"SELECT 1 FROM {table}")) == 1
    assert await store.passages.make_current(embedding.id, NOW)
    assert await near(store, alice, "Notes", 1.0, 0.1, 0.0) == ["pear"]


async def test_search_goes_on_while_models_change(
    store: SqlStore, other_store: SqlStore, alice: User, notes: Collection
) -> None:
    await keep(store, notes, "a.txt", "apple")

    async def look() -> None:
        hits = await search(other_store, alice, "Notes", "apple", vector=(1.0, 0.1, 0.0))
        assert [one.text for one in hits.by_words] == ["apple"]

    async with looking_on(look) as another_look:
        for number in range(10):
            now = Micros(NOW + number * 2 * UNWANTED_SECONDS * SECOND)
            embedding = await store.passages.use_embedding(f"model {number}", 3, now)
            await embed(store, embedding, **FRUIT)
            assert await store.passages.make_current(embedding.id, now)
            await store.passages.drop_old_embeddings(now)
            await store.documents.drop_unfinished(NOW)
            await another_look()


# Only there two write at once.
@pytest.mark.parametrize("store_kind", ["postgres"])
async def test_vector_that_comes_while_its_passage_is_deleted_is_not_kept(
    store: SqlStore, other_store: SqlStore, notes: Collection, embedding: Embedding
) -> None:
    await keep(store, notes, "a.txt", "apple")
    [(digest, _)] = await store.passages.without_vectors(embedding.id, 1)

    async def delete_meanwhile(tx: Transaction) -> asyncio.Task[None]:
        await tx.run("DELETE FROM passages")
        keeping = asyncio.create_task(store.passages.keep_vectors(embedding.id, [(digest, FRUIT["apple"])]))
        while await rows(store, WAITING) == []:
            assert not keeping.done()
        return keeping

    await (await other_store.database.write(delete_meanwhile))
    assert await rows(store, f"SELECT passage_id FROM vectors_{embedding.id}") == []


# Without vectors


@pytest.fixture
async def wordy_store(
    request: pytest.FixtureRequest, store_options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SqlStore]:
    """One that can search words alone: sqlite-vec is not there; the role may not install pgvector."""
    monkeypatch.setattr(engine, "find_vectors", lambda: None)
    if store_options.database_url is not None:
        postgres: Postgres = request.getfixturevalue("postgres")
        store_options = replace(store_options, database_url=plain_database(postgres))
    async with open_store(store_options) as store:
        await migrate(store.database, store.engine)
        yield store


def plain_database(postgres: Postgres) -> str:
    """The URL of an empty database, for somebody who may do no more in it than make tables."""
    name = postgres.create_database()
    role = f"plain_{name}"
    postgres.execute(f"CREATE ROLE {role} LOGIN")
    postgres.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {role}", database=name)
    return postgres.url(name).replace("postgres@", f"{role}@")


async def test_where_vectors_cannot_be_searched_words_serve_alone(wordy_store: SqlStore) -> None:
    alice = await wordy_store.accounts.add_user(new_user("alice"))
    notes = await collect(wordy_store, alice)
    document = await keep(wordy_store, notes, "a.txt", "apple pie")
    assert not await wordy_store.passages.can_embed()
    assert await wordy_store.passages.embedding() is None
    with pytest.raises(NotFound):
        await wordy_store.passages.use_embedding("fruit", 3, NOW)
    hits = await search(wordy_store, alice, "Notes", "apples", vector=(1.0, 0.0, 0.0))
    assert [[one.text for one in some] for some in (hits.by_words, hits.by_meaning)] == [["apple pie"], []]
    await wordy_store.documents.delete(document.id)
    await wordy_store.documents.drop_unfinished(NOW)
    assert await holding(wordy_store, b"apple pie") == set()


# There alone vectors can be out of reach that were in reach before.
@pytest.mark.parametrize("store_kind", ["sqlite"])
async def test_vectors_that_were_out_of_reach_go_when_they_can_be_reached_again(
    store: SqlStore,
    alice: User,
    notes: Collection,
    embedding: Embedding,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = await keep(store, notes, "a.txt", "apple", "pear")
    await embed(store, embedding, **FRUIT)
    assert await store.passages.make_current(embedding.id, NOW)
    bits = f"bits_{embedding.id}_rowids"
    assert len(await rows(store, f"SELECT 1 FROM {bits}")) == 2
    with monkeypatch.context() as without:
        without.setattr(engine, "find_vectors", lambda: None)
        async with open_store(StoreOptions(tmp_path)) as wordy:
            hits = await search(wordy, alice, "Notes", "apple", vector=(1.0, 0.1, 0.0))
            assert ([one.text for one in hits.by_words], hits.by_meaning) == (["apple"], ())
            await wordy.documents.delete(document.id)
            await wordy.documents.drop_unfinished(NOW)
            assert await rows(wordy, f"SELECT 1 FROM vectors_{embedding.id}") == []
    assert len(await rows(store, f"SELECT 1 FROM {bits}")) == 2
    await store.documents.drop_unfinished(NOW)
    assert await rows(store, f"SELECT 1 FROM {bits}") == await rows(store, "SELECT 1 FROM bits_left") == []
