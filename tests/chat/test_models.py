"""Which model is the default, and when the list that is kept follows the server's."""

from collections.abc import Sequence

import pytest

from palaver.chat.errors import BotUnavailable, NotFound, Taken
from palaver.chat.model import KnownModel, ModelChange, ModelId, ModelSync, OfferedModel, choose_default
from palaver.chat.models import Models
from palaver.chat.server import NamedServer, ServerChange, ServerState
from palaver.chat.servers import Servers
from palaver.store import SqlStore
from tests.chat.talking import HandBot, HandBots, HandClock
from tests.ports.talking import NOW


def known(name: str, *, default: bool = False) -> KnownModel:
    return KnownModel(ModelId(1), name, name, "", None, "", None, True, default, NOW, NOW)


def sync(*offered: str, first_default: str | None = None, chosen: str | None = None) -> ModelSync:
    return ModelSync([OfferedModel(name) for name in offered], NOW, first_default, chosen)


@pytest.mark.parametrize(
    ("before", "asked", "default"),
    [
        ([], sync("a", "b", first_default="b"), "b"),
        ([], sync("b", "a", first_default="x"), "a"),
        ([], sync("a", "b", first_default="a", chosen="b"), "b"),
        ([], sync(), None),
        ([known("b", default=True)], sync("a", "b", first_default="a"), "b"),
        ([known("b", default=True)], sync("a", "b", chosen="a"), "a"),
        ([known("x", default=True)], sync("b", "a", first_default="b"), "a"),
        ([known("x", default=True)], sync(), "x"),
        ([known("a")], sync(), None),
    ],
)
def test_default_stays_as_long_as_it_is_offered_and_then_is_the_first_by_name(
    before: list[KnownModel], asked: ModelSync, default: str | None
) -> None:
    assert choose_default(before, asked) == default


class OfferingBots(HandBots):
    """Of a server that offers what the test says, and has `told` it or not."""

    def __init__(self, *offered: str) -> None:
        super().__init__(HandBot())
        self.offer(*offered)
        self.told: Sequence[OfferedModel] | None = None
        self.preferred: str | None = None
        self.used: list[NamedServer] = []

    def offer(self, *names: str) -> None:
        self.names = names

    def tell(self) -> None:
        self.told = [OfferedModel(name) for name in self.names]

    def models(self) -> Sequence[OfferedModel] | None:
        return self.told

    async def refresh_models(self) -> Sequence[OfferedModel]:
        if not self.names:
            raise BotUnavailable
        self.tell()
        return self.told or ()

    def prefer_model(self, name: str | None) -> None:
        self.preferred = name

    async def use_servers(self, servers: Sequence[NamedServer]) -> None:
        self.used = list(servers)

    def servers(self) -> Sequence[ServerState]:
        return [ServerState(server, "admin", server.url, None, "closed", 0, ()) for server in self.used]


async def names(models: Models) -> list[str]:
    return [model.name for model in await models.available()]


async def test_list_follows_what_the_server_has_told_and_asks_nobody(store: SqlStore, clock: HandClock) -> None:
    bots = OfferingBots("a", "b")
    models = Models(store, bots, clock)
    assert await names(models) == []
    bots.tell()
    assert await names(models) == ["a", "b"]
    bots.offer("b", "c")
    assert await names(models) == ["a", "b"]
    bots.tell()
    assert await names(models) == ["b", "c"]


async def test_list_that_was_told_before_does_not_undo_what_another_process_has_synced(
    store: SqlStore, clock: HandClock
) -> None:
    bots = OfferingBots("a")
    models = Models(store, bots, clock)
    bots.tell()
    assert await names(models) == ["a"]
    await Models(store, OfferingBots("b"), clock).sync()
    assert await names(models) == ["b"]


async def test_sync_that_is_refused_leaves_every_model_as_it_was(store: SqlStore, clock: HandClock) -> None:
    bots = OfferingBots("a", "b")
    models = Models(store, bots, clock)
    before = await models.sync()
    bots.offer("b", "c")
    with pytest.raises(NotFound):
        await models.sync(chosen="a")
    assert await store.models.list() == before
    bots.offer()
    with pytest.raises(BotUnavailable):
        await models.sync()
    assert await store.models.list() == before


async def test_bots_hear_of_the_default_that_another_process_chose(store: SqlStore, clock: HandClock) -> None:
    bots, others = OfferingBots("a", "b"), OfferingBots("a", "b")
    models, beside = Models(store, bots, clock), Models(store, others, clock)
    await models.sync()
    assert bots.preferred == "a"
    await beside.sync(chosen="b")
    await models.follow()
    assert (bots.preferred, others.preferred) == ("b", "b")


async def test_bots_hear_of_the_context_that_an_admin_says_a_model_takes(store: SqlStore, clock: HandClock) -> None:
    bots = OfferingBots("a", "b")
    models, beside = Models(store, bots, clock), Models(store, OfferingBots("a", "b"), clock)
    first, _ = await models.sync()
    await beside.change(first.id, ModelChange(context_length=32_768))
    await models.follow()
    assert (bots.context_length("a", 4096), bots.context_length("b", 4096)) == (32_768, 4096)
    await beside.change(first.id, ModelChange(context_length=None))
    await models.follow()
    assert bots.context_length("a", 4096) == 4096


async def test_bots_hear_of_the_servers_that_another_process_has_changed(store: SqlStore, clock: HandClock) -> None:
    bots, others = OfferingBots(), OfferingBots()
    models, beside = Models(store, bots, clock), Models(store, others, clock)
    servers = Servers(store, bots, clock, models)
    await servers.add(NamedServer("one", "http://h", "key", ("a",), 2.0, 3))
    await beside.follow()
    assert others.used == bots.used == [NamedServer("one", "http://h", "key", ("a",), 2.0, 3)]
    await servers.change("one", ServerChange(key=None, most_at_once=None))
    await beside.follow()
    assert others.used == [NamedServer("one", "http://h", None, ("a",), 2.0, None)]
    with pytest.raises(Taken):
        await servers.add(NamedServer("one", "http://other"))
    await servers.remove("one")
    await beside.follow()
    assert others.used == []
    with pytest.raises(NotFound):
        await servers.remove("one")


async def test_models_are_listed_by_the_names_that_are_shown(store: SqlStore, clock: HandClock) -> None:
    models = Models(store, OfferingBots("a", "b"), clock)
    await models.sync()
    await store.database.write(lambda tx: tx.run("UPDATE models SET display_name = 'z' WHERE name = 'a'"))
    assert await names(models) == ["b", "a"]
    [first, *_] = await models.available()
    assert await models.get(first.id) == first
    with pytest.raises(NotFound):
        await models.get(ModelId(999))
