"""A WebSocket into an app in this process, without a server between: to count what it asks of the database."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

from palaver.api.dispatch import Dispatcher
from tests.journeys.socket import CONVERSATION, Event

_SECONDS = 30


class AppSocket:
    def __init__(self, app: Dispatcher, token: str, session: str, cursor: str = "") -> None:
        self.cursor = cursor
        self.heard: list[Event] = []
        self._to_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[Event] = asyncio.Queue()
        path = CONVERSATION.format(session)
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "http_version": "1.1",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": f"cursor={cursor}".encode() if cursor else b"",
            "headers": [(b"authorization", f"Token {token}".encode())],
            "subprotocols": [],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._serving = asyncio.create_task(app(scope, self._to_app.get, self._send))

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "websocket.send":
            self._from_app.put_nowait(json.loads(message["text"]))

    async def say(self, message: str) -> None:
        text = json.dumps({"type": "send_message", "message": message})
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def until(self, kind: str) -> Event:
        while True:
            async with asyncio.timeout(_SECONDS):
                event = await self._from_app.get()
            self.heard.append(event)
            self.cursor = event.get("cursor", self.cursor)
            if event["type"] == kind:
                return event

    async def leave(self) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await self._serving
