"""A worker: one of several processes that serve, on the socket of its slot, under a supervisor."""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import assert_never

from palaver.serve.draining import Draining
from palaver.serve.orders import Order, Ready, decode_order, encode_ready
from palaver.serve.output import TOGETHER, set_up_logging
from palaver.serve.serving import serve
from palaver.settings import Settings
from palaver.watching.boards import join, to_slot

log = logging.getLogger("palaver")

_MOST_BYTES = 4096


def serve_as_worker(settings: Settings, listener: int, control: int, board: Path | None) -> int:
    """Serves until the supervisor says otherwise, or dies. Both numbers are descriptors from it; its own it keeps in
    `board`."""
    set_up_logging(settings, TOGETHER, None if board is None else to_slot(board))
    if board is not None:
        join(board)
    with _inherited(control) as supervisor:
        return serve(settings, _inherited(listener), Supervised(supervisor))


def _inherited(descriptor: int) -> socket.socket:
    inherited = socket.socket(fileno=descriptor)
    # Whatever a bot starts must not hold the port, nor seem to be this worker.
    inherited.set_inheritable(False)
    return inherited


class Supervised:
    """The supervisor's orders. Its death is one."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._control.setblocking(False)
        self._draining: Draining
        self._heard = b""

    @contextmanager
    def obeyed_by(self, draining: Draining) -> Iterator[None]:
        self._draining = draining
        loop = asyncio.get_running_loop()
        # Often sent to all processes of a service at once, beside the supervisor's order, and so never the second one.
        loop.add_signal_handler(signal.SIGTERM, draining.begin)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            loop.remove_reader(self._control)

    def hear_ready(self, address: tuple[str, int], code: str | None) -> None:  # noqa: ARG002 (the supervisor knows it)
        # Where it has died meanwhile, that is heard next.
        with suppress(ConnectionError):
            self._control.sendall(encode_ready(Ready(code)))
        asyncio.get_running_loop().add_reader(self._control, self._hear)

    def _hear(self) -> None:
        try:
            heard = self._control.recv(_MOST_BYTES)
        except ConnectionError:
            heard = b""
        if not heard:
            asyncio.get_running_loop().remove_reader(self._control)
            self._draining.orphaned()
            return
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            self._obey(decode_order(line))

    def _obey(self, order: Order | None) -> None:
        match order:
            case "drain":
                self._draining.begin()
            case "leave":
                self._draining.leave()
            case "now":
                self._draining.end_now()
            case None:
                log.warning("the supervisor gave an order that this version does not know")
            case _:
                assert_never(order)
