"""Which models are known here: the store's list follows what the LLM server offers, and keeps what people say of it."""

from collections.abc import Sequence

from palaver.chat.clock import Clock
from palaver.chat.errors import NotFound
from palaver.chat.model import KnownModel, ModelId, ModelSync, OfferedModel
from palaver.chat.ports import Bots, Store


class Models:
    """The list as this process has kept it up. `usual_default` is the model to fall back to where the default went."""

    def __init__(self, store: Store, bots: Bots, clock: Clock, usual_default: str) -> None:
        self._store = store.models
        self._bots = bots
        self._clock = clock
        self._usual_default = usual_default
        self._kept: Sequence[OfferedModel] | None = None

    async def available(self) -> Sequence[KnownModel]:
        """What the server offers as far as it has told, by the names that are shown. Asks nobody."""
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
        """Asks the server now; `chosen` becomes the default. Gives what is available.

        Raises `BotUnavailable` where the server does not tell and `NotFound` where it does not offer what was chosen:
        then every model is as it was.
        """
        offered = await self._bots.refresh_models()
        if chosen is not None and chosen not in {model.name for model in offered}:
            raise NotFound
        await self._keep(offered, chosen)
        await self.follow()
        return await self._available()

    async def follow(self) -> None:
        """Keeps what the server has told since, and tells the bots which model is the default. To be done now and
        again: another process may have chosen another one."""
        await self._keep_up()
        self._bots.prefer_model(await self._store.default())

    async def _keep_up(self) -> None:
        offered = self._bots.models()
        if offered is not None and offered != self._kept:
            await self._keep(offered, None)

    async def _keep(self, offered: Sequence[OfferedModel], chosen: str | None) -> None:
        sync = ModelSync(
            offered=offered,
            now=self._clock.now(),
            first_default=self._bots.default_model(),
            usual_default=self._usual_default,
            chosen=chosen,
        )
        await self._store.sync(sync)
        self._kept = offered

    async def _available(self) -> Sequence[KnownModel]:
        known = [model for model in await self._store.list() if model.is_available]
        return sorted(known, key=lambda model: (model.display_name, model.id))
