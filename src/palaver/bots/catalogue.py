"""Which models the LLM server offers. It is asked in the background; nobody who wants to know ever waits for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from palaver.bots.upstream import Upstream, UpstreamFailed
from palaver.chat.model import OfferedModel

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

    The default is the first that is offered: of `preferred`, the operator's own choice; the one that people prefer; of
    `usual`. As long as the server has told nothing, the first of these names is assumed to be there.
    """

    def __init__(
        self,
        upstream: Upstream,
        preferred: Sequence[str],
        usual: Sequence[str] = (),
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._upstream = upstream
        self._operators = tuple(preferred)
        self._usual = tuple(usual)
        self._peoples: str | None = None
        self._sleep = sleep
        self._models: tuple[OfferedModel, ...] | None = None
        self._names: frozenset[str] = frozenset()
        self._by_name: dict[str, OfferedModel] = {}
        self._seen: frozenset[str] = frozenset()
        self._default = self._choose_default(())
        self._failing = False
        self.asked = asyncio.Event()

    def models(self) -> Sequence[OfferedModel] | None:
        """By name; None as long as the server has told nothing."""
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

    def context_length(self, name: str | None, usual: int) -> int:
        """How many tokens the server takes for that model; `usual` where it does not tell."""
        model = None if name is None else self._by_name.get(name)
        if model is None or model.context_length is None:
            return usual
        return min(model.context_length, usual) if model.only_trained else model.context_length

    def prefer(self, name: str | None) -> None:
        """What people have chosen as the default."""
        if name != self._peoples:
            self._peoples = name
            self._default = self._choose_default(self._models or ())

    async def refresh(self) -> Sequence[OfferedModel]:
        """Asks the server now. Raises `UpstreamFailed`, and then nothing has changed."""
        models = await self._upstream.fetch_models()
        self._models = models
        self._by_name = {model.name: model for model in models}
        self._names = frozenset(self._by_name)
        self._seen |= self._names
        self._default = self._choose_default(models)
        return models

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

    def _choose_default(self, models: Sequence[OfferedModel]) -> str:
        chosen = [] if self._peoples is None else [self._peoples]
        named = [*self._operators, *chosen, *self._usual]
        names = [model.name for model in models]
        for_chat = [name for name in names if not any(part in name.lower() for part in _NOT_FOR_CHAT)]
        wanted = [name for name in named if name in names]
        return next(iter([*wanted, *for_chat, *names, *named]))
