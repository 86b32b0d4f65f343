"""Who makes a reply: the servers that have the model are asked one after the other until one of them begins to talk.

All of it happens before the first piece. Once something was said nobody else is asked: nobody hears a beginning twice.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from msgspec import Struct

from palaver.bots.completion import Completion
from palaver.bots.pool import LlmServer, Place, Pool
from palaver.bots.stream import CompletionStream
from palaver.bots.upstream import Answer, Refused, UpstreamFailed
from palaver.chat.backoff import Backoff
from palaver.chat.errors import BotUnavailable, Cause
from palaver.chat.pieces import Piece
from palaver.watching.numbers import UPSTREAM_FAILOVERS, UPSTREAM_FAILURES

T = TypeVar("T")

# Once the model has finished, its usage and the stream's own end are worth no more waiting than this.
LAST_SECONDS = 1.0

# Why a try failed, as it is counted; else it is the status that was answered.
UNREACHABLE, SILENT, BROKE_OFF = "unreachable", "silent", "broke_off"

# Answers that the request has brought on itself: other servers would say the same.
OF_THE_REQUEST = frozenset({400, 413, 422})

# Answers that say nothing of how the server does, but for the model that was asked for.
OF_THE_MODEL = OF_THE_REQUEST | {404}


class _Silent(Exception):
    """A server has said nothing for longer than it is waited for while others can be asked."""


class AskingOptions(Struct, frozen=True):
    """`patience`: how long one server may be silent before its first piece while there are others to ask."""

    backoff: Backoff = Backoff()
    patience: float = 15.0


class Begun(Struct, frozen=True):
    """A reply that has begun: what it said first, and where the rest comes from. `over`: there is no rest."""

    place: Place
    answer: Answer
    stream: CompletionStream
    pieces: Sequence[Piece]
    over: bool

    @property
    def failure(self) -> str | None:
        """Why it is no reply at all, in words for the log."""
        if not self.over or self.pieces or self.stream.finish_reason:
            return None
        return self.stream.failure or self.answer.failure or "ended its stream without a finish mark"


class _Failed(Struct, frozen=True):
    """`passes`: the same server may do better at another try, after `told` seconds where it has named them."""

    words: str
    why: str
    passes: bool
    cause: Cause = "unavailable"
    told: float | None = None
    silent: bool = False
    hopeless: bool = False


async def begin_reply(pool: Pool, options: AskingOptions, completion: Completion, request_id: str) -> Begun:
    """A reply from the first server that gives one. Raises `BotUnavailable` once it is clear that none does."""
    asking = _Asking(pool, options, completion.model)
    left: LlmServer | None = None
    while True:
        place = await asking.take_next()
        if left is not None and place.server is not left:
            UPSTREAM_FAILOVERS.of[left.named.name].add()
        left = place.server
        begun: Begun | None = None
        try:
            said = await asking.ask(place, completion, request_id)
            if isinstance(said, Begun):
                begun = said
                return said
        finally:
            if begun is None:
                place.give_back()
        asking.note(place.server, said, request_id)


class _Asking:
    """One reply's way through the servers."""

    def __init__(self, pool: Pool, options: AskingOptions, model: str) -> None:
        self._pool = pool
        self._options = options
        self._model = model
        self._seen = pool.servers
        self._left = list(pool.offering(model))
        self._tries: dict[LlmServer, int] = {}
        self._rests: dict[LlmServer, float] = {}
        self._silences: dict[LlmServer, int] = {}

    async def take_next(self) -> Place:
        """A place at the server to ask next, once it may be asked. Raises `BotUnavailable` where none is there."""
        while True:
            self._follow_pool()
            best = self._best()
            ready = [server for server in best if server not in self._rests]
            if ready:
                return await self._pool.take(ready)
            # All have failed: it is the earliest one's turn again, and the others have rested as long meanwhile.
            nap = min(self._rests[server] for server in best)
            await self._options.backoff.sleep(nap)
            self._rests = {server: rest - nap for server, rest in self._rests.items() if rest > nap}

    def _follow_pool(self) -> None:
        """A server that was changed or removed while this reply rested is not there to be asked any more."""
        if self._pool.servers is not self._seen:
            self._seen = self._pool.servers
            self._left = [server for server in self._left if server in self._seen]
            if not self._left:
                # None of those that have failed here for good.
                offering = self._pool.offering(self._model)
                self._left = [server for server in offering if server not in self._tries]
        if not self._left:
            raise BotUnavailable

    async def ask(self, place: Place, completion: Completion, request_id: str) -> Begun | _Failed:
        """One try. What it brings counts for the server's breaker."""
        server = place.server
        alone = self._left == [server]
        # Silence is for the core to judge, unless somebody else can be asked meanwhile. All may be slow, and not dead:
        # whoever was silent before is heard for longer.
        silences = self._silences.get(server, 0)
        patience = None if alone else self._options.patience * 2**silences
        try:
            answer = await _within(patience, server.upstream.complete(completion, request_id))
            said = await _hear_first(place, answer, patience)
        except _Silent:
            place.failed()
            return _Failed(f"was silent for {patience:g} s", SILENT, passes=True, silent=True)
        except UpstreamFailed as error:
            return _to_failed(error, place, self._options.backoff)
        if said.failure is None:
            place.succeeded()
            return said
        place.failed()
        if alone:
            return said
        said.answer.close()
        return _Failed(said.failure, BROKE_OFF, passes=False)

    def note(self, server: LlmServer, failed: _Failed, request_id: str) -> None:
        """What follows from it for the next try. Raises `BotUnavailable` where there is to be none."""
        backoff = self._options.backoff
        UPSTREAM_FAILURES.of[server.named.name, failed.why].add()
        tries = self._tries[server] = self._tries.get(server, 0) + 1
        counted = f"(try {tries} of {backoff.tries}) " if failed.passes else ""
        server.upstream.log_failure(request_id, counted + failed.words)
        if failed.silent:
            self._silences[server] = self._silences.get(server, 0) + 1
        if failed.hopeless:
            self._left.clear()
        elif failed.passes and tries < backoff.tries:
            self._rests[server] = backoff.seconds(tries, failed.told)
        else:
            self._left.remove(server)
        if not self._left:
            raise BotUnavailable(failed.cause)

    def _best(self) -> list[LlmServer]:
        """Of those that are left the ones to try first: a server behind an open breaker comes after all others, and one
        that was silent in this very reply last of all."""
        if len(self._left) == 1:
            return self._left
        fewest = min(self._silences.get(server, 0) for server in self._left)
        talking = [server for server in self._left if self._silences.get(server, 0) == fewest]
        return [server for server in talking if server.breaker.lets_in] or talking


async def _within(patience: float | None, asked: Awaitable[T]) -> T:
    """Raises `_Silent` where it takes longer than that."""
    if patience is None:
        return await asked
    try:
        async with asyncio.timeout(patience) as limit:
            return await asked
    except TimeoutError:
        if not limit.expired():
            raise
        raise _Silent from None


async def _hear_first(place: Place, answer: Answer, patience: float | None) -> Begun:
    """The first pieces. Raises `_Silent` where they do not come in time."""
    stream = CompletionStream()
    heard: Begun | None = None
    try:
        pieces: Sequence[Piece] = ()
        while not (pieces or stream.ended):
            data = await _within(patience, answer.read(LAST_SECONDS if stream.finish_reason else None))
            if not data:
                heard = Begun(place, answer, stream, stream.finish(), over=True)
                return heard
            pieces = stream.feed(data)
        over = not pieces
        heard = Begun(place, answer, stream, stream.finish() if over else pieces, over)
        return heard
    finally:
        if heard is None:
            answer.close()


def _to_failed(error: UpstreamFailed, place: Place, backoff: Backoff) -> _Failed:
    if not isinstance(error, Refused):
        place.failed()
        return _Failed(str(error), UNREACHABLE, passes=True)
    if error.status not in OF_THE_MODEL:
        place.failed()
    if error.retry_after is not None:
        place.server.breaker.rest(min(error.retry_after, backoff.longest_told))
    cause: Cause = "unavailable" if error.passes else "refused"
    why, hopeless = str(error.status), error.status in OF_THE_REQUEST
    return _Failed(str(error), why, error.passes, cause, error.retry_after, hopeless=hopeless)
