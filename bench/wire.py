"""HTTP/1.1 as a client, with as little as can be: what the load and the floor speak.

It knows answers with a `Content-Length` alone, one at a time on a connection, which is all that is asked here.
"""

import asyncio
from typing import NamedTuple, cast

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Answer(NamedTuple):
    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One connection that is kept alive. Make it with `connect`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Answer] | None = None
        self._data = b""
        self._loop = asyncio.get_running_loop()
        self.is_closed = False

    async def ask(self, request: bytes) -> Answer:
        """The answer to it. `ConnectionError` where the other side closes first."""
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports fit asyncio's by their methods alone.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data = data = self._data + data if self._data else data
        head = data.find(_HEAD_END)
        if head < 0:
            return
        start = head + len(_HEAD_END)
        end = start + _read_length(data[:head].lower())
        if len(data) < end:
            return
        self._data = data[end:]
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(int(data[9:12]), data[start:end]))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed by the other side"))


async def connect(host: str, port: int) -> Connection:
    _transport, connection = await asyncio.get_running_loop().create_connection(Connection, host, port)
    return connection


def to_request(path: str, body: bytes, token: str | None = None) -> bytes:
    """A POST with a JSON body, as it goes out."""
    authorization = f"authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{authorization}"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _read_length(head: bytes) -> int:
    begin = head.find(_LENGTH)
    if begin < 0:
        raise ValueError(f"An answer without a length: {head!r}")
    begin += len(_LENGTH)
    end = head.find(b"\r\n", begin)
    return int(head[begin:] if end < 0 else head[begin:end])
