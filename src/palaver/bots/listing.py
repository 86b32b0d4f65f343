"""Which models one LLM server offers. It is asked in the background; nobody who wants to know ever waits for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from palaver.bots.upstream import Upstream, UpstreamFailed
from palaver.chat.model import OfferedModel

log = logging.getLogger("palaver.bots")

FRESH_SECONDS = 60.0
RETRY_SECONDS = 5.0


class Listing:
    """The models of one server as it last told them, or those that the operator has `given`: then it is not asked."""

    def __init__(
        self,
        upstream: Upstream,
        given: Sequence[str] = (),
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._upstream = upstream
        self._given = bool(given)
        self._sleep = sleep
        self._changed: Callable[[], None] | None = None
        self._failing: bool | None = None
        self.asked = asyncio.Event()
        self.models: Sequence[OfferedModel] | None = None
        """By name; None as long as the server has told nothing."""
        self.names: frozenset[str] = frozenset()
        self.seen: frozenset[str] = frozenset()
        """What it offers or did so earlier."""
        if given:
            self._take(tuple(OfferedModel(name) for name in sorted(set(given))))
            self.asked.set()

    @property
    def tells(self) -> bool | None:
        """Whether it answered when it was last asked; None where it was not."""
        return None if self._failing is None else not self._failing

    def on_change(self, changed: Callable[[], None]) -> None:
        """From now on `changed` is called when the server has told another list than before."""
        self._changed = changed

    async def refresh(self) -> bool:
        """Asks the server now. Whether it told; where it did not, all but `tells` is as it was."""
        if self._given:
            return True
        try:
            models = await self._upstream.fetch_models()
        except UpstreamFailed as error:
            # A server that is down stays so for a while; its log needs that once.
            if not self._failing:
                self._upstream.log_failure("", f"tells no models: {error}")
            self._failing = True
            return False
        if self._failing:
            log.info("The LLM server at %s tells its models again", self._upstream.shown_url)
        self._failing = False
        self._take(models)
        return True

    async def keep_fresh(self) -> None:
        """Asks now and again, for ever."""
        while not self._given:
            fresh = await self.refresh()
            self.asked.set()
            await self._sleep(FRESH_SECONDS if fresh else RETRY_SECONDS)

    def _take(self, models: Sequence[OfferedModel]) -> None:
        if models == self.models:
            return
        self.models = models
        self.names = frozenset(model.name for model in models)
        self.seen |= self.names
        if self._changed is not None:
            self._changed()
