"""Documents get in part by part, are read by one worker at a time, and are searched whole or not at all."""

import asyncio
import hashlib

import pytest

from palaver.chat.clock import SECOND, Micros
from palaver.chat.errors import NotFound, OverQuota
from palaver.chat.knowledge import Collection, Document, Quota
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from palaver.store.knowledge import clearing
from tests.ports.knowing import ANY, arrive, claim, collect, cut, found, holding, keep, looking_on, read, search
from tests.ports.talking import LATER, NOW, dump, rows

TRACE = b"drilateraliss"
SECRET = "quadrilateralissimo"
MEBIBYTE = 1 << 20


@pytest.fixture
async def notes(store: SqlStore, alice: User) -> Collection:
    return await collect(store, alice)


async def seen(store: SqlStore, notes: Collection) -> Collection:
    return await store.collections.access(Reader(notes.owner_id), notes.uuid)


async def listed(store: SqlStore, notes: Collection) -> list[tuple[str, str]]:
    documents, total = await store.documents.listed(notes.id, limit=50, offset=0)
    assert total == len(documents)
    return [(one.name, one.status) for one in documents]


async def test_document_comes_back_byte_for_byte_in_its_parts(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User, notes: Collection
) -> None:
    parts = [bytes(range(256)) * 4096, b"\x00" * MEBIBYTE, b"the end"]
    begun = await store.documents.begin(notes.id, "big.bin", "application/x", NOW)
    for number, data in enumerate(parts):
        await store.documents.add_part(begun.id, number, data, ANY, NOW)
    # One that comes twice, as its sender had not heard that it was kept.
    await store.documents.add_part(begun.id, 1, parts[1], ANY, NOW)
    assert await listed(store, notes) == []
    with pytest.raises(NotFound):
        await store.documents.access(Reader(alice.id), begun.uuid)
    digest = hashlib.sha256(b"".join(parts)).digest()
    assert await store.documents.has(notes.id, "big.bin", digest) is None
    document, known = await store.documents.arrive(begun.id, digest, LATER, ANY)
    assert (document.size, document.status, document.media_type, known) == (
        sum(map(len, parts)), "waiting", "application/x", False,
    )  # fmt: skip
    assert [await other_store.documents.part(document.id, number) for number in range(4)] == [*parts, None]
    assert await listed(store, notes) == [("big.bin", "waiting")]
    assert await store.documents.has(notes.id, "big.bin", digest) == document
    assert await store.documents.has(notes.id, "other.bin", digest) is None
    assert await store.documents.access(Reader(alice.id), document.uuid) == (document, await seen(store, notes))
    with pytest.raises(NotFound):
        await store.documents.access(Reader(bob.id), document.uuid)
    assert ((await seen(store, notes)).document_count, (await seen(store, notes)).size) == (1, document.size)
    # It takes no more parts.
    with pytest.raises(NotFound):
        await store.documents.add_part(document.id, 3, b"more", ANY, NOW)


async def test_documents_are_listed_by_name_page_by_page(store: SqlStore, notes: Collection) -> None:
    for name in ("b", "a", "c", "a/b"):
        await arrive(store, notes, name, name.encode())
    pages = [await store.documents.listed(notes.id, limit=3, offset=offset) for offset in (0, 3, 9)]
    assert [[one.name for one in page] for page, _ in pages] == [["a", "a/b", "b"], ["c"], []]
    assert [total for _, total in pages] == [4, 4, 4]


async def test_same_bytes_under_the_same_name_change_nothing(store: SqlStore, alice: User, notes: Collection) -> None:
    first = await keep(store, notes, "a.txt", "apple")
    before = await dump(store)
    assert await arrive(store, notes, "a.txt", b"apple") == (first, True)
    await store.documents.drop_unfinished(NOW)
    assert {table: kept for table, kept in (await dump(store)).items() if table != "collections"} == {
        table: kept for table, kept in before.items() if table != "collections"
    }
    assert await seen(store, notes) == (await store.collections.visible(Reader(alice.id)))[0]
    assert ((await seen(store, notes)).document_count, (await seen(store, notes)).size) == (1, 5)
    # Under another name they are another document.
    assert (await arrive(store, notes, "b.txt", b"apple"))[1] is False


async def test_replaced_document_is_found_until_its_successor_is_and_then_leaves_no_trace(
    store: SqlStore, alice: User, notes: Collection
) -> None:
    old = await keep(store, notes, "a.txt", f"fruit {SECRET}")
    new, _ = await arrive(store, notes, "a.txt", b"fruit pear")
    assert await listed(store, notes) == [("a.txt", "ready"), ("a.txt", "waiting")]
    claimed = await claim(store)
    assert await store.documents.add_passages(claimed, cut("fruit pear"))
    assert await found(store, alice, "Notes", "fruit") == [f"fruit {SECRET}"]
    assert await store.documents.finish(claimed, LATER)
    assert await found(store, alice, "Notes", "fruit") == ["fruit pear"]
    with pytest.raises(NotFound):
        await store.documents.access(Reader(alice.id), old.uuid)
    assert await store.documents.passages(old.id, first=0, limit=9) == []
    assert await listed(store, notes) == [("a.txt", "ready")]
    await store.documents.drop_unfinished(NOW)
    assert await holding(store, TRACE) == set()
    now = await seen(store, notes)
    assert (now.document_count, now.size) == (1, new.size)


async def test_whoever_searches_while_a_document_is_replaced_finds_one_whole_version(
    store: SqlStore, other_store: SqlStore, alice: User, notes: Collection
) -> None:
    await keep(store, notes, "a.txt", "fruit 0", "fruit 0 again")

    async def look() -> None:
        texts = await found(other_store, alice, "Notes", "fruit")
        versions = {text.split()[1] for text in texts}
        assert (len(texts), len(versions)) == (2, 1), texts

    async with looking_on(look) as another_look:
        for number in range(1, 20):
            await keep(store, notes, "a.txt", f"fruit {number}", f"fruit {number} again")
            await another_look()


async def test_of_several_uploads_of_one_name_the_last_stays(store: SqlStore, alice: User, notes: Collection) -> None:
    first = await keep(store, notes, "a.txt", "apple")
    await arrive(store, notes, "a.txt", b"pear")
    last, known = await arrive(store, notes, "a.txt", b"plum")
    assert not known
    assert await listed(store, notes) == [("a.txt", "ready"), ("a.txt", "waiting")]
    # What was there at first would be replaced by what came between: it has to come again.
    again, known = await arrive(store, notes, "a.txt", b"apple")
    assert (known, again.id > last.id) == (False, True)
    claimed = await claim(store)
    assert claimed.document.id == again.id
    await read(store, claimed, cut("apple anew"))
    assert await found(store, alice, "Notes", "apple pear plum") == ["apple anew"]
    assert await store.documents.claim(LATER, NOW) is None
    assert first.id != again.id


async def test_nobody_keeps_more_than_the_quota_however_many_upload_at_once(
    store: SqlStore, other_store: SqlStore, alice: User, notes: Collection
) -> None:
    quota = Quota(documents=3, bytes=1000)
    other_notes = await collect(store, alice, "Other")
    uploads = [
        arrive(one, collection, f"{number}", b"x" * 150, quota=quota)
        for number in range(4)
        for one in (store, other_store)
        for collection in (notes, other_notes)
    ]
    done = await asyncio.gather(*uploads, return_exceptions=True)
    refused = [one for one in done if isinstance(one, BaseException)]
    assert {type(one) for one in refused} == {OverQuota}
    kept = [await seen(store, one) for one in (notes, other_notes)]
    [[held]] = await rows(store, "SELECT SUM(length(data)) FROM document_parts")
    assert held <= 1000
    assert sum(one.document_count for one in kept) <= 3
    # What never came to its end gives its place back.
    await store.documents.drop_unfinished(Micros(NOW + 1))
    while sum(one.document_count for one in [await seen(store, each) for each in (notes, other_notes)]) < 3:
        await arrive(store, notes, f"n{len(await listed(store, notes))}", b"y" * 150, quota=quota)
    with pytest.raises(OverQuota) as over:
        await arrive(store, notes, "one more", b"", quota=quota)
    assert (over.value.what, over.value.most) == ("documents", 3)
    with pytest.raises(OverQuota) as over:
        await arrive(store, notes, "one more", b"z" * 900, quota=quota)
    assert (over.value.what, over.value.most) == ("bytes", 1000)
    # One that takes another's place needs none of its own.
    where = notes if await listed(store, notes) else other_notes
    [name, _] = (await listed(store, where))[0]
    assert (await arrive(store, where, name, b"new", quota=quota))[1] is False


async def test_text_that_was_read_counts_to_the_quota(store: SqlStore, notes: Collection) -> None:
    quota = Quota(bytes=1000)
    first, _ = await arrive(store, notes, "first", b"x" * 100, quota=quota)
    await read(store, await claim(store), cut("ä" * 200))
    [kept] = await rows(store, "SELECT size, text_size FROM collections")
    assert tuple(kept) == (100, 400)
    await arrive(store, notes, "bomb", b"y" * 10, quota=quota)
    claimed = await claim(store)
    assert await store.documents.add_passages(claimed, cut("z" * 490))
    # Once more, as its sender had not heard: it counts once.
    assert await store.documents.add_passages(claimed, cut("z" * 490))
    with pytest.raises(OverQuota):
        await store.documents.add_passages(claimed, cut("z" * 490, "!")[1:])
    assert await store.documents.fail(claimed, "too_large", NOW)
    with pytest.raises(OverQuota):
        await arrive(store, notes, "more", b"y" * 491, quota=quota)
    await store.documents.drop_unfinished(LATER)
    # Whoever may put anything, as `palaver ingest` does.
    await arrive(store, notes, "of an admin", b"y" * 10)
    await read(store, await claim(store), cut("z" * 5000))
    await store.documents.delete(first.id)
    [kept] = await rows(store, "SELECT size, text_size FROM collections")
    assert tuple(kept) == (20, 5000)


async def test_two_workers_never_have_the_same_document(
    store: SqlStore, other_store: SqlStore, notes: Collection
) -> None:
    documents = [(await arrive(store, notes, f"{number}", b"%d" % number))[0] for number in range(12)]
    lease = Micros(NOW + 10 * SECOND)
    # As many as there are documents: none of them comes away empty-handed.
    claims = await asyncio.gather(*(one.documents.claim(lease, NOW) for one in (store, other_store) for _ in range(6)))
    claimed = [one for one in claims if one is not None]
    assert sorted(one.document.id for one in claimed) == [one.id for one in documents]
    assert {one.attempt for one in claimed} == {1}
    assert {status for _, status in await listed(store, notes)} == {"reading"}


async def test_document_that_has_waited_longest_is_read_first(store: SqlStore, notes: Collection) -> None:
    for number in range(3):
        await arrive(store, notes, f"{number}", b"%d" % number, now=Micros(NOW + number))
    assert [(await claim(store)).document.name for _ in range(3)] == ["0", "1", "2"]
    assert await store.documents.claim(LATER, NOW) is None


async def test_one_who_brings_many_documents_keeps_nobody_waiting_for_all_of_them(
    store: SqlStore, alice: User, bob: User, notes: Collection
) -> None:
    await keep(store, notes, "earlier", "apple")
    for number in range(4):
        await arrive(store, notes, f"alice {number}", b"%d" % number, now=Micros(NOW + number))
    other = await collect(store, alice, "Other")
    await arrive(store, other, "alice, elsewhere", b"x", now=Micros(NOW + 4))
    theirs = await collect(store, bob)
    for number in range(2):
        await arrive(store, theirs, f"bob {number}", b"%d" % number, now=Micros(LATER + number))
    claimed = [(await claim(store, now=Micros(LATER + number))).document.name for number in range(7)]
    assert claimed == ["bob 0", "alice 0", "bob 1", "alice 1", "alice 2", "alice 3", "alice, elsewhere"]


async def test_worker_that_lost_its_lease_writes_nothing_and_what_it_had_added_is_gone(
    store: SqlStore, other_store: SqlStore, alice: User, notes: Collection
) -> None:
    document, _ = await arrive(store, notes, "a.txt", b"apple")
    late = await claim(store)
    assert await store.documents.add_passages(late, cut(f"half {SECRET}"))
    renewed = Micros(NOW + 20 * SECOND)
    assert await store.documents.renew(late, renewed)
    assert await other_store.documents.claim(renewed, renewed) is None
    after = Micros(renewed + 1)
    mine = await claim(other_store, now=after)
    assert (mine.document.id, mine.attempt, late.attempt) == (document.id, 2, 1)
    await store.documents.forget_passages(late)
    assert len(await rows(store, "SELECT id FROM passages")) == 1
    await other_store.documents.forget_passages(mine)
    assert await rows(store, "SELECT id FROM passages") == await rows(store, "SELECT rowid FROM passage_words") == []
    await store.documents.drop_unfinished(NOW)
    assert await holding(store, TRACE) == set()
    before = await dump(store)
    assert not await store.documents.renew(late, Micros(after + 60 * SECOND))
    assert not await store.documents.add_passages(late, cut("late"))
    assert not await store.documents.add_passages(late, [])
    assert not await store.documents.finish(late, after)
    assert not await store.documents.fail(late, "broken", after)
    assert await dump(store) == before
    await read(other_store, mine, cut("apple", "pie"))
    assert not await other_store.documents.finish(mine, after)
    assert [one.text for one in await store.documents.passages(document.id, first=0, limit=9)] == ["apple", "pie"]
    assert sorted(await found(store, alice, "Notes", "apple pie half late")) == ["apple", "pie"]


async def test_half_a_document_is_never_found(store: SqlStore, alice: User, notes: Collection) -> None:
    await keep(store, notes, "whole.txt", "apple whole")
    await arrive(store, notes, "half.txt", b"x")
    claimed = await claim(store)
    for number, one in enumerate(cut(*[f"apple {number}" for number in range(30)])):
        assert await store.documents.add_passages(claimed, [one])
        assert await found(store, alice, "Notes", "apple") == ["apple whole"], number
    assert await store.documents.finish(claimed, LATER)
    hits = await search(store, alice, "Notes", "apple", limit=50)
    assert len(hits.by_words) == 31


async def test_passages_added_again_by_the_same_worker_are_there_once(store: SqlStore, notes: Collection) -> None:
    document, _ = await arrive(store, notes, "a.txt", b"x")
    claimed = await claim(store)
    cuts = cut(*[f"number {number}" for number in range(100)])
    assert await store.documents.add_passages(claimed, cuts[:60])
    assert await store.documents.add_passages(claimed, cuts)
    assert await store.documents.finish(claimed, LATER)
    kept = await store.documents.passages(document.id, first=0, limit=200)
    assert [(one.number, one.start, one.end, one.text) for one in kept] == [
        (one.number, one.start, one.end, one.text) for one in cuts
    ]
    assert [one.number for one in await store.documents.passages(document.id, first=98, limit=1)] == [98]
    [[words]] = await rows(store, "SELECT COUNT(*) FROM passage_words")
    assert words == 100


async def test_document_that_cannot_be_read_says_why_and_keeps_no_passage(
    store: SqlStore, alice: User, notes: Collection
) -> None:
    document, _ = await arrive(store, notes, "a.pdf", b"%PDF")
    claimed = await claim(store)
    assert await store.documents.add_passages(claimed, cut(*[f"half {number}" for number in range(50)]))
    assert await store.documents.fail(claimed, "encrypted", LATER)
    failed, _ = await store.documents.access(Reader(alice.id), document.uuid)
    assert (failed.status, failed.problem, failed.passage_count) == ("failed", "encrypted", 0)
    assert await rows(store, "SELECT id FROM passages") == await rows(store, "SELECT rowid FROM passage_words") == []
    assert await store.documents.has(notes.id, "a.pdf", hashlib.sha256(b"%PDF").digest()) is None
    assert await store.documents.claim(LATER, NOW) is None
    # The same bytes can be tried again, and take the failed one's place.
    again, known = await arrive(store, notes, "a.pdf", b"%PDF")
    assert (known, await listed(store, notes)) == (False, [("a.pdf", "waiting")])
    assert again.id != document.id


async def test_document_that_is_deleted_while_it_is_read_leaves_no_trace(
    store: SqlStore, alice: User, notes: Collection
) -> None:
    kept = await keep(store, notes, f"{SECRET}.txt", SECRET)
    document, _ = await arrive(store, notes, "a.txt", SECRET.encode())
    claimed = await claim(store)
    assert await store.documents.add_passages(claimed, cut(f"half {SECRET}"))
    for one in (document, kept, kept):
        await store.documents.delete(one.id)
        with pytest.raises(NotFound):
            await store.documents.access(Reader(alice.id), one.uuid)
    assert await found(store, alice, "Notes", SECRET) == []
    assert not await store.documents.add_passages(claimed, cut("more", SECRET))
    assert not await store.documents.finish(claimed, LATER)
    await store.documents.drop_unfinished(NOW)
    assert await holding(store, TRACE) == set()
    now = await seen(store, notes)
    assert (now.document_count, now.size) == (0, 0)
    assert [row[0] for row in await rows(store, "SELECT passage_count FROM collections")] == [0]


async def test_upload_that_never_ended_is_taken_away(store: SqlStore, notes: Collection) -> None:
    # What counts is when something of it last came.
    begun = [await store.documents.begin(notes.id, name, "text/plain", NOW) for name in ("a", "b")]
    for one, when in zip(begun, (NOW, LATER), strict=True):
        await store.documents.add_part(one.id, 0, b"part", ANY, when)
    assert await store.documents.drop_unfinished(LATER) == 1
    with pytest.raises(NotFound):
        await store.documents.add_part(begun[0].id, 1, b"more", ANY, NOW)
    await store.documents.add_part(begun[1].id, 1, b"more", ANY, NOW)
    assert [row[0] for row in await rows(store, "SELECT arriving_size FROM collections")] == [8]


async def test_nothing_arrives_in_a_collection_that_is_deleted(store: SqlStore, notes: Collection) -> None:
    begun = await store.documents.begin(notes.id, "a", "text/plain", NOW)
    await store.collections.delete(notes.id)
    for late in (
        store.documents.begin(notes.id, "b", "text/plain", NOW),
        store.documents.add_part(begun.id, 0, b"x", ANY, NOW),
        store.documents.arrive(begun.id, b"digest", NOW, ANY),
    ):
        with pytest.raises(NotFound):
            await late


async def test_what_a_dead_process_left_of_a_deletion_goes_with_the_next_sweep(
    store: SqlStore, other_store: SqlStore, notes: Collection
) -> None:
    document: Document = await keep(store, notes, "a.txt", *[f"{SECRET} {number}" for number in range(100)])
    # Hidden, and then it died: as if it had never begun to clear.
    await store.clearing.close()
    await store.documents.delete(document.id)
    await store.clearing.close()
    assert await holding(store, TRACE) != set()
    await other_store.documents.drop_unfinished(NOW)
    assert await holding(store, TRACE) == set()


async def test_what_is_deleted_just_as_a_clearing_ends_is_cleared_too(
    store: SqlStore, notes: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "CALM_SECONDS", 0)
    first, last = [await keep(store, notes, name, f"{SECRET} of {name}") for name in ("a.txt", "b.txt")]
    finish, left = store.clearing._finish, iter([last])

    async def delete_meanwhile() -> None:
        for document in left:
            await store.documents.delete(document.id)
        await finish()

    monkeypatch.setattr(store.clearing, "_finish", delete_meanwhile)
    await store.documents.delete(first.id)
    assert store.clearing._clearing is not None
    await store.clearing._clearing
    assert await holding(store, TRACE) == set()
