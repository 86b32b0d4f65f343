"""All bots of this server, opened and closed together: the door of this package."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from palaver.bots.asking import AskingOptions
from palaver.bots.catalogue import Catalogue
from palaver.bots.dummy import DummyBot
from palaver.bots.openai import OpenAIBot
from palaver.bots.options import ALWAYS_KNOWN, LOCAL_MODEL, OPENAI_MODELS, BotOptions
from palaver.bots.plugins import Plugins
from palaver.bots.pool import LlmServer, Pool
from palaver.bots.servers import Servers
from palaver.bots.upstream import BadBotOptions, Untold, Upstream, UpstreamFailed
from palaver.chat.backoff import Backoff
from palaver.chat.errors import BotUnavailable, NotFound
from palaver.chat.ledger import BILLED_BY_MODEL
from palaver.chat.model import OfferedModel
from palaver.chat.pieces import Bot, Piece, Prompt
from palaver.chat.server import NamedServer, ServerState, ServerTrial

log = logging.getLogger("palaver.bots")

BUILT_IN = ("dummy", *BILLED_BY_MODEL)


class InstalledBots:
    """Who can answer here, and with which models."""

    def __init__(
        self, options: BotOptions, plugins: Plugins, servers: Servers, pool: Pool, catalogue: Catalogue
    ) -> None:
        self._default_provider = options.default_provider
        self._plugins = plugins
        self._servers = servers
        self._pool = pool
        self._catalogue = catalogue
        self._dummy = DummyBot()
        self._openai = OpenAIBot(pool, catalogue, AskingOptions(Backoff(tries=options.tries), options.patience))
        self._nobody = _Nobody()

    def known(self, provider: str) -> bool:
        return provider in BUILT_IN or self._plugins.known(provider)

    async def default_provider(self) -> str:
        """Who answers where nobody is named. Just after the start it may wait a second for what is found here."""
        if self._default_provider != "auto":
            return self._default_provider
        if not self._pool.servers:
            await self._servers.wait_for_first_look()
        return "openai" if self._pool.servers else "dummy"

    def bot(self, provider: str) -> Bot:
        """Raises `BotUnavailable` for one that is no longer installed."""
        if provider == "dummy":
            return self._dummy
        if provider in BUILT_IN:
            return self._openai if self._pool.servers else self._nobody
        return self._plugins.bot(provider)

    def knows_model(self, name: str) -> bool:
        return name in ALWAYS_KNOWN or (bool(self._pool.servers) and self._catalogue.knows_model(name))

    def model_for_turn(self, wanted: str | None) -> str | None:
        """The wanted model where it is offered just now, or where nobody knows what is; else the default."""
        return self._catalogue.model_for_turn(wanted) if self._pool.servers else wanted

    def context_length(self, model: str | None, usual: int) -> int:
        """How many tokens the model takes, question and answer together; `usual` where nobody tells."""
        return self._catalogue.context_length(model, usual)

    def default_model(self) -> str | None:
        """None where there is no server."""
        return self._catalogue.default_model() if self._pool.servers else None

    def offered(self) -> Sequence[str]:
        return tuple(model.name for model in self.models() or ())

    def models(self) -> Sequence[OfferedModel] | None:
        """What all servers offer together, by name, with what they tell of it; None where none has told yet."""
        return self._catalogue.models()

    def models_are_whole(self) -> bool:
        """Every server has told its models: what is not among them is offered nowhere."""
        return self._catalogue.is_whole()

    def prefer_model(self, name: str | None) -> None:
        """From now on it is the default where the operator's own choice is not offered."""
        self._catalogue.prefer(name)

    def use_lengths(self, lengths: Mapping[str, int]) -> None:
        """From now on these are what the models of these names take, whatever their servers tell."""
        self._catalogue.use_lengths(lengths)

    async def refresh_models(self) -> Sequence[OfferedModel]:
        """Asks all servers now. Raises `BotUnavailable` where none of them tells, and then nothing has changed."""
        await self._servers.wait_for_first_look()
        if not self._pool.servers:
            raise BotUnavailable
        try:
            return await self._catalogue.refresh()
        except UpstreamFailed:
            raise BotUnavailable from None

    async def is_healthy(self) -> bool:
        """An LLM server answers, and within five seconds."""
        asked = [asyncio.create_task(server.upstream.is_healthy()) for server in self._pool.servers]
        try:
            for health in asyncio.as_completed(asked):
                if await health:
                    return True
            return False
        finally:
            for task in asked:
                task.cancel()

    async def use_servers(self, servers: Sequence[NamedServer]) -> None:
        """From now on these are the ones that admins have added."""
        await self._servers.use_kept(servers)

    def servers(self) -> Sequence[ServerState]:
        """All of them as they are just now, in the order in which they were named."""
        return [_to_state(server) for server in self._pool.servers]

    async def try_server(self, name: str) -> ServerTrial:
        """Asks the server for its models. Its own words go to the log alone. Raises `NotFound`."""
        server = next((server for server in self._pool.servers if server.named.name == name), None)
        if server is None:
            raise NotFound
        return await _try(server.upstream)

    @property
    def server_url(self) -> str | None:
        """Where the first LLM server is, without secrets."""
        servers = self._pool.servers
        return servers[0].upstream.shown_url if servers else None


def _to_state(server: LlmServer) -> ServerState:
    return ServerState(
        named=server.named,
        origin=server.origin,
        url=server.upstream.shown_url,
        tells=server.listing.tells,
        breaker=server.breaker.state,
        running=server.running,
        offers=tuple(sorted(server.listing.names)),
    )


async def _try(upstream: Upstream) -> ServerTrial:
    began = time.monotonic()
    try:
        models = await upstream.fetch_models()
    except UpstreamFailed as error:
        upstream.log_failure("", f"was tried: {error}")
        return ServerTrial(_to_problem(error), _milliseconds_since(began))
    return ServerTrial(None, _milliseconds_since(began), tuple(model.name for model in models))


def _to_problem(error: UpstreamFailed) -> Literal["unavailable", "key", "refused"]:
    if not isinstance(error, Untold):
        return "unavailable"
    return "key" if error.refuses_key else "refused"


def _milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


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
    pool = Pool()
    catalogue = Catalogue(pool, *_preferred_models(options))
    servers = Servers(options, pool)
    try:
        await servers.open()
        yield InstalledBots(options, plugins, servers, pool, catalogue)
    finally:
        await servers.close()


def _preferred_models(options: BotOptions) -> tuple[Sequence[str], Sequence[str]]:
    """The operator's own choice, and what is usual."""
    if options.llm_server_url or not options.openai_api_key:
        return (options.default_model or LOCAL_MODEL,), ()
    # The settings' own default is a model that OpenAI does not have.
    return () if options.default_model in (None, LOCAL_MODEL) else (options.default_model,), OPENAI_MODELS


def _check_default_provider(chosen: str, plugins: Plugins) -> None:
    names = ("auto", *BUILT_IN)
    if chosen not in names and not plugins.known(chosen):
        there = ", ".join([*names, *plugins.names()])
        raise BadBotOptions(
            f"PALAVER_DEFAULT_PROVIDER is {chosen!r}, and no bot of that name is installed. Use one of: {there}"
        )
