"""A process that a test starts: its output, its end, and the signals that a fault is made of."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from tests.parts import PartFailed
from tests.parts.run import Run

_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV")
_POLL_SECONDS = 0.01
_LINES_SHOWN = 100


def bare_environment() -> dict[str, str]:
    """What a process needs to run at all; no setting of the person who runs the tests leaks into them."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


class Child(Protocol):
    """As much of `subprocess.Popen` as is needed."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...


class Process:
    """A running command, leader of its own process group: what it starts is ended with it."""

    def __init__(
        self, run: Run, command: Sequence[str], *, name: str, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._run = run
        self._log = log
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = self._start(command, bare_environment() if environment is None else environment, output)
        run.keep(self.pid)

    def _start(self, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> Child:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def memory_mib(self) -> float:
        """What it has in memory. `FileNotFoundError` once it has ended."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2

    @property
    def returncode(self) -> int | None:
        """How it ended; the negative number of a signal; none while it runs."""
        return self._process.poll()

    def log_text(self) -> str:
        """All that it has written to its standard output and error."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    async def wait_for_line(self, pattern: str, *, seconds: float) -> re.Match[str]:
        """The first line that it writes that fits. `PartFailed` when it ends or the time passes before."""
        expression = re.compile(pattern, re.MULTILINE)
        found: re.Match[str] | None = None

        def has_come() -> bool:
            nonlocal found
            ended = not self.is_running
            found = expression.search(self.log_text())
            return found is not None or ended

        await wait_until(has_come, seconds=seconds)
        if found is None:
            was = f"was not ready within {seconds} s" if self.is_running else f"ended with {self.returncode}"
            log = self._last_lines()
            self.kill()
            raise PartFailed(f"{self.name} {was}. It wrote:\n{log}")
        return found

    async def wait_for_end(self, *, seconds: float) -> int:
        """Its return code. `PartFailed` when it runs on; then it is killed."""
        await wait_until(lambda: not self.is_running, seconds=seconds)
        if self.is_running:
            log = self._last_lines()
            self.kill()
            raise PartFailed(f"{self.name} had not ended after {seconds} s. It wrote:\n{log}")
        return self._bury()

    def send(self, how: signal.Signals) -> None:
        """Send a signal to it alone, not to what it has started."""
        self._process.send_signal(how)

    def kill(self) -> None:
        """End it and all that it has started, at once and without a word."""
        self._send_to_group(signal.SIGKILL)
        self._process.wait()
        self._bury()

    def freeze(self) -> None:
        """Let it and all that it has started stand still, as if the machine had been suspended."""
        self._send_to_group(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send_to_group(signal.SIGCONT)

    def _send_to_group(self, how: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, how)

    def _bury(self) -> int:
        # What it started may still run although it has ended.
        self._send_to_group(signal.SIGKILL)
        self._run.release(self.pid)
        return self._process.wait()

    def _last_lines(self) -> str:
        return "\n".join(self.log_text().splitlines()[-_LINES_SHOWN:])


# Those that this process has given, bound until it ends.
_PORTS: list[socket.socket] = []


def free_port() -> int:
    """A port on which nobody listens, and which only who asks for this very one gets as long as this process lives.

    It stays bound here without anybody listening: whoever connects to it is refused, and where the kernel chooses one
    itself it passes it over. A server may listen on it, as often as it is started, as all of them set SO_REUSEADDR.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _PORTS.append(held)
    port: int = held.getsockname()[1]
    return port


async def wait_until(done: Callable[[], bool], *, seconds: float) -> bool:
    """Whether `done()` came true in time. For what tells nobody when it happens, as the end of a process."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
