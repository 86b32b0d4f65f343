"""A client that hides nothing: it shows the bytes and the order in which they arrived."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec

# Nothing that is shown depends on it: it ends a test that would wait for ever.
TIMEOUT = 60.0


class Response(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    chunks: list[bytes]
    """As framed by HTTP; a body that is not chunked is one chunk."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def data(self) -> list[bytes]:
        """What follows `data:` in each event."""
        lines = self.body.removeprefix(b"\xef\xbb\xbf").splitlines()
        return [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]

    @property
    def events(self) -> list[Any]:
        return [msgspec.json.decode(data) for data in self.data if data != b"[DONE]"]

    @property
    def texts(self) -> list[str]:
        deltas = [event["choices"][0]["delta"] for event in self.events if event["choices"]]
        return [delta["content"] for delta in deltas if delta.get("content")]


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.arrivals: list[bytes] = []
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._unread = bytearray()
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.arrivals.append(data)
        self._unread += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)
        self._news.set()

    @property
    def port(self) -> int:
        """The server's."""
        port: int = self._transport.get_extra_info("peername")[1]
        return port

    def send(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> None:
        payload = b"" if body is None else msgspec.json.encode(body)
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"{method} {path} HTTP/1.1\r\nHost: llm\r\nContent-Length: {len(payload)}\r\n{extra}\r\n"
        self.send_raw(head.encode() + payload)

    def send_raw(self, data: bytes) -> None:
        self._transport.write(data)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        self.send("GET", path, headers=headers)
        return await self.response()

    async def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Response:
        self.send("POST", path, body, headers)
        return await self.response()

    async def until(self, mark: bytes) -> bytes:
        """The bytes up to the mark, and the mark."""
        while True:
            place = self._unread.find(mark)
            if place >= 0:
                return self._take(place + len(mark))
            await self._wait()

    async def response(self) -> Response:
        head = (await self.until(b"\r\n\r\n")).decode()
        first, *lines = head.rstrip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        chunks = [await self._exactly(int(headers["content-length"]))] if "content-length" in headers else []
        if headers.get("transfer-encoding") == "chunked":
            chunks = [chunk async for chunk in self._chunks()]
        return Response(status=int(first.split()[1]), headers=headers, chunks=chunks)

    async def hang_up(self) -> bytes:
        """Say that nothing more will be asked; what had not been read yet, once the server has closed as well."""
        self._transport.write_eof()
        return await self.rest()

    async def rest(self) -> bytes:
        """All that comes until the server closes. `ConnectionResetError` if it does not close in good order."""
        async with asyncio.timeout(TIMEOUT):
            lost = await self.lost
        if lost:
            raise lost
        return self._take(len(self._unread))

    def close(self) -> None:
        self._transport.close()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.until(b"\r\n"), 16):
            yield await self._exactly(size)
            await self.until(b"\r\n")
        await self.until(b"\r\n")

    async def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            await self._wait()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    async def _wait(self) -> None:
        if self.lost.done():
            raise ConnectionError(f"The server closed after {bytes(self._unread[-200:])!r}")
        self._news.clear()
        async with asyncio.timeout(TIMEOUT):
            await self._news.wait()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    transport, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    try:
        yield client
    finally:
        transport.close()
        await client.lost
