"""Servers that do what nobody should: they are spoken to in bytes, with nothing between."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import repeat

_DRIP_SECONDS = 0.02


@dataclass
class Hostile:
    """A server that answers with these pieces, one each time the last was taken, or `slowly`; and then is silent, or
    goes away where it `leaves`. `sent`: how many bytes went out."""

    pieces: Callable[[], Iterator[bytes]]
    slowly: bool = False
    leaves: bool = False
    reads: bool = True
    port: int = 0
    sent: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.reads:
            await reader.readuntil(b"\r\n\r\n")
        tick = asyncio.Event()
        for piece in self.pieces():
            writer.write(piece)
            self.sent += len(piece)
            try:
                await writer.drain()
            except OSError:
                return
            if self.slowly:
                tick.clear()
                asyncio.get_running_loop().call_later(_DRIP_SECONDS, tick.set)
                await tick.wait()
            if reader.at_eof():
                return
        if not self.leaves:
            await reader.read()
        writer.close()


@asynccontextmanager
async def open_hostile(hostile: Hostile) -> AsyncIterator[str]:
    """Its address."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        hostile._tasks.add(task)
        try:
            await hostile.answer(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            # Whoever called has had enough, or the test is over.
            pass
        finally:
            writer.close()
            hostile._tasks.discard(task)

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=1 << 20)
    hostile.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield f"http://127.0.0.1:{hostile.port}/"
        finally:
            for task in tuple(hostile._tasks):
                task.cancel()


_OK = b"HTTP/1.1 200 OK\r\n"
_ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB = zlib.compress(bytes(20_000_000), 9)


def _pieces(*pieces: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter(pieces)


def _then(first: bytes, again: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield first
        yield from repeat(again)

    return pieces


# That answer nothing of use: each costs the time limit at most.
USELESS: dict[str, Callable[[], Hostile]] = {
    "silent": lambda: Hostile(_pieces()),
    "silent_without_reading": lambda: Hostile(_pieces(), reads=False),
    "goes_away": lambda: Hostile(_pieces(), leaves=True),
    "status_drips": lambda: Hostile(_then(b"H", b"T"), slowly=True),
    "headers_drip": lambda: Hostile(_then(_OK, b"X-Y: z\r\n"), slowly=True),
    "headers_without_end": lambda: Hostile(_then(_OK, b"X-Y: z\r\n" * 1000)),
    "header_without_end": lambda: Hostile(_then(_OK + b"X-Y: ", b"z" * 65536)),
    "huge_header": lambda: Hostile(_pieces(_OK + b"X-Y: " + b"z" * 1_000_000 + b"\r\n\r\n")),
    "many_headers": lambda: Hostile(_pieces(_OK + b"X-Y: z\r\n" * 10_000 + b"\r\n")),
    "status_line_without_end": lambda: Hostile(_then(b"HTTP/1.1 200 ", b"O" * 65536)),
    "goes_on_without_end": lambda: Hostile(_then(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    "hints_without_end": lambda: Hostile(_then(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100)),
    "no_http": lambda: Hostile(_pieces(b"220 mail.example ESMTP\r\n"), leaves=True),
    "no_http_without_end": lambda: Hostile(_then(b"", b"\x00\xff" * 32768)),
    "trailers_without_end": lambda: Hostile(_then(_CHUNKED + b"0\r\n", b"X-Y: z\r\n" * 1000)),
    "two_lengths": lambda: Hostile(_pieces(_OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), leaves=True),
    "length_that_is_none": lambda: Hostile(_pieces(_OK + b"Content-Length: -5\r\n\r\n"), leaves=True),
}

# That say at once what became of the notice, and would then go on for ever.
CHATTY: dict[str, Callable[[], Hostile]] = {
    "body_without_end": lambda: Hostile(_then(_ENDLESS, b"z" * 65536)),
    "body_drips": lambda: Hostile(_then(_ENDLESS, b"z"), slowly=True),
    "body_never_comes": lambda: Hostile(_pieces(_ENDLESS)),
    "chunks_without_end": lambda: Hostile(_then(_CHUNKED, b"1\r\nz\r\n" * 1000)),
    "chunk_length_without_end": lambda: Hostile(_then(_CHUNKED, b"0" * 65536)),
    "body_breaks_off": lambda: Hostile(_pieces(_ENDLESS + b"z"), leaves=True),
    "unpacks_to_twenty_megabytes": lambda: Hostile(
        _pieces(_OK + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)
    ),
    "says_that_it_is_packed": lambda: Hostile(_pieces(_OK + b"Content-Encoding: br, gzip\r\n\r\nnot"), leaves=True),
}
