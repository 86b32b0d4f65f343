"""WebSocket frames as bytes on a plain connection, right ones and wrong ones."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SECONDS = 15.0

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, MASKED = 0x80, 0x80
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}

_MASK = b"\x37\xfa\x21\x3d"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    wide: int = 0,
    declared: int | None = None,
) -> bytes:
    """`reserved` are the three bits as a number. `wide` spells the length in so many bytes although fewer would do;
    `declared` is a length that the payload does not have."""
    length = len(payload) if declared is None else declared
    mask_bit = MASKED if masked else 0
    head = bytes([(FIN if fin else 0) | reserved << 4 | opcode])
    if length < 126 and not wide:
        head += bytes([mask_bit | length])
    elif length < 65_536 and wide < 8:
        head += bytes([mask_bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    pattern = (_MASK * (len(payload) // 4 + 1))[: len(payload)]
    hidden = (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(len(payload), "big")
    return head + _MASK + hidden


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes

    @property
    def event(self) -> dict[str, Any]:
        """What a text of ours says."""
        assert self.opcode == TEXT, self
        told: dict[str, Any] = json.loads(self.payload)
        return told

    @property
    def code(self) -> int | None:
        """The code of a close; none where it names none."""
        assert self.opcode == CLOSE, self
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None


class Raw:
    """A connection on which a test says every byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send_slowly(self, data: bytes) -> None:
        """Each byte a packet of its own."""
        for byte in data:
            await self.send(bytes([byte]))
            await asyncio.sleep(0)

    def send_and_forget(self, data: bytes) -> None:
        """Without waiting until it can be sent."""
        self._writer.write(data)

    async def next(self) -> Frame:
        """Raises `IncompleteReadError` where the connection ends."""
        async with asyncio.timeout(SECONDS):
            first, second = await self._reader.readexactly(2)
            assert first & FIN, "the server sends frames whole"
            assert not second & MASKED, "a server masks nothing"
            length = second & 0x7F
            if length == 126:
                [length] = struct.unpack("!H", await self._reader.readexactly(2))
            elif length == 127:
                [length] = struct.unpack("!Q", await self._reader.readexactly(8))
            return Frame(first & 0x0F, await self._reader.readexactly(length))

    async def until(self, opcode: int) -> Frame:
        """The first frame of that kind."""
        while (found := await self.next()).opcode != opcode:
            pass
        return found

    async def head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers of an answer over HTTP."""
        async with asyncio.timeout(SECONDS):
            lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in headers.items()}

    async def end(self) -> bytes:
        """What still comes before the server ends the connection, in whatever way."""
        rest = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(SECONDS):
                while part := await self._reader.read(65_536):
                    rest += part
        return rest

    def half_close(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Raw]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def request(path: str, headers: Mapping[str, str], *, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *(f"{name}: {headers[name]}" for name in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@asynccontextmanager
async def open_raw(url: str, path: str, token: str) -> AsyncIterator[Raw]:
    """An open WebSocket, of which nothing has been heard yet."""
    async with connect(url) as raw:
        await raw.send(request(path, {**UPGRADE, "Authorization": f"Bearer {token}"}))
        status, _ = await raw.head()
        assert status == 101
        yield raw
