"""The sockets that a server listens on: one, or one for each worker.

Linux spreads new connections over sockets that are bound to one port with SO_REUSEPORT. Elsewhere they would all reach
the one that was bound last, so that there the workers share one socket.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from palaver.serve import CannotStart

BACKLOG = 2048


class Listener:
    """The socket of a slot: bound from the start, it listens once a worker does so at it."""

    def __init__(self, bound: socket.socket, *, shared: bool) -> None:
        self._bound = bound
        self._shared = shared

    def fileno(self) -> int:
        return self._bound.fileno()

    def renew(self) -> None:
        """Now that nobody accepts here: no connection waits for a worker that may not come, all go to the others.

        What was waiting is reset. The port stays taken, by a socket that does not listen yet.
        """
        if self._shared:
            return
        # Not the same one once more: one that stopped listening and begins again may never get a connection (Linux 6).
        old, self._bound = self._bound, _bind(self._bound.getsockname(), self._bound.family, reuse=True)
        old.close()

    def share(self) -> socket.socket:
        """The same socket once more."""
        return self._bound.dup()

    def close(self) -> None:
        self._bound.close()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; with port 0, on a free one. Raises `CannotStart`."""
    with _new_socket(_to_family(host)) as listener:
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            raise _cannot_listen(host, port, error) from error
        yield listener


@contextmanager
def bound_for(
    host: str, port: int, slots: int, *, shared: bool | None = None
) -> Iterator[tuple[tuple[str, int], list[Listener]]]:
    """Host and port, and for each slot a socket that is bound there. Raises `CannotStart`.

    `shared`: one socket for all of them; by itself, where the system does not spread connections.
    """
    if shared is None:
        shared = sys.platform != "linux"
    if port:
        # Sockets that share a port join those of another Palaver without a word. This one does not.
        with listening(host, port):
            pass
    with ExitStack() as stack:
        listeners: list[Listener] = []
        for _ in range(slots):
            bound = listeners[0].share() if shared and listeners else _bind_for(host, port, reuse=not shared)
            listeners.append(Listener(bound, shared=shared))
            stack.callback(listeners[-1].close)
            port = bound.getsockname()[1]
        yield bound.getsockname()[:2], listeners


def _bind_for(host: str, port: int, *, reuse: bool) -> socket.socket:
    try:
        return _bind((host, port), _to_family(host), reuse=reuse)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def _bind(address: Any, family: int, *, reuse: bool) -> socket.socket:
    new = _new_socket(family)
    try:
        if reuse:
            new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        new.bind(address)
    except OSError:
        new.close()
        raise
    return new


def _new_socket(family: int) -> socket.socket:
    new = socket.socket(family, socket.SOCK_STREAM)
    # Connections of an earlier server that are about to be forgotten do not hold the port.
    new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return new


def _to_family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _cannot_listen(host: str, port: int, error: OSError) -> CannotStart:
    return CannotStart(
        f"Palaver cannot listen on {host}:{port}: {error.strerror}. "
        "Stop what uses that port, or choose another by PALAVER_PORT or --port."
    )
