"""Palaver behind a proxy that has it below a path of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from aiohttp import ClientSession, ClientTimeout, WSMsgType, web

from tests.journeys.client import new_connector
from tests.parts.palaver import Server

PASSED = {"host", "cookie", "origin", "content-type", "accept", "accept-encoding", "accept-language", "x-csrftoken"}
ANSWERED = {"content-type", "content-encoding", "content-security-policy", "set-cookie", "cache-control", "location"}


async def pump(source: Any, target: Any) -> None:
    async for message in source:
        if message.type is not WSMsgType.TEXT:
            return
        await target.send_str(message.data)


@asynccontextmanager
async def behind_a_prefix(
    server: Server, prefix: str, instead: Mapping[str, bytes] = MappingProxyType({})
) -> AsyncIterator[str]:
    """A proxy that has the server below a path of its own, and passes everything on without it.

    `instead`: what it answers by itself, as if the server were of another version.
    """

    async def pass_on(request: web.Request) -> web.StreamResponse:
        target = f"{server.url}{request.path_qs.removeprefix(prefix)}"
        headers = {name: value for name, value in request.headers.items() if name.lower() in PASSED}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await pass_on_socket(request, target, headers)
        async with http.request(request.method, target, headers=headers, data=await request.read()) as answer:
            passed = [(name, value) for name, value in answer.headers.items() if name.lower() in ANSWERED]
            body = await answer.read()
            if (other := instead.get(request.path.removeprefix(prefix))) is not None:
                passed, body = [(name, value) for name, value in passed if name != "Content-Encoding"], other
            return web.Response(status=answer.status, body=body, headers=passed)

    async def pass_on_socket(request: web.Request, target: str, headers: dict[str, str]) -> web.StreamResponse:
        here = web.WebSocketResponse()
        await here.prepare(request)
        async with http.ws_connect(target, headers=headers) as there:
            await asyncio.wait(
                [asyncio.create_task(pump(here, there)), asyncio.create_task(pump(there, here))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        return here

    app = web.Application()
    app.router.add_route("*", f"{prefix}/{{rest:.*}}", pass_on)
    timeout = ClientTimeout(total=60)
    async with ClientSession(connector=new_connector(), timeout=timeout, auto_decompress=False) as http:
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}/"
        finally:
            await runner.cleanup()
