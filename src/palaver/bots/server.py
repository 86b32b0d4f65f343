"""Which LLM server is in use: the one that is set, or one that was found on this machine."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial

from msgspec import Struct

from palaver.bots.backoff import Backoff
from palaver.bots.catalogue import Catalogue
from palaver.bots.discovery import AGAIN_SECONDS, find_server
from palaver.bots.openai import OpenAIBot
from palaver.bots.options import LOCAL_MODEL, OPENAI_MODELS, BotOptions
from palaver.bots.upstream import Upstream

log = logging.getLogger("palaver.bots")

# A server that answers at all tells its models in a few milliseconds, and then the first turn knows them.
FIRST_MODELS_SECONDS = 0.3

# A little longer than the first look at this machine takes.
FIRST_LOOK_SECONDS = 1.5


class LlmServer(Struct, frozen=True):
    """A server, what it offers, and the bot that speaks for it."""

    upstream: Upstream
    catalogue: Catalogue
    bot: OpenAIBot


class ServerInUse:
    """`current` is the server, or None while there is none. All that it opens is closed with `opened`."""

    def __init__(self, options: BotOptions, opened: AsyncExitStack) -> None:
        self.current: LlmServer | None = None
        self._options = options
        self._opened = opened
        self._looked = asyncio.Event()

    async def open(self) -> None:
        """Connects to the server that is set; without one begins to look around. Raises `ValueError` for a bad URL."""
        options = self._options
        ports = [port for port in options.discover_ports if port != options.own_port]
        if options.llm_server_url:
            await self._use(options.llm_server_url, options.llm_server_key, (options.default_model or LOCAL_MODEL,))
        elif options.openai_api_key:
            # The settings' own default is a model that OpenAI does not have.
            chosen = () if options.default_model in (None, LOCAL_MODEL) else (options.default_model,)
            await self._use(options.openai_base_url, options.openai_api_key, chosen, OPENAI_MODELS)
        elif ports:
            self._in_background(partial(self._look_around, ports), "looking for an LLM server")
            return
        self._looked.set()

    async def wait_for_first_look(self) -> None:
        """Returns at once but for the first second of a server that is not told where to look."""
        if not self._looked.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LOOK_SECONDS):
                    await self._looked.wait()

    async def _look_around(self, ports: Sequence[int]) -> None:
        while (url := await find_server(ports)) is None:
            self._looked.set()
            await asyncio.sleep(AGAIN_SECONDS)
        log.info("Found an LLM server at %s", url)
        await self._use(url, None, (self._options.default_model or LOCAL_MODEL,))
        self._looked.set()

    async def _use(self, url: str, api_key: str | None, preferred: Sequence[str], usual: Sequence[str] = ()) -> None:
        upstream = Upstream(url, api_key=api_key, backoff=Backoff(tries=self._options.tries))
        catalogue = Catalogue(upstream, preferred, usual)
        await self._opened.enter_async_context(upstream)
        self._in_background(catalogue.keep_fresh, "asking for models")
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_MODELS_SECONDS):
                await catalogue.asked.wait()
        self.current = LlmServer(upstream, catalogue, OpenAIBot(upstream, catalogue))

    def _in_background(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        task = asyncio.create_task(_run(work, name), name=name)
        self._opened.push_async_callback(_end, task)


async def _run(work: Callable[[], Awaitable[None]], name: str) -> None:
    try:
        await work()
    except Exception:
        log.exception("Something unforeseen has ended %s", name)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
