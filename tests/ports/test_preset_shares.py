"""With whom a preset is shared: they see it where others do not, in the same look."""

import asyncio

import pytest
from msgspec.structs import replace

from palaver.chat.conversation import Speaking
from palaver.chat.errors import Invalid, NotFound, Taken
from palaver.chat.preset import NewPreset, Preset
from palaver.chat.user import NOT_STORED, Reader, User
from palaver.store import SqlStore
from tests.ports.talking import NOW, dump, new_user, rows

SECRET = NewPreset("Secret", "You are a secret.", Speaking())


@pytest.fixture
async def preset(store: SqlStore, alice: User) -> Preset:
    return await store.presets.add(alice, SECRET, NOW, refuse_taken=None)


@pytest.fixture
async def carol(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("Carol@example.com"))


async def seen_by(store: SqlStore, preset: Preset, *people: User) -> list[bool]:
    """Of these people who sees it, in every way of looking."""
    told = []
    for person in people:
        reader = Reader(person.id)
        listed = preset in await store.presets.visible(reader)
        for key in (preset.id, preset.slug):
            try:
                found = await store.presets.access(reader, key) == preset
            except NotFound:
                found = False
            assert found == listed
        told.append(listed)
    return told


async def test_shared_preset_is_seen_by_those_it_is_shared_with_and_no_longer(
    store: SqlStore, alice: User, bob: User, carol: User, preset: Preset
) -> None:
    assert await seen_by(store, preset, alice, bob, carol) == [True, False, False]
    assert await store.presets.share(preset.id, ["CAROL@example.com", "bob", "Bob"]) == ["bob", "Carol@example.com"]
    assert await store.presets.shared_with(preset.id) == ["bob", "Carol@example.com"]
    assert await store.presets.count_shares() == {preset.id: 2}
    assert await seen_by(store, preset, alice, bob, carol) == [True, True, True]
    with pytest.raises(NotFound):
        await store.presets.access(Reader(NOT_STORED), preset.id)
    assert await store.presets.share(preset.id, ["bob"]) == ["bob"]
    assert await seen_by(store, preset, alice, bob, carol) == [True, True, False]
    assert await store.presets.share(preset.id, []) == []
    assert await seen_by(store, preset, alice, bob, carol) == [True, False, False]


@pytest.mark.usefixtures("bob")
async def test_sharing_with_nobody_known_changes_nothing(store: SqlStore, preset: Preset) -> None:
    app = await store.accounts.add_user(new_user("shop", "app"))
    await store.accounts.add_user(new_user("customer", "app_user", app_id=app.id))
    await store.accounts.add_user(new_user("guest", "guest"))
    await store.presets.share(preset.id, ["bob"])
    before = await dump(store)
    # Neither is an e-mail a name, nor what an application calls its own.
    for name in ("nobody", "shop", "customer", "guest", "alice@example.com", ""):
        with pytest.raises(Invalid) as refused:
            await store.presets.share(preset.id, ["alice", name])
        assert (refused.value.field, refused.value.reason) == ("usernames", "user_unknown")
    assert await dump(store) == before
    assert await store.presets.share(preset.id, ["alice"]) == []


async def test_name_id_of_a_shared_preset_is_seen_as_taken(store: SqlStore, bob: User, preset: Preset) -> None:
    hidden = await store.presets.add(bob, SECRET, NOW, refuse_taken=Reader(bob.id))
    assert hidden.slug == "secret-2"
    await store.presets.share(preset.id, ["bob"])
    with pytest.raises(Taken) as refused:
        await store.presets.add(bob, replace(SECRET, name="secret"), NOW, refuse_taken=Reader(bob.id))
    assert refused.value.field == "id"


@pytest.mark.usefixtures("bob", "carol")
async def test_two_lists_at_once_leave_one_of_them_whole(
    store: SqlStore, other_store: SqlStore, preset: Preset
) -> None:
    lists = [["bob"], ["Carol@example.com"], ["bob", "Carol@example.com"], []]
    await asyncio.gather(
        *(one.presets.share(preset.id, names) for one in (store, other_store) for names in lists),
    )
    assert await store.presets.shared_with(preset.id) in lists


async def test_deleted_preset_is_shared_with_nobody(store: SqlStore, alice: User, bob: User, preset: Preset) -> None:
    await store.presets.share(preset.id, ["bob"])
    await store.presets.delete(preset.id, NOW)
    assert await seen_by(store, preset, alice, bob) == [False, False]
    with pytest.raises(NotFound):
        await store.presets.share(preset.id, ["bob"])


@pytest.mark.parametrize("erased", ["alice", "bob"])
async def test_erasing_either_side_of_a_share_removes_it(
    store: SqlStore, alice: User, bob: User, preset: Preset, erased: str
) -> None:
    await store.presets.share(preset.id, ["bob"])
    await store.accounts.erase_user({"alice": alice, "bob": bob}[erased].id, NOW)
    assert await rows(store, "SELECT * FROM preset_shares") == []
