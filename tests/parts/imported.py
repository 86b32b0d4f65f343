"""Run as a script: a `palaver` that has imported all its modules and waits; each process that is asked for is its fork.

To import them is five sixths of what a start costs. What is asked for comes over the socket at descriptor 0: the
arguments, the environment, the folder and whether a warning is an error, with the descriptors of the standard streams
and of the pipe that is told how it ended. The answer, by the fork itself once it leads a session of its own, is its
number.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
import warnings
from importlib import import_module
from typing import Any

_MODULES = (
    "palaver.app",
    "palaver.serve.alone",
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


if __name__ == "__main__":
    for name in _MODULES:
        import_module(name)
    gc.collect()
    # What all forks have in common is not gone through, and so not copied, by their collectors.
    gc.freeze()
    asker = socket.socket(fileno=0)
    request, descriptors = _fork_at_each_request(asker)
    _take_on(asker, json.loads(request), descriptors)
    import_module("palaver.cli").main()
