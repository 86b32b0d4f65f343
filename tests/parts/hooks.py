"""An application's own server that webhooks come to, and that checks who sends them, as Standard Webhooks has it."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.parts.listening import listening

SECONDS = 15


@dataclass(frozen=True)
class Hook:
    """`connection` is the same for what came by the same one."""

    headers: Mapping[str, str]
    body: bytes
    connection: object

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = b".".join((self.headers["webhook-id"].encode(), self.headers["webhook-timestamp"].encode(), self.body))
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return expected in self.headers["webhook-signature"].split(" ")


class Hooks:
    """`url` is what an application registers. It answers with `status` and `headers`, and keeps all that came."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 204
        self.headers: dict[str, str] = {}
        self.came: list[Hook] = []
        self._more = asyncio.Condition()

    async def wait_for(self, count: int) -> list[Hook]:
        async with asyncio.timeout(SECONDS), self._more:
            await self._more.wait_for(lambda: len(self.came) >= count)
        return self.came

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._more:
            self.came.append(
                Hook({name.lower(): value for name, value in request.headers.items()}, body, request.transport)
            )
            self._more.notify_all()
        return web.Response(status=self.status, headers=self.headers)


@asynccontextmanager
async def open_hooks() -> AsyncIterator[Hooks]:
    hooks = Hooks()
    app = web.Application()
    app.router.add_post("/hooks", hooks._receive)
    async with listening(app) as url:
        hooks.url = f"{url}/hooks"
        yield hooks
