"""A connection of which a test says how fast it is read: one of few buffers, whose reader may stand still."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from tests.contracts.raw import UPGRADE
from tests.journeys.client import Client
from tests.journeys.socket import CONVERSATION, Event

Way = Literal["socket", "stream"]

_SMALL = 4096
_SEGMENT = 536
_AT_ONCE = 1 << 18
_EVENT = re.compile(rb"data: (\{.*?\})\n\n", re.DOTALL)
_OVER = {"socket": b'"ai_typing_stop"', "stream": b'"type": "end"'}


class Reader:
    """One who hears a conversation, by a WebSocket or by a stream of its reply."""

    def __init__(self, way: Way, connection: socket.socket) -> None:
        self.way = way
        self.arrivals: list[float] = []
        """When something came."""
        self.arrived = asyncio.Event()
        self._connection = connection
        self._data = bytearray()

    @property
    def is_over(self) -> bool:
        return _OVER[self.way] in self._data

    async def read(self, most: int = _AT_ONCE) -> None:
        """Waits for something, and takes so much of it."""
        data = await asyncio.get_running_loop().sock_recv(self._connection, most)
        assert data, "it was closed"
        self.arrivals.append(time.monotonic())
        self._data += data
        self.arrived.set()

    async def read_to_end(self) -> None:
        while not self.is_over:
            await self.read()

    async def read_until(self, sign: bytes) -> None:
        while sign not in self._data:
            await self.read()

    def pieces(self) -> list[str]:
        events = [event for event in self._events() if event["type"] in ("chunk", "ai_message_chunk")]
        return [event["content"] for event in events]

    def close(self) -> None:
        self._connection.close()

    def _events(self) -> Iterator[Event]:
        _, _, body = bytes(self._data).partition(b"\r\n\r\n")
        if self.way == "socket":
            yield from _to_frames(body)
        else:
            # Events are never cut: each of them stands whole in a chunk of the body.
            yield from map(json.loads, _EVENT.findall(body))


def _to_frames(data: bytes) -> Iterator[Event]:
    while data:
        opcode, length, start = data[0] & 0xF, data[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            # The rest of it is on its way.
            return
        if opcode == 1:
            yield json.loads(data[start : start + length])
        data = data[start + length :]


async def open_reader(alice: Client, session: str, way: Way, *, small: bool = False) -> Reader:
    """`small`: with as few buffers as the system allows, so that whoever sends soon notices that nobody reads."""
    where = urlsplit(alice.url)
    connection = socket.socket()
    if small:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        # For the large segments of its own the loopback keeps megabytes, for small ones some kilobytes.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (where.hostname, where.port))
    path = CONVERSATION.format(session) + "?full_content=0"
    if way == "stream":
        path = f"/api/chat/stream/?session_id={session}"
    headers = {"Host": where.netloc, **alice._headers, **(UPGRADE if way == "socket" else {})}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    await loop.sock_sendall(connection, "\r\n".join(lines).encode())
    reader = Reader(way, connection)
    await reader.read_until(b'"ai_typing"' if way == "socket" else b'"start"')
    return reader
