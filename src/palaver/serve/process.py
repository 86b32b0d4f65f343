"""A worker process as its supervisor sees it."""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from palaver.serve.listening import Listener
from palaver.serve.orders import Order, Ready, decode_ready, encode_order
from palaver.settings import Settings


class Child(Protocol):
    """As much of `asyncio.subprocess.Process` as is needed."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int, /) -> None: ...


async def start_child(command: Sequence[str], descriptors: Sequence[int]) -> Child:
    """It has these descriptors of ours, by the same numbers. The tests have a quicker way to the same."""
    return await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, pass_fds=descriptors)


class WorkerProcess:
    """A process that has been started, and may be anything from new to ended."""

    def __init__(self, process: Child, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._writer = writer
        self._clock = asyncio.get_running_loop().time
        self._ready_since: float | None = None
        self._readiness = asyncio.create_task(self._hear_ready(reader))
        self.ended = asyncio.create_task(self._wait())

    @classmethod
    async def start(cls, settings: Settings, listener: Listener, board: Path | None) -> Self:
        """A new one, which listens on this socket once it is ready, and counts into this file.

        Raises `OSError` where no process can be had.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            try:
                process = await start_child(
                    _to_command(settings, listener.fileno(), theirs.fileno(), board),
                    (listener.fileno(), theirs.fileno()),
                )
            except BaseException:
                writer.close()
                raise
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def seconds_served(self) -> float:
        return 0.0 if self._ready_since is None else self._clock() - self._ready_since

    async def wait_ready(self) -> Ready | None:
        """What it says once it serves; None where it ended before."""
        # Here and below: whoever is cancelled while they wait must not take the others' waiting with them.
        await asyncio.wait([self._readiness])
        return self._readiness.result()

    async def wait_end(self, seconds: float | None = None) -> int | None:
        """Its return code, as of `subprocess`; None where it still lives after so long."""
        await asyncio.wait([self.ended], timeout=seconds)
        return self.ended.result() if self.ended.done() else None

    def tell(self, order: Order) -> None:
        """Gives it an order. One that does not serve yet hears none, and has nothing to lose."""
        if self._ready_since is None:
            self._send(signal.SIGTERM)
        elif not self.ended.done():
            self._writer.write(encode_order(order))

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _hear_ready(self, reader: asyncio.StreamReader) -> Ready | None:
        try:
            ready = decode_ready(await reader.readline())
        except ConnectionError:
            return None
        if ready is not None:
            self._ready_since = self._clock()
        return ready

    async def _wait(self) -> int:
        code = await self._process.wait()
        self._writer.close()
        return code


def to_reason(code: int) -> str:
    """How a process ended, in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _to_command(settings: Settings, listener: int, control: int, board: Path | None) -> list[str]:
    return [
        # Without the folder that somebody happens to stand in, which is no place to import from.
        *(sys.executable, "-P", "-m", "palaver", "serve"),
        # All that may have been given by options; the rest is in the environment.
        *("--host", settings.host, "--port", str(settings.port), "--workers", str(settings.workers)),
        *("--as-worker", str(listener), str(control)),
        *(() if board is None else ("--board", str(board))),
    ]
