"""The LLM servers of all kinds, and what admins may do about those that they have added themselves."""

from collections.abc import Sequence

from palaver.chat.clock import Clock
from palaver.chat.errors import Forbidden, NotFound, Taken
from palaver.chat.models import Models
from palaver.chat.ports import Bots, Store
from palaver.chat.server import NamedServer, ServerChange, ServerState, ServerTrial, check_url


class SetElsewhere(Forbidden):
    """A server that the settings name, or that was found: it is not the admins' to change."""

    code = "set_elsewhere"


class Servers:
    """Whatever changes here is in use when the method returns, and within two seconds in every other worker."""

    def __init__(self, store: Store, bots: Bots, clock: Clock, models: Models) -> None:
        self._store = store.servers
        self._bots = bots
        self._clock = clock
        self._models = models

    def list(self) -> Sequence[ServerState]:
        """In the order in which they are asked for their health."""
        return self._bots.servers()

    def get(self, name: str) -> ServerState:
        """Raises `NotFound`."""
        found = next((server for server in self._bots.servers() if server.named.name == name), None)
        if found is None:
            raise NotFound
        return found

    async def add(self, server: NamedServer) -> ServerState:
        """Raises `Invalid`, or `Taken` where there is one of that name."""
        check_url(server.url)
        if any(other.named.name == server.name for other in self._bots.servers()):
            raise Taken("name")
        await self._store.add(server, self._clock.now())
        await self._models.follow()
        return self.get(server.name)

    async def change(self, name: str, change: ServerChange) -> ServerState:
        """Raises `NotFound`, `Invalid` or `SetElsewhere`."""
        self._check_kept(name)
        if isinstance(change.url, str):
            check_url(change.url)
        await self._store.change(name, change, self._clock.now())
        await self._models.follow()
        return self.get(name)

    async def remove(self, name: str) -> None:
        """Replies that it makes just now go on to their end. Raises `NotFound` or `SetElsewhere`."""
        self._check_kept(name)
        await self._store.remove(name)
        await self._models.follow()

    async def test(self, name: str) -> ServerTrial:
        """Asks it for its models now, and changes nothing by that. Raises `NotFound`."""
        self.get(name)
        return await self._bots.try_server(name)

    def _check_kept(self, name: str) -> None:
        if self.get(name).origin != "admin":
            raise SetElsewhere


def model_health(servers: Sequence[ServerState]) -> dict[str, bool | None]:
    """Of each model that is offered, or was so earlier: does one of its servers answer; None where that is not known.

    Whoever may not know the servers may still know whether it is worth while to choose a model.
    """
    known: dict[str, bool | None] = {}
    for server in servers:
        healthy = False if server.breaker == "open" else server.tells
        for model in server.offers:
            known[model] = _better(known.get(model), healthy)
    return known


def _better(one: bool | None, other: bool | None) -> bool | None:
    if one or other:
        return True
    return other if one is None else one
