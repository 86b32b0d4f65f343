"""Where the LLM servers come from: the settings, the admins, or a look around here. All are used together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from palaver.bots.discovery import AGAIN_SECONDS, find_servers, to_local_url, to_name
from palaver.bots.listing import Listing
from palaver.bots.options import BotOptions
from palaver.bots.pool import LlmServer, Pool
from palaver.bots.upstream import BadBotOptions, Upstream
from palaver.chat.server import NamedServer, Origin

log = logging.getLogger("palaver.bots")

# A server that answers at all tells its models in a few milliseconds, and then the first turn knows them.
FIRST_MODELS_SECONDS = 0.3

# A little longer than the first look at this machine takes.
FIRST_LOOK_SECONDS = 1.5


class Servers:
    """Opens servers into a pool and closes those that left it, after their last reply."""

    def __init__(self, options: BotOptions, pool: Pool) -> None:
        self._options = options
        self._pool = pool
        self._by_origin: dict[Origin, list[LlmServer]] = {"settings": [], "admin": [], "found": []}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looked = asyncio.Event()
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Connects to the servers that are set; without any begins to look around. Raises `BadBotOptions`."""
        named = named_servers(self._options)
        ports = ports_to_look_at(self._options)
        if ports:
            self._in_background(partial(self._look_around, ports), "looking for LLM servers")
            return
        self._looked.set()
        await self._use("settings", named)

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def use_kept(self, servers: Iterable[NamedServer]) -> None:
        """From now on these are the ones that admins have added. A name that the settings use is theirs."""
        set_names = {server.named.name for server in self._by_origin["settings"]}
        kept = []
        for server in servers:
            if server.name in set_names:
                log.warning(
                    "The LLM server %r that an admin has added is not used: the settings name one so", server.name
                )
            else:
                kept.append(server)
        await self._use("admin", kept)

    async def wait_for_first_look(self) -> None:
        """Returns at once but for the first second of a process that is not told where to look."""
        if not self._looked.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LOOK_SECONDS):
                    await self._looked.wait()

    async def _look_around(self, ports: Sequence[int]) -> None:
        found: list[int] = []
        while True:
            new = await find_servers([port for port in ports if port not in found])
            if new:
                log.info("Found LLM servers at %s", ", ".join(map(to_local_url, new)))
                # In the order of the ports, whichever was there first.
                found = [port for port in ports if port in found or port in new]
                await self._use("found", [NamedServer(to_name(port), to_local_url(port)) for port in found])
            self._looked.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _use(self, origin: Origin, named: Sequence[NamedServer]) -> None:
        """Opens, changes and leaves servers until those of this origin are the ones that are named."""
        async with self._changing:
            before = {server.named.name: server for server in self._by_origin[origin]}
            servers = [_renamed(before.get(one.name), one) or self._opened(one, origin) for one in named]
            await _wait_a_moment(servers)
            self._by_origin[origin] = servers
            self._pool.set([server for kind in self._by_origin.values() for server in kind])
            for server in before.values():
                if server not in servers:
                    server.leave()

    def _opened(self, named: NamedServer, origin: Origin) -> LlmServer:
        upstream = Upstream(named.url, api_key=named.key)
        server = LlmServer(named, upstream, Listing(upstream, named.models), origin=origin)
        upstream.open()
        self._in_background(partial(_serve, server), f"the LLM server {named.name}")
        return server

    def _in_background(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        task = asyncio.create_task(_run(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def named_servers(options: BotOptions) -> Sequence[NamedServer]:
    """The servers that the settings name. Raises `BadBotOptions` where two have one name."""
    if options.llm_server_url:
        single = [NamedServer("llm-server", options.llm_server_url, options.llm_server_key)]
    elif options.openai_api_key:
        single = [NamedServer("openai", options.openai_base_url, options.openai_api_key)]
    else:
        single = []
    for one in single:
        if any(one.name == other.name for other in options.servers):
            raise BadBotOptions(
                f"PALAVER_LLM_SERVERS names a server {one.name!r}, as the one of "
                f"{'LLM_SERVER_URL' if options.llm_server_url else 'OPENAI_API_KEY'} is called. Give it another name."
            )
    return [*single, *options.servers]


def ports_to_look_at(options: BotOptions) -> Sequence[int]:
    """Where on this machine servers are looked for: nowhere if any is set."""
    if options.llm_server_url or options.openai_api_key or options.servers:
        return ()
    return [port for port in options.discover_ports if port != options.own_port]


def _renamed(server: LlmServer | None, named: NamedServer) -> LlmServer | None:
    """The same server, if nothing but its weight or its limit is to be another one."""
    if server is None or replace(server.named, weight=named.weight, most_at_once=named.most_at_once) != named:
        return None
    server.named = named
    return server


async def _serve(server: LlmServer) -> None:
    """Keeps its list fresh until it is left and its last reply has ended."""
    name = f"asking {server.named.name} for its models"
    fresh = asyncio.create_task(_run(server.listing.keep_fresh, name), name=name)
    try:
        await server.left.wait()
    finally:
        fresh.cancel()
        await asyncio.wait([fresh])
        await server.upstream.close()


async def _wait_a_moment(servers: Iterable[LlmServer]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_MODELS_SECONDS):
            await asyncio.gather(*(server.listing.asked.wait() for server in servers))


async def _run(work: Callable[[], Awaitable[None]], name: str) -> None:
    try:
        await work()
    except Exception:
        log.exception("Something unforeseen has ended %s", name)
