"""Relays that stand before PostgreSQL and before Redis, and fail at the worst moment that a test can name."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import hiredis

_CHUNK = 65_536

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Carry = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class _Connections:
    """Those that are open, from both sides."""

    def __init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.Task[None]] = set()

    async def join(self, here: Streams, behind: Streams, forth: Carry, back: Carry) -> None:
        """Until one of the two ways comes to its end: then both sides are hung up. What was passed on arrives."""
        task = asyncio.current_task()
        assert task is not None
        writers = {here[1], behind[1]}
        self._open.add(task)
        self._writers |= writers
        ways = [asyncio.create_task(_carry(forth, here[0], behind[1]))]
        ways += [asyncio.create_task(_carry(back, behind[0], here[1]))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        here[1].transport.abort()
        behind[1].close()
        await asyncio.wait(ways)
        self._writers -= writers
        self._open.discard(task)

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        if self._open:
            await asyncio.wait(self._open)


async def _carry(carry: Carry, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        await carry(reader, writer)


# PostgreSQL

# As its clients look for it in a folder.
_SOCKET = ".s.PGSQL.5432"
_COMMITTED = b"COMMIT\0"


class PostgresRelay:
    """Where a transaction that carried the marked texts is committed, the answer is lost."""

    def __init__(self, folder: Path, behind: Path) -> None:
        self.folder = folder
        self.lost = 0
        """So many answers to COMMIT so far."""
        self._behind = behind
        self._marks: tuple[bytes, ...] = ()
        self._connections = _Connections()

    def lose(self, *marks: str) -> None:
        """Lose, once, the answer to the next COMMIT of a transaction with all of these texts in it."""
        self._marks = tuple(mark.encode() for mark in marks)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._accept, self.folder / _SOCKET)
        try:
            yield
        finally:
            server.close()
            await self._connections.hang_up()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_unix_connection(self._behind / _SOCKET)
        carried = bytearray()
        """What was sent since the last COMMIT."""

        async def forth(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(_CHUNK):
                carried.extend(data)
                writer.write(data)
                await writer.drain()

        async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] == b"C" and body == _COMMITTED and self._loses(carried):
                    return
                writer.write(head + body)
                await writer.drain()

        await self._connections.join((reader, writer), behind, forth, back)

    def _loses(self, carried: bytearray) -> bool:
        is_meant = bool(self._marks) and all(mark in carried for mark in self._marks)
        carried.clear()
        if is_meant:
            self._marks = ()
            self.lost += 1
        return is_meant


# Redis

# Hung up instead of being carried out; carried out, and hung up before that is said; answered with an error.
Fault = Literal["cut", "unanswered", "refused"]

_UNKNOWN = hiredis.pack_command((b"NOSUCHCOMMAND",))


class RedisRelay:
    """Commands are counted over all connections, but for those that only ask whether it lives."""

    def __init__(self, url: str) -> None:
        self._behind = urlsplit(url)
        self.url = ""
        self.failed = ""
        """The command that was made to fail last."""
        self._seen = 0
        self._number = 0
        self._fault: Fault = "cut"
        self._answers = asyncio.Event()
        self._answers.set()
        self._connections = _Connections()

    def fail(self, number: int, fault: Fault) -> None:
        """The command of this number from now on."""
        self._seen, self.failed, self._number, self._fault = 0, "", number, fault

    def hold(self) -> None:
        """From now on all is carried out, and no answer comes before `let_go`."""
        self._answers.clear()

    def let_go(self) -> None:
        self._answers.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        try:
            yield
        finally:
            server.close()
            self.let_go()
            await self._connections.hang_up()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(self._behind.hostname, self._behind.port)
        await self._connections.join((reader, writer), behind, self._carry_commands, self._carry_answers)

    async def _carry_commands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        while data := await reader.read(_CHUNK):
            commands.feed(data)
            while (command := commands.gets()) is not False:
                if not self._fails(command):
                    writer.write(hiredis.pack_command(tuple(command)))
                    continue
                if self._fault == "unanswered":
                    writer.write(hiredis.pack_command(tuple(command)))
                if self._fault != "refused":
                    return
                writer.write(_UNKNOWN)
            await writer.drain()

    async def _carry_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._answers.wait()
            writer.write(data)
            await writer.drain()

    def _fails(self, command: list[bytes]) -> bool:
        if command[0] == b"PING":
            return False
        self._seen += 1
        if self._seen == self._number:
            self.failed = command[0].decode()
        return self._seen == self._number
