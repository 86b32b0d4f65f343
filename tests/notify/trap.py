"""A port of this machine that stands for all that is not to be reached from outside, and a resolver that lies."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from palaver.notify.guard import LookUp


class Trap:
    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.port: int = sockets[0].getsockname()[1]
        self._sockets = sockets
        self._connected = 0

    async def count(self) -> int:
        """How many connections there have been. The kernel makes them before anybody takes them: none is overlooked."""
        # What has just been begun.
        await asyncio.sleep(0)
        for listener in self._sockets:
            while (connection := _take(listener)) is not None:
                self._connected += 1
                connection.close()
        return self._connected

    def forgive(self) -> None:
        self._connected = 0


def _take(listener: socket.socket) -> socket.socket | None:
    try:
        return listener.accept()[0]
    except BlockingIOError:
        return None


@asynccontextmanager
async def open_trap() -> AsyncIterator[Trap]:
    """On every address of this machine, IPv4 and, where it has any, IPv6."""
    listener = (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
        if socket.has_dualstack_ipv6()
        else socket.create_server(("0.0.0.0", 0), backlog=512)
    )
    listener.setblocking(False)
    with listener:
        yield Trap([listener])


class Liar(LookUp):
    """Every name leads to `addresses`, or to what `change` makes of how often it was asked."""

    def __init__(self, *addresses: str, change: Callable[[int], Sequence[str]] | None = None) -> None:
        super().__init__()
        self._answer = change or (lambda _: addresses)
        self.asked = 0

    async def find(self, host: str, family: int) -> list[str]:  # noqa: ARG002
        self.asked += 1
        return list(self._answer(self.asked))
