"""Starting and stopping: the stand-in behind a listening socket."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from palaver.llm_server.http import Connection
from palaver.llm_server.options import Options
from palaver.llm_server.stand_in import StandIn

# A benchmark opens hundreds of connections in the same instant.
_BACKLOG = 4096


class Running(msgspec.Struct, frozen=True):
    """A stand-in that listens."""

    url: str
    port: int
    stand_in: StandIn


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Running]:
    """A stand-in in this process and loop, until the block is left; open connections are dropped then.

    `OSError` where the address cannot be listened on.
    """
    stand_in = StandIn(options)
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(stand_in, connections), options.host, options.port, backlog=_BACKLOG
    )
    try:
        port: int = server.sockets[0].getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        yield Running(f"http://{host}:{port}", port, stand_in)
    finally:
        server.close()
        for connection in tuple(connections):
            connection.drop()
        await server.wait_closed()


async def serve(options: Options) -> None:
    """Serve until cancelled, interrupted or terminated. The first line on standard output says where.

    Call it in the main thread, which alone hears signals.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with running(options) as llm:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        try:
            sys.stdout.write(f"llm-server on {llm.url}\n")
            sys.stdout.flush()
            await stopped.wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def run(options: Options) -> None:
    """Serve on a new event loop, as a command does."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(options))


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The fastest loop there is here."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()
