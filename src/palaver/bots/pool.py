"""The LLM servers there are, and which of them makes the next reply.

Of those that have the model and a place left it is the one with the least running replies for its weight. Choosing is
a look at a few numbers; nothing here waits but who finds every place taken.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from time import monotonic

from msgspec import Struct

from palaver.bots.breaker import Breaker
from palaver.bots.listing import Listing
from palaver.bots.upstream import Upstream
from palaver.chat.server import NamedServer, Origin


class LlmServer:
    """One server as it is used: what it offers, how many replies it makes just now, and how it has done lately."""

    def __init__(
        self,
        named: NamedServer,
        upstream: Upstream,
        listing: Listing,
        *,
        origin: Origin = "settings",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.named = named
        self.origin: Origin = origin
        self.upstream = upstream
        self.listing = listing
        self.breaker = Breaker(clock)
        self.running = 0
        self.turn = 0.0
        """When it is next among those that have equally much to do: the lighter its weight, the later."""
        self.left = asyncio.Event()
        """Nobody will ask it any more, and its last reply has ended."""
        self._leaving = False

    def leave(self) -> None:
        self._leaving = True
        self.note_end()

    def note_end(self) -> None:
        if self._leaving and not self.running:
            self.left.set()

    @property
    def is_full(self) -> bool:
        most = self.named.most_at_once
        return most is not None and self.running >= most

    @property
    def load(self) -> tuple[float, float]:
        return self.running / self.named.weight, self.turn


class Place:
    """A reply's place at a server, which has to be given back. How it went is told before that, if it is known."""

    __slots__ = ("_pool", "_trial", "server")

    def __init__(self, pool: "Pool", server: LlmServer) -> None:
        self._pool = pool
        self.server = server
        server.running += 1
        self._trial = server.breaker.begin()

    def succeeded(self) -> None:
        self.server.breaker.succeeded()
        self._trial = False

    def failed(self) -> None:
        self.server.breaker.failed(trial=self._trial)
        self._trial = False

    def give_back(self) -> None:
        self.server.breaker.left(trial=self._trial)
        self.server.running -= 1
        self._pool.hand_on(self.server)
        self.server.note_end()


class _Waiting(Struct, eq=False):
    wanted: Collection[LlmServer]
    place: asyncio.Future[Place]


class Pool:
    """All servers, in the order in which the operator has named them."""

    def __init__(self, servers: Sequence[LlmServer] = ()) -> None:
        self.servers: tuple[LlmServer, ...] = ()
        self._waiting: deque[_Waiting] = deque()
        self._turn = 0.0
        self._changed: Callable[[], None] = _nothing
        self.set(servers)

    def on_change(self, changed: Callable[[], None]) -> None:
        """From now on `changed` is called when there are other servers, or one of them offers other models."""
        self._changed = changed
        changed()

    def set(self, servers: Sequence[LlmServer]) -> None:
        self.servers = tuple(servers)
        for server in servers:
            server.listing.on_change(self._tell)
            self.hand_on(server)
        self._tell()

    def offering(self, model: str) -> Sequence[LlmServer]:
        """Those that offer it; where none does, those that may, having told nothing yet; else all."""
        offering = [server for server in self.servers if model in server.listing.names]
        return offering or [server for server in self.servers if server.listing.models is None] or self.servers

    async def take(self, wanted: Collection[LlmServer]) -> Place:
        """A place at the one that has the least to do; where all are full, the first that comes free, in turn."""
        server = min((server for server in wanted if not server.is_full), key=_to_load, default=None)
        if server is not None:
            return self._give(server)
        waiting = _Waiting(wanted, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            return await waiting.place
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.place.cancelled():
                # It was handed over in the very moment in which nobody wanted it any more.
                waiting.place.result().give_back()
            raise

    def hand_on(self, server: LlmServer) -> None:
        """A place at this server may be free: whoever has waited longest for it gets it."""
        for waiting in tuple(self._waiting):
            if server in waiting.wanted and not server.is_full and not waiting.place.done():
                self._waiting.remove(waiting)
                waiting.place.set_result(self._give(server))

    def _give(self, server: LlmServer) -> Place:
        # Whoever was away for a while comes in at the present turn: it is not owed all that it has missed.
        self._turn = max(self._turn, server.turn)
        server.turn = self._turn + 1 / server.named.weight
        return Place(self, server)

    def _tell(self) -> None:
        self._changed()


def _to_load(server: LlmServer) -> tuple[float, float]:
    return server.load


def _nothing() -> None:
    return
