import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from palaver.llm_server import Options, Running, running
from palaver.llm_server.http import Connection

from .client import Client, connected


@pytest.fixture
async def llm() -> AsyncIterator[Running]:
    async with running(Options(port=0)) as running_llm:
        yield running_llm


@pytest.fixture
async def client(llm: Running) -> AsyncIterator[Client]:
    async with connected(llm.port) as connected_client:
        yield connected_client


class Noting:
    """A transport, and what is written to it. How much of that arrives at once is up to the kernel, and to its load."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        # What has not left by now leaves with this.
        held = self._writes.pop() if self._transport.get_write_buffer_size() > 0 else b""
        if held + data:
            self._writes.append(held + data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What a stand-in in this process sends, as it leaves, on whatever loop; to be asked for before a client is."""
    writes: list[bytes] = []
    connect = Connection.connection_made

    def note(connection: Connection, transport: asyncio.BaseTransport) -> None:
        noting = Noting(cast(asyncio.Transport, transport), writes)
        connect(connection, cast(asyncio.Transport, noting))

    monkeypatch.setattr(Connection, "connection_made", note)
    return writes
