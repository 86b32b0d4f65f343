"""A connection whose client takes nothing of what is sent to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from palaver.serve.connections import HttpConnection, SocketConnection
from tests.contracts.raw import UPGRADE, Raw, connect, request

SECONDS = 10.0

Talk = Callable[[Receive, Send], Awaitable[None]]


class HastyConnection(SocketConnection):
    """One whose patience is a moment."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.close_timeout = 0.05


@asynccontextmanager
async def open_connection(talk: Talk, *, ping: float | None = None) -> AsyncIterator[Raw]:
    """A WebSocket to a server that does nothing but `talk`, once it is open."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await talk(receive, send)

    config = uvicorn.Config(
        app,
        port=0,
        http=HttpConnection,
        ws=HastyConnection,
        ws_ping_interval=ping,
        ws_ping_timeout=ping,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        async with connect(f"http://127.0.0.1:{port}") as raw:
            await raw.send(request("/", UPGRADE))
            assert (await raw.head())[0] == 101
            yield raw
    finally:
        await server.shutdown()


async def flood(send: Send) -> None:
    """Says more than the machine keeps for a connection. `OSError` once the client is given up."""
    for _ in range(1000):
        await send({"type": "websocket.send", "text": "x" * 65_536})


async def test_client_that_takes_nothing_and_answers_no_ping_is_given_up() -> None:
    given_up = asyncio.Event()

    async def talk(_receive: Receive, send: Send) -> None:
        with suppress(OSError):
            await flood(send)
            return
        given_up.set()

    async with open_connection(talk, ping=0.1):
        await asyncio.wait_for(given_up.wait(), SECONDS)
