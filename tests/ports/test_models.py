"""The store's list of models follows a server's, and keeps what people have said."""

import asyncio
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from palaver.chat.errors import NotFound
from palaver.chat.model import KnownModel, ModelChange, ModelId, ModelSync, OfferedModel
from palaver.store import SqlStore
from palaver.store.models import SqlModels
from tests.ports.counting import CountingDatabase
from tests.ports.talking import LATER, NOW


def offer(*names: str) -> list[OfferedModel]:
    return [OfferedModel(name) for name in names]


async def known(store: SqlStore) -> Mapping[str, KnownModel]:
    return {model.name: model for model in await store.models.list()}


async def default(store: SqlStore) -> str | None:
    return (await store.models.news()).default


async def test_new_name_is_shown_as_itself(store: SqlStore) -> None:
    told = OfferedModel("a", context_length=4096, size=7 * 2**30, parameter_count="7.0B")
    await store.models.sync(ModelSync([told, OfferedModel("b")], NOW, first_default="b"))
    listed = await known(store)
    assert listed["a"] == KnownModel(
        listed["a"].id, "a", "a", "", 7 * 2**30, "7.0B", 4096, True, False, NOW, NOW
    )  # fmt: skip
    assert (listed["b"].is_default, await default(store)) == (True, "b")
    assert await store.models.get(listed["a"].id) == listed["a"]
    assert await store.models.get(ModelId(listed["a"].id + 100)) is None


async def test_what_people_said_stays_and_what_the_server_tells_is_taken(store: SqlStore) -> None:
    await store.models.sync(ModelSync(offer("a", "b"), NOW))
    said = "UPDATE models SET display_name = 'The A', description = 'Ours' WHERE name = 'a'"
    await store.database.write(lambda tx: tx.run(said))
    await store.models.sync(ModelSync([OfferedModel("a", size=5), OfferedModel("b")], LATER))
    listed = await known(store)
    model = listed["a"]
    assert (model.display_name, model.description, model.size, model.updated_at) == ("The A", "Ours", 5, LATER)
    assert listed["b"].updated_at == NOW
    # A server that tells less than before takes nothing away.
    await store.models.sync(ModelSync(offer("a", "b"), LATER))
    assert (await known(store))["a"] == model


async def test_what_an_admin_says_of_a_model_goes_before_what_servers_tell(store: SqlStore) -> None:
    await store.models.sync(ModelSync([OfferedModel("a", context_length=4096)], NOW))
    [model] = await store.models.list()
    change = ModelChange(display_name="The A", context_length=2048, capabilities=("tools",))
    changed = await store.models.change(model.id, change, LATER)
    assert changed == replace(
        model, display_name="The A", context_length=2048, capabilities=("tools",), updated_at=LATER
    )  # fmt: skip
    assert (await store.models.news()).lengths == {"a": 2048}
    await store.models.sync(ModelSync([OfferedModel("a", context_length=8192)], LATER))
    assert await store.models.list() == [changed]
    assert (await store.models.change(model.id, ModelChange(context_length=None), LATER)).context_length == 8192
    with pytest.raises(NotFound):
        await store.models.change(ModelId(999), ModelChange(), LATER)


async def test_model_is_hidden_until_an_admin_shows_it_again(store: SqlStore) -> None:
    await store.models.sync(ModelSync(offer("a", "b"), NOW, first_default="a"))
    for model in await store.models.list():
        assert (await store.models.change(model.id, ModelChange(is_hidden=True), LATER)).is_hidden
    await store.models.sync(ModelSync(offer("a", "b", "c"), LATER))
    # The default answers where nothing was chosen: it is listed whatever was said of it.
    assert {name: model.is_listed for name, model in (await known(store)).items()} == {"a": True, "b": False, "c": True}
    shown = await store.models.change((await known(store))["b"].id, ModelChange(is_hidden=False), LATER)
    assert (shown.is_hidden, shown.is_listed) == (False, True)


async def test_model_that_is_made_the_default_is_the_only_one(store: SqlStore) -> None:
    await store.models.sync(ModelSync(offer("a", "b"), NOW, first_default="a"))
    b = (await known(store))["b"]
    assert (await store.models.change(b.id, ModelChange(is_default=True), LATER)).is_default
    assert [model.is_default for model in (await known(store)).values()] == [False, True]


async def test_list_that_is_not_whole_takes_no_model_away(store: SqlStore) -> None:
    await store.models.sync(ModelSync(offer("a", "b"), NOW, first_default="b"))
    await store.models.sync(ModelSync(offer("a"), LATER, whole=False))
    assert [(model.is_available, model.is_default) for model in (await known(store)).values()] == [
        (True, False), (True, True),
    ]  # fmt: skip
    await store.models.sync(ModelSync(offer("a"), LATER))
    assert [model.is_available for model in (await known(store)).values()] == [True, False]


async def test_looking_for_news_is_one_cheap_read(store: SqlStore) -> None:
    counting = CountingDatabase(store.database)
    await SqlModels(counting).news()
    assert [rows for _, rows in counting.asked] == [1]


async def test_vanished_name_is_marked_and_comes_back_as_it_was(store: SqlStore) -> None:
    await store.models.sync(ModelSync(offer("a", "b"), NOW, first_default="b"))
    before = await known(store)
    await store.models.sync(ModelSync(offer("a", "c"), LATER, first_default="c"))
    listed = await known(store)
    assert [(name, model.is_available) for name, model in listed.items()] == [("a", True), ("b", False), ("c", True)]
    assert [name for name, model in listed.items() if model.is_default] == ["a"]
    await store.models.sync(ModelSync(offer("a", "b"), LATER))
    assert (await known(store))["b"].id == before["b"].id
    assert await default(store) == "a"


async def test_name_is_had_from_when_it_was_first_told_for_ever(store: SqlStore) -> None:
    await store.models.sync(ModelSync(offer("a", "b"), NOW))
    await store.models.sync(ModelSync(offer("b"), LATER))
    assert [await store.models.has(name) for name in ("a", "b", "c")] == [True, True, False]


async def test_list_without_any_name_leaves_the_default_for_when_it_comes_back(store: SqlStore) -> None:
    await store.models.sync(ModelSync(offer("a", "b"), NOW, first_default="b"))
    await store.models.sync(ModelSync([], LATER))
    assert await default(store) is None
    await store.models.sync(ModelSync(offer("a", "b"), LATER))
    assert await default(store) == "b"


async def test_chosen_model_becomes_the_one_default(store: SqlStore) -> None:
    await store.models.sync(ModelSync(offer("a", "b"), NOW, first_default="a"))
    await store.models.sync(ModelSync(offer("a", "b"), LATER, chosen="b"))
    assert [model.is_default for model in (await known(store)).values()] == [False, True]


async def test_many_that_sync_at_once_add_each_name_once(store: SqlStore, other_store: SqlStore) -> None:
    syncs = [ModelSync(offer("a", "b", "c"), NOW, chosen=chosen) for chosen in "abc" * 3]
    await asyncio.gather(
        *(one.models.sync(sync) for one, sync in zip([store, other_store, store] * 3, syncs, strict=True))
    )
    listed = await known(store)
    assert sorted(listed) == ["a", "b", "c"]
    assert sum(model.is_default for model in listed.values()) == 1
