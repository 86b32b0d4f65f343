"""`palaver` processes that need not import anything: forks of one that has (`imported.py`).

They are what `make test` starts, and so are a server's workers. With PALAVER_PROVE=1, and where an environment says
something to Python itself, it is the command in the way people run it.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.parts import PartFailed, PartMissing
from tests.parts.process import Child, bare_environment

_IMPORTED = Path(__file__).with_name("imported.py")
_SECONDS_TO_FORK = 60
_LONGEST_ANSWER = 64
_LOCK = threading.Lock()


def start_palaver(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: IO[bytes],
    stderr: IO[bytes],
    strict: bool = False,
) -> Child:
    """`palaver …`, leader of a session of its own. With `strict` a warning is an error."""
    if os.environ.get("PALAVER_PROVE") == "1" or any(name.startswith("PYTHON") for name in environment):
        command = [sys.executable, "-W", "error", "-m", "palaver"] if strict else [_find_palaver()]
        return subprocess.Popen(
            [*command, *arguments],
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    request = {"arguments": arguments, "environment": environment, "folder": str(Path.cwd()), "strict": strict}
    with Path(os.devnull).open("rb") as nothing:
        given = nothing.fileno() if stdin == subprocess.DEVNULL else stdin
        return _fork(request, given, stdout.fileno(), stderr.fileno())


def run_palaver(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: str | int = "",
    seconds: float,
    strict: bool = False,
) -> subprocess.CompletedProcess[str]:
    """`palaver …` to its end. `stdin` is what it reads, or an open file."""
    with TemporaryFile() as words, TemporaryFile() as out, TemporaryFile() as err:
        if isinstance(stdin, str):
            words.write(stdin.encode())
            words.seek(0)
            stdin = words.fileno()
        child = start_palaver(arguments, environment, stdin=stdin, stdout=out, stderr=err, strict=strict)
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["palaver", *arguments], code, out.read().decode(), err.read().decode())


class _Fork:
    """A process that another one has forked: how it ended comes through a pipe."""

    def __init__(self, pid: int, end: int) -> None:
        self.pid = pid
        self._end = end
        self._returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        returncode = self._ended_within(timeout)
        if returncode is None:
            raise subprocess.TimeoutExpired(["palaver"], timeout or 0)
        return returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            # Another process hears first that it has ended.
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def _ended_within(self, seconds: float | None) -> int | None:
        if self._returncode is None and _is_told(self._end, seconds):
            told = os.read(self._end, _LONGEST_ANSWER)
            os.close(self._end)
            if not told:
                raise PartFailed("The process that the forks come from has ended before its fork.")
            self._returncode = int(told)
        return self._returncode


def _is_told(end: int, seconds: float | None) -> bool:
    polling = select.poll()
    polling.register(end, select.POLLIN)
    return bool(polling.poll(None if seconds is None else seconds * 1000))


@cache
def _imported() -> socket.socket:
    """Whom to ask for a fork. It ends when this process does, however that ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_SECONDS_TO_FORK)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", str(_IMPORTED)],
            env=bare_environment(),
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _fork(request: Mapping[str, object], *streams: int) -> _Fork:
    reader, writer = os.pipe()
    try:
        with _LOCK:
            asked = _imported()
            socket.send_fds(asked, [json.dumps(request).encode()], [*streams, writer])
            try:
                answer = asked.recv(_LONGEST_ANSWER)
            except TimeoutError:
                # Its answer, if one comes still, is not to be taken for the next one's.
                _imported.cache_clear()
                asked.close()
                raise
    finally:
        os.close(writer)
    if not answer:
        raise PartFailed("`palaver` could not be imported.")
    return _Fork(int(answer), reader)


def _find_palaver() -> str:
    """The command that `make install` leaves beside the Python that runs the tests."""
    command = Path(sys.executable).with_name("palaver")
    if not command.exists():
        raise PartMissing("The command `palaver` is not installed beside this Python. `make install` installs it.")
    return str(command)
