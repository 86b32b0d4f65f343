"""Collections: whose they are, who sees and who searches them, and that nothing of a deleted one stays."""

import asyncio

import pytest
from msgspec.structs import replace

from palaver.chat.errors import Invalid, NotFound, OverQuota, Taken
from palaver.chat.knowledge import CollectionChange, NewCollection, Quota
from palaver.chat.user import NOT_STORED, Reader, User, UserChange
from palaver.store import SqlStore
from tests.ports.knowing import ANY, arrive, claim, collect, cut, everything, found, holding, keep
from tests.ports.talking import LATER, NOW, dump, new_user, rows

SECRET = "Quadrilateralissimo"
TRACE = b"drilateraliss"


@pytest.fixture
async def carol(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("Carol@example.com"))


@pytest.fixture
async def admin(store: SqlStore) -> User:
    return replace(await store.accounts.add_user(new_user("admin")), is_admin=True)


async def must_get(store: SqlStore, user: User) -> User:
    found = await store.accounts.get_user(user.id)
    assert found is not None
    return found


def names(seen: object) -> list[str]:
    assert isinstance(seen, list)
    return [one.name for one in seen]


async def test_collection_comes_back_as_it_was_made_and_changed(store: SqlStore, alice: User) -> None:
    made = await store.collections.add(alice, NewCollection("Law", "Of the sea", True), NOW, ANY)
    assert await store.collections.access(Reader(alice.id), made.uuid) == made
    assert (made.owner_id, made.owner_name, made.name, made.description, made.is_public) == (
        alice.id, "alice", "Law", "Of the sea", True,
    )  # fmt: skip
    assert (made.document_count, made.size, made.created_at, made.updated_at) == (0, 0, NOW, NOW)
    changed = await store.collections.change(made.id, CollectionChange(description="", is_public=False), LATER)
    assert changed == replace(made, description="", is_public=False, updated_at=LATER)
    assert (await store.collections.change(made.id, CollectionChange(name="Lore"), LATER)).name == "Lore"
    assert await store.collections.access(Reader(alice.id), made.uuid) == replace(changed, name="Lore")


async def test_collection_is_seen_by_its_owner_those_it_is_shared_with_and_admins(
    store: SqlStore, alice: User, bob: User, carol: User, admin: User
) -> None:
    mine = await collect(store, alice, "Mine")
    await collect(store, alice, "Everybody's", is_public=True)
    assert await store.collections.share(mine.id, ["CAROL@example.com"]) == ["Carol@example.com"]
    both, one = ["Everybody's", "Mine"], ["Everybody's"]
    for reader, seen in (
        (Reader(alice.id), both), (Reader(carol.id), both), (Reader(admin.id, is_admin=True), both),
        (Reader(bob.id), one), (Reader(NOT_STORED), one),
    ):  # fmt: skip
        assert names(await store.collections.visible(reader)) == seen
    with pytest.raises(NotFound):
        await store.collections.access(Reader(bob.id), mine.uuid)
    # An admin sees it, and does not search it by accident.
    unasked = replace(mine, can_ask=False)
    assert await store.collections.access(Reader(admin.id, is_admin=True), mine.uuid) == unasked
    assert unasked in await store.collections.visible(Reader(admin.id, is_admin=True))
    assert await store.collections.access(Reader(carol.id), mine.uuid) == mine
    assert await store.collections.find(Reader(admin.id, is_admin=True), "Mine") is None
    assert await store.collections.share(mine.id, []) == []
    assert names(await store.collections.visible(Reader(carol.id))) == one


async def test_list_of_people_is_taken_whole_or_not_at_all(store: SqlStore, alice: User, carol: User) -> None:
    mine = await collect(store, alice)
    await store.collections.share(mine.id, [carol.name])
    before = await dump(store)
    with pytest.raises(Invalid) as refused:
        await store.collections.share(mine.id, ["alice", "nobody"])
    assert (refused.value.field, refused.value.reason) == ("usernames", "user_unknown")
    assert await dump(store) == before
    assert await store.collections.shared_with(mine.id) == [carol.name]
    # Whose it is needs no share.
    assert await store.collections.share(mine.id, ["alice"]) == []
    await store.collections.delete(mine.id)
    with pytest.raises(NotFound):
        await store.collections.share(mine.id, [carol.name])


async def test_of_several_with_one_name_ones_own_goes_before_an_admins_a_shared_and_a_public_one(
    store: SqlStore, alice: User, bob: User, carol: User
) -> None:
    public = await collect(store, alice, "Law", is_public=True)
    await collect(store, carol, "Law", is_public=True)
    reader = Reader(bob.id)
    assert await store.collections.find(reader, "Law") == public
    shared = await collect(store, await store.accounts.add_user(new_user("dave")), "Law")
    assert await store.collections.find(reader, "Law") == public
    await store.collections.share(shared.id, ["bob"])
    assert await store.collections.find(reader, "Law") == shared
    # Bob was not asked whether he wants dave's.
    chief = await store.accounts.add_user(new_user("chief"))
    await store.accounts.change_user(chief.id, UserChange(is_admin=True), NOW)
    admins = await collect(store, chief, "Law", is_public=True)
    assert await store.collections.find(reader, "Law") == admins
    own = await collect(store, bob, "Law")
    assert await store.collections.find(reader, "Law") == own
    for one in (public, shared, admins, own):
        assert await store.collections.find(reader, one.uuid) == one
        assert await store.collections.find(reader, one.uuid.upper()) == one
    assert await store.collections.find(reader, "law") is None


async def test_nobody_takes_the_uuid_of_another_collection_for_a_name(store: SqlStore, alice: User, bob: User) -> None:
    hidden, mine = await collect(store, alice), await collect(store, bob, is_public=True)
    for name in (hidden.uuid, hidden.uuid.upper()):
        with pytest.raises(Invalid) as refused:
            await collect(store, bob, name, is_public=True)
        assert (refused.value.field, refused.value.reason) == ("name", "is_a_uuid")
        with pytest.raises(Invalid):
            await store.collections.change(mine.id, CollectionChange(name=name), LATER)
    # Not even one that got there all the same.
    await store.database.write(
        lambda tx: tx.run("UPDATE collections SET name = $1 WHERE id = $2", hidden.uuid, mine.id)
    )
    await keep(store, mine, "a", "A forged passage.")
    assert await store.collections.find(Reader(bob.id), hidden.uuid) is None
    assert await found(store, bob, hidden.uuid, "forged") == []


async def test_whoever_was_not_asked_drops_a_share_and_that_of_nobody_else(
    store: SqlStore, alice: User, bob: User, carol: User
) -> None:
    shared = await collect(store, alice)
    await store.collections.share(shared.id, ["bob", carol.name])
    await store.collections.drop_share(shared.id, bob.id)
    assert await store.collections.shared_with(shared.id) == [carol.name]
    assert await store.collections.find(Reader(bob.id), "Notes") is None
    for nobody in (bob, alice):
        with pytest.raises(NotFound):
            await store.collections.drop_share(shared.id, nobody.id)


async def test_owner_has_a_name_once(store: SqlStore, alice: User, bob: User) -> None:
    first, second = await collect(store, alice, "A"), await collect(store, alice, "B")
    before = await dump(store)
    with pytest.raises(Taken):
        await collect(store, alice, "A")
    with pytest.raises(Taken) as refused:
        await store.collections.change(second.id, CollectionChange(name="A"), LATER)
    assert refused.value.field == "name"
    assert await dump(store) == before
    await store.collections.change(first.id, CollectionChange(name="A"), LATER)
    assert (await collect(store, bob, "A")).name == "A"
    await store.collections.delete(first.id)
    assert (await collect(store, alice, "A")).id != first.id


async def test_nobody_has_more_than_the_quota_however_many_are_made_at_once(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User
) -> None:
    makers = [
        one.collections.add(alice, NewCollection(f"{number}"), NOW, Quota(collections=3))
        for number in range(5)
        for one in (store, other_store)
    ]
    made = await asyncio.gather(*makers, return_exceptions=True)
    refused = [one for one in made if isinstance(one, Exception)]
    assert {type(one) for one in refused} <= {OverQuota, Taken}
    assert len(await store.collections.visible(Reader(alice.id))) == 3
    with pytest.raises(OverQuota) as over:
        await store.collections.add(alice, NewCollection("another"), NOW, Quota(collections=3))
    assert (over.value.what, over.value.most) == ("collections", 3)
    await store.collections.add(bob, NewCollection("another"), NOW, Quota(collections=1))


async def test_deleted_collection_is_gone_at_once_and_leaves_no_trace(store: SqlStore, alice: User, bob: User) -> None:
    kept = await collect(store, alice, "Kept")
    await keep(store, kept, "kept.txt", "This one stays.")
    before = {table: held for table, held in (await everything(store)).items() if table in ("passages", "documents")}
    mine = await collect(store, alice, SECRET)
    await store.collections.share(mine.id, ["bob"])
    await keep(store, mine, f"{SECRET}.txt", f"The {SECRET} is here.", SECRET, heading=SECRET)
    # One that still arrives, one that is being read.
    await store.documents.begin(mine.id, f"{SECRET}-2", "text/plain", NOW)
    await arrive(store, mine, "x", SECRET.encode())
    await store.documents.add_passages(await claim(store), cut(f"half {SECRET}"))
    # The test can find it where it is, in the index of words too.
    held = await holding(store, TRACE, SECRET.encode(), SECRET.lower().encode())
    assert {"collections", "documents", "document_parts", "passages"} < held
    assert held & {"passage_words", "passage_words_data"}
    await store.collections.delete(mine.id)
    for who in (alice, bob):
        with pytest.raises(NotFound):
            await store.collections.access(Reader(who.id), mine.uuid)
        assert await found(store, who, mine.uuid, SECRET) == []
    await store.documents.drop_unfinished(NOW)
    assert await holding(store, TRACE) == set()
    after = await everything(store)
    assert {table: after[table] for table in before} == before
    assert after["collection_shares"] == b""
    assert await found(store, alice, "Kept", "stays") == ["This one stays."]


async def test_erased_user_leaves_no_trace_of_what_was_kept(store: SqlStore, alice: User, bob: User) -> None:
    mine = await collect(store, alice, SECRET, is_public=True)
    await keep(store, mine, "a", f"The {SECRET} is here.")
    await store.collections.share((await collect(store, bob)).id, ["alice"])
    assert await found(store, bob, SECRET, SECRET) != []
    async with store.clearing._alone:
        # Others' deletions hold up nobody's.
        await store.accounts.erase_user(alice.id, NOW)
        assert await store.accounts.get_user(alice.id) is None
        # Whatever is still there of it is not found.
        assert await found(store, bob, SECRET, SECRET) == []
        assert await holding(store, TRACE) != set()
    # The process ends there; the next one goes on with it.
    await store.clearing.close()
    await store.documents.drop_unfinished(NOW)
    assert await holding(store, TRACE) == set()
    assert await rows(store, "SELECT id FROM collections WHERE owner_id IS NULL") == []
    assert names(await store.collections.visible(Reader(bob.id))) == ["Notes"]
    # What was on its way in comes too late.
    with pytest.raises(NotFound):
        await collect(store, alice)
