"""Ends what a test run has started, and removes its folders, once the run is over or has died.

Run by `tests/parts/run.py` as a process of its own. The run holds the other end of its standard input and never writes
to it, so the end of that input is the end of the run, be it by SIGKILL.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

# Each rests for a hundredth of a second. They are counted, so that none is lost where this process stands still.
_TRIES = 6000


def main() -> None:
    # The first one is the run's own: it has the notes.
    folders = [Path(argument) for argument in sys.argv[1:]]
    sys.stdin.buffer.read()
    for note in (folders[0] / "keep").iterdir():
        _end(int(note.name), signal.Signals[note.read_text()])
    for folder in folders:
        _remove(folder)


def _remove(folder: Path) -> None:
    # A process that is just ending may still write; its folder is gone when it is.
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.01)


def _end(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        # Each was started as the leader of its own session. Another process that got the number by chance hardly is.
        if os.getsid(pid) == pid:
            os.killpg(pid, how)


main()
