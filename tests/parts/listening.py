"""A small real HTTP server in the test's own process."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def listening(
    app: web.Application, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Its address, without a slash at the end."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    try:
        name, port = runner.addresses[0][:2]
        yield f"{'https' if tls else 'http'}://{name}:{port}"
    finally:
        await runner.cleanup()
