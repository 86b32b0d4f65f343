"""Which models the LLM server offers. It is asked in the background; nobody who wants to know ever waits for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from palaver.bots.models import Model
from palaver.bots.upstream import Upstream, UpstreamFailed

log = logging.getLogger("palaver.bots")

FRESH_SECONDS = 60.0
RETRY_SECONDS = 5.0

# A server's list may hold models that do something else; none of them may become the default.
_NOT_FOR_CHAT = (
    "audio", "babbage", "codex", "computer-use", "dall-e", "davinci", "deep-research", "embed", "image",
    "moderation", "realtime", "rerank", "sora", "transcribe", "tts", "whisper",
)  # fmt: skip


class Catalogue:
    """The models of one server, as it last told them.

    `preferred` are the names that may be the default, the dearest first; the first of them is assumed to be there as
    long as the server has told nothing.
    """

    def __init__(
        self, upstream: Upstream, preferred: Sequence[str], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._upstream = upstream
        self._preferred = tuple(preferred)
        self._sleep = sleep
        self._models: tuple[Model, ...] = ()
        self._names: frozenset[str] = frozenset()
        self._seen: frozenset[str] = frozenset()
        self._default = self._preferred[0]
        self._failing = False
        self.asked = asyncio.Event()

    def models(self) -> Sequence[Model]:
        return self._models

    def default_model(self) -> str:
        return self._default

    def knows_model(self, name: str) -> bool:
        """The server offers it or did so earlier."""
        return name in self._seen or name == self._default

    def model_for_turn(self, wanted: str | None) -> str:
        """The wanted model where it is offered, or where nobody knows what is; else the default."""
        if wanted is None or (self._names and wanted not in self._names):
            return self._default
        return wanted

    async def refresh(self) -> None:
        """Asks the server now. Raises `UpstreamFailed`, and then nothing has changed."""
        self._models = await self._upstream.fetch_models()
        self._names = frozenset(model.name for model in self._models)
        self._seen |= self._names
        self._default = self._choose_default()

    async def keep_fresh(self) -> None:
        """Asks now and again, for ever."""
        while True:
            fresh = await self._try_refresh()
            self.asked.set()
            await self._sleep(FRESH_SECONDS if fresh else RETRY_SECONDS)

    async def _try_refresh(self) -> bool:
        try:
            await self.refresh()
        except UpstreamFailed as error:
            # A server that is down stays so for a while; its log needs that once.
            if not self._failing:
                self._upstream.log_failure("", f"tells no models: {error}")
            self._failing = True
            return False
        if self._failing:
            log.info("The LLM server at %s tells its models again", self._upstream.shown_url)
        self._failing = False
        return True

    def _choose_default(self) -> str:
        names = [model.name for model in self._models]
        for_chat = [name for name in names if not any(part in name.lower() for part in _NOT_FOR_CHAT)]
        wanted = [name for name in self._preferred if name in self._names]
        return next(iter([*wanted, *for_chat, *names]), self._preferred[0])
