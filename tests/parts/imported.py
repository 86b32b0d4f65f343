"""Run as a script: a `palaver` that has imported all its modules and waits; each process that is asked for is its fork.

To import them is five sixths of what a start costs. What is asked for comes over the socket at descriptor 0: the
arguments, the environment, the folder and whether a warning is an error, with the descriptors of the standard streams
and of the pipe that is told how it ended. The answer, by the fork itself once it leads a session of its own, is its
number.

The workers of a server are forks of its supervisor, where the system tells of the end of a process by a descriptor.
"""

import asyncio
import gc
import itertools
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from palaver.serve import process

_MODULES = (
    "palaver.app",
    *(f"palaver.serve.{name}" for name in ("alone", "supervisor", "worker")),
    *(f"palaver.cli.{name}" for name in ("app", "export", "faults", "import", "installation", "migrate")),
    *(f"palaver.cli.{name}" for name in ("serve", "sync_models", "token", "user")),
)
_LONGEST_REQUEST = 1 << 17
_DESCRIPTORS = 4


def _fork_at_each_request(asker: socket.socket) -> tuple[bytes, list[int]]:
    """Returns in each fork, with what was asked for; in the process itself it never does: that ends with the asker."""
    ends: dict[int, int] = {}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    # Only so that there is something to wake up for.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(asker, selectors.EVENT_READ)
        selector.register(reader, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == reader:
                    os.read(reader, 4096)
                    _tell_ends(ends)
                    continue
                request, descriptors, _, _ = socket.recv_fds(asker, _LONGEST_REQUEST, _DESCRIPTORS)
                if not request:
                    sys.exit()
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    return request, descriptors
                ends[pid] = descriptors[-1]
                for descriptor in descriptors[:-1]:
                    os.close(descriptor)


def _tell_ends(ends: dict[int, int]) -> None:
    while ends:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        end = ends.pop(pid)
        try:
            os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
        except BrokenPipeError:
            # Who asked for it has forgotten it.
            continue
        finally:
            os.close(end)


def _take_on(asker: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
    os.setsid()
    asker.send(str(os.getpid()).encode())
    asker.detach()
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    sys.argv = ["palaver", *request["arguments"]]
    if request["strict"]:
        warnings.simplefilter("error")


class _Worker:
    """A fork of a supervisor, as `palaver.serve.process` wants to see it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._end = os.pidfd_open(pid)
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self._end, self._bury)

    async def wait(self) -> int:
        return await asyncio.shield(self._code)

    def send_signal(self, sig: int) -> None:
        if self._code.done():
            raise ProcessLookupError
        os.kill(self.pid, sig)

    def _bury(self) -> None:
        asyncio.get_running_loop().remove_reader(self._end)
        os.close(self._end)
        self._code.set_result(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]))


async def _start_worker(command: Sequence[str], descriptors: Sequence[int]) -> _Worker:
    pid = os.fork()
    if pid == 0:
        _work(command[command.index("serve") :], descriptors)
    return _Worker(pid)


def _work(arguments: Sequence[str], descriptors: Sequence[int]) -> NoReturn:
    """What the supervisor has is left as it is, and nothing of its own is run or closed by this process."""
    code = 1
    try:
        gc.freeze()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        kept = [2, *sorted(descriptors), os.sysconf("SC_OPEN_MAX")]
        for below, above in itertools.pairwise(kept):
            os.closerange(below + 1, above)
        import_module("palaver.cli").main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (above this there is the supervisor)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    for name in _MODULES:
        import_module(name)
    gc.collect()
    # What all forks have in common is not gone through, and so not copied, by their collectors.
    gc.freeze()
    asker = socket.socket(fileno=0)
    request, descriptors = _fork_at_each_request(asker)
    _take_on(asker, json.loads(request), descriptors)
    if hasattr(os, "pidfd_open"):
        process.start_child = _start_worker
    import_module("palaver.cli").main()
