"""Which models are known here: the store's list follows what the LLM servers offer, and keeps what people say of it."""

import asyncio
from collections.abc import Sequence

from palaver.chat.clock import Clock
from palaver.chat.errors import Invalid, NotFound
from palaver.chat.model import KnownModel, ModelChange, ModelId, ModelSync, OfferedModel
from palaver.chat.ports import Bots, Store


class Models:
    """The list as this process has kept it up."""

    def __init__(self, store: Store, bots: Bots, clock: Clock) -> None:
        self._store = store.models
        self._servers = store.servers
        self._bots = bots
        self._clock = clock
        self._kept: tuple[Sequence[OfferedModel], bool] | None = None
        self._seen_servers: str | None = None
        self._following = asyncio.Lock()

    async def available(self) -> Sequence[KnownModel]:
        """What the servers offer as far as they have told, without what is hidden, by the names that are shown. Asks
        nobody."""
        await self._keep_up()
        return await self._available()

    async def get(self, model_id: ModelId) -> KnownModel:
        """One that is or was offered. Raises `NotFound`."""
        await self._keep_up()
        found = await self._store.get(model_id)
        if found is None:
            raise NotFound
        return found

    async def sync(self, *, chosen: str | None = None) -> Sequence[KnownModel]:
        """Asks all servers now; `chosen` becomes the default. Gives what is available.

        Raises `BotUnavailable` where no server tells and `NotFound` where none offers what was chosen: then every model
        is as it was.
        """
        await self._follow_servers((await self._store.news()).servers)
        offered = await self._bots.refresh_models()
        if chosen is not None and chosen not in {model.name for model in offered}:
            raise NotFound
        await self._keep(offered, chosen)
        await self.follow()
        return await self._available()

    async def all(self) -> Sequence[KnownModel]:
        """All that are or were offered, by their names."""
        await self._keep_up()
        return sorted(await self._store.list(), key=lambda model: model.name)

    async def change(self, model_id: ModelId, change: ModelChange) -> KnownModel:
        """What an admin says of a model. Raises `NotFound`, and `Invalid` where it cannot be the default, or is and
        would be no more."""
        model = await self.get(model_id)
        if change.is_default is True and not model.is_available:
            raise Invalid("is_default", "model_not_offered")
        if change.is_default is False and model.is_default:
            raise Invalid("is_default", "default_needed")
        changed = await self._store.change(model_id, change, self._clock.now())
        await self.follow()
        return changed

    async def follow(self) -> None:
        """Uses the servers that admins have added, keeps what all have told since, and tells the bots which model is
        the default and which contexts admins have set. To be done now and again: another process may have changed any
        of it."""
        news = await self._store.news()
        await self._follow_servers(news.servers)
        await self._keep_up()
        self._bots.prefer_model(news.default)
        self._bots.use_lengths(news.lengths)

    async def _follow_servers(self, seen: str) -> None:
        async with self._following:
            if seen != self._seen_servers:
                # Counted before they are read: what changes meanwhile is followed at the next look.
                await self._bots.use_servers(await self._servers.list())
                self._seen_servers = seen

    async def _keep_up(self) -> None:
        offered = self._bots.models()
        if offered is not None and (offered, self._bots.models_are_whole()) != self._kept:
            await self._keep(offered, None)

    async def _keep(self, offered: Sequence[OfferedModel], chosen: str | None) -> None:
        sync = ModelSync(
            offered=offered,
            now=self._clock.now(),
            first_default=self._bots.default_model(),
            chosen=chosen,
            whole=self._bots.models_are_whole(),
        )
        await self._store.sync(sync)
        self._kept = (offered, sync.whole)

    async def _available(self) -> Sequence[KnownModel]:
        known = [model for model in await self._store.list() if model.is_listed]
        return sorted(known, key=lambda model: (model.display_name, model.id))
