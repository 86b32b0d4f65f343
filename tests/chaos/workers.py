"""Which of a server's workers somebody talks with, and how to come to another one."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.journeys.client import Client
from tests.journeys.socket import Socket, enter

_TRIES = 200


def worker_of(socket: Socket, workers: Iterable[int]) -> int:
    """The process at the other end of the connection. `AssertionError` where it is none of these."""
    connection = socket._socket._response.connection
    assert connection is not None, "it is open"
    assert connection.transport is not None, "it is open"
    (_, port), (_, server_port) = (connection.transport.get_extra_info(name)[:2] for name in ("sockname", "peername"))
    inode = _inode(port=server_port, peer=port)
    for pid in workers:
        if has_open(pid, f"socket:[{inode}]"):
            return pid
    raise AssertionError(f"none of {workers} holds the connection from port {port}")


def has_open(pid: int, target: str) -> bool:
    """Whether the process has this socket or file open."""
    return any(_leads_to(fd, target) for fd in Path(f"/proc/{pid}/fd").iterdir())


def _inode(*, port: int, peer: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16)) == (port, peer):
            return fields[9]
    raise AssertionError(f"no connection of port {port} with {peer}")


def _leads_to(fd: Path, target: str) -> bool:
    try:
        return str(fd.readlink()) == target
    except FileNotFoundError:
        # It was closed meanwhile.
        return False


@asynccontextmanager
async def enter_at(
    alice: Client, session: str, workers: Iterable[int], wanted: Iterable[int], query: str = "full_content=0"
) -> AsyncIterator[tuple[Socket, int]]:
    """In the conversation by one of the wanted workers; the system chooses, until it has chosen well."""
    wanted = set(wanted)
    for _ in range(_TRIES):
        async with enter(alice, session, query) as socket:
            worker = worker_of(socket, workers)
            if worker in wanted:
                yield socket, worker
                return
    raise AssertionError(f"none of {_TRIES} connections came to any of {wanted}")
