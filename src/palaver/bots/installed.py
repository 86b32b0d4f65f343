"""All bots of this server, opened and closed together: the door of this package."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from palaver.bots.dummy import DummyBot
from palaver.bots.options import ALWAYS_KNOWN, BotOptions
from palaver.bots.plugins import Plugins
from palaver.bots.server import ServerInUse
from palaver.bots.upstream import BadBotOptions, UpstreamFailed
from palaver.chat.errors import BotUnavailable
from palaver.chat.model import OfferedModel
from palaver.chat.pieces import Bot, Piece, Prompt

log = logging.getLogger("palaver.bots")

BUILT_IN = ("dummy", "openai", "openai_rag")


class InstalledBots:
    """Who can answer here, and with which models."""

    def __init__(self, options: BotOptions, server: ServerInUse, plugins: Plugins) -> None:
        self._default_provider = options.default_provider
        self._server = server
        self._plugins = plugins
        self._dummy = DummyBot()
        self._nobody = _Nobody()

    def known(self, provider: str) -> bool:
        return provider in BUILT_IN or self._plugins.known(provider)

    async def default_provider(self) -> str:
        """Who answers where nobody is named. Just after the start it may wait a second for what is found here."""
        if self._default_provider != "auto":
            return self._default_provider
        await self._server.wait_for_first_look()
        return "dummy" if self._server.current is None else "openai"

    def bot(self, provider: str) -> Bot:
        """Raises `BotUnavailable` for one that is no longer installed."""
        if provider == "dummy":
            return self._dummy
        if provider in BUILT_IN:
            return self._nobody if self._server.current is None else self._server.current.bot
        return self._plugins.bot(provider)

    def knows_model(self, name: str) -> bool:
        server = self._server.current
        return name in ALWAYS_KNOWN or (server is not None and server.catalogue.knows_model(name))

    def model_for_turn(self, wanted: str | None) -> str | None:
        """The wanted model where it is offered just now, or where nobody knows what is; else the server's default."""
        server = self._server.current
        return wanted if server is None else server.catalogue.model_for_turn(wanted)

    def context_length(self, model: str | None, usual: int) -> int:
        """How many tokens the model takes, question and answer together; `usual` where nobody tells."""
        server = self._server.current
        return usual if server is None else server.catalogue.context_length(model, usual)

    def default_model(self) -> str | None:
        """None where there is no server."""
        server = self._server.current
        return None if server is None else server.catalogue.default_model()

    def offered(self) -> Sequence[str]:
        return tuple(model.name for model in self.models() or ())

    def models(self) -> Sequence[OfferedModel] | None:
        """What is offered, by name, with what the server tells of it; None where none has told yet."""
        server = self._server.current
        return None if server is None else server.catalogue.models()

    def prefer_model(self, name: str | None) -> None:
        """From now on it is the default where the operator's own choice is not offered."""
        if self._server.current is not None:
            self._server.current.catalogue.prefer(name)

    async def refresh_models(self) -> Sequence[OfferedModel]:
        """Asks the server now. Raises `BotUnavailable` where it does not tell, and then nothing has changed."""
        await self._server.wait_for_first_look()
        server = self._server.current
        if server is None:
            raise BotUnavailable
        try:
            return await server.catalogue.refresh()
        except UpstreamFailed as error:
            server.upstream.log_failure("", f"tells no models: {error}")
            raise BotUnavailable from None

    async def is_healthy(self) -> bool:
        """The LLM server answers, and within five seconds."""
        server = self._server.current
        return server is not None and await server.upstream.is_healthy()

    @property
    def server_url(self) -> str | None:
        """Where the LLM server is, without secrets."""
        server = self._server.current
        return None if server is None else server.upstream.shown_url


class _Nobody:
    """Speaks where an LLM server is asked for and there is none."""

    def talk(self, prompt: Prompt) -> AsyncIterator[Piece]:
        request_id = prompt.request_id
        log.warning("Request %s: no LLM server is set and none was found", request_id, extra={"request_id": request_id})
        raise BotUnavailable


@asynccontextmanager
async def open_bots(options: BotOptions) -> AsyncIterator[InstalledBots]:
    """All bots, until the block is left. Raises `BadBotOptions` for options that cannot work."""
    plugins = Plugins(taken=BUILT_IN)
    _check_default_provider(options.default_provider, plugins)
    async with AsyncExitStack() as opened:
        server = ServerInUse(options, opened)
        await server.open()
        yield InstalledBots(options, server, plugins)


def _check_default_provider(chosen: str, plugins: Plugins) -> None:
    names = ("auto", *BUILT_IN)
    if chosen not in names and not plugins.known(chosen):
        there = ", ".join([*names, *plugins.names()])
        raise BadBotOptions(
            f"PALAVER_DEFAULT_PROVIDER is {chosen!r}, and no bot of that name is installed. Use one of: {there}"
        )
