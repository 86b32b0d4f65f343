"""A relay before PostgreSQL that hangs up at the worst moment: a transaction is committed, and nobody is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

# As PostgreSQL's clients look for it in a folder.
_SOCKET = ".s.PGSQL.5432"
_COMMITTED = b"COMMIT\0"
_CHUNK = 65536


class PostgresRelay:
    """Passes on what comes; where a transaction that carried the marked text is committed, it loses that answer."""

    def __init__(self, folder: Path, behind: Path) -> None:
        self.folder = folder
        self.lost = 0
        """So many answers to COMMIT so far."""
        self._behind = behind
        self._mark = b""
        self._spared = 0
        self._connections: set[asyncio.Task[None]] = set()

    def lose(self, mark: str, *, after: int = 0) -> None:
        """Lose, once, the answer to the COMMIT of a transaction with this text in it: the next one, or the one that comes
        `after` so many of them."""
        self._mark, self._spared = mark.encode(), after

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._accept, self.folder / _SOCKET)
        try:
            yield
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        behind, towards = await asyncio.open_unix_connection(self._behind / _SOCKET)
        carried = _Carried()
        forth = asyncio.create_task(self._carry_forth(reader, towards, carried))
        back = asyncio.create_task(self._carry_back(behind, writer, carried))
        try:
            await asyncio.wait([forth, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in (forth, back):
                way.cancel()
            writer.transport.abort()
            towards.transport.abort()
            self._connections.discard(task)

    async def _carry_forth(
        self, reader: asyncio.StreamReader, towards: asyncio.StreamWriter, carried: "_Carried"
    ) -> None:
        while data := await reader.read(_CHUNK):
            carried.text += data
            towards.write(data)
            await towards.drain()

    async def _carry_back(
        self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter, carried: "_Carried"
    ) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await behind.readexactly(5)
                body = await behind.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] == b"C" and body == _COMMITTED and self._is_lost(carried):
                    return
                writer.write(head + body)
                await writer.drain()

    def _is_lost(self, carried: "_Carried") -> bool:
        """Whether this transaction's answer is. The next one begins with nothing."""
        text, carried.text = bytes(carried.text), bytearray()
        if not self._mark or self._mark not in text:
            return False
        if self._spared:
            self._spared -= 1
            return False
        self._mark = b""
        self.lost += 1
        return True


class _Carried:
    """What a client has sent since its last COMMIT."""

    def __init__(self) -> None:
        self.text = bytearray()
