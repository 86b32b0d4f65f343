"""What a worker tells of itself: how late its event loop is, its memory, its CPU time."""

import asyncio
import resource
import time
from pathlib import Path
from typing import NoReturn

from palaver.watching.numbers import CPU, LOOP_LAG, MEMORY

LOOK_SECONDS = 0.25
_LOOKS_TO_MEASURE = 4

_STATM = Path("/proc/self/statm")


async def watch_process() -> NoReturn:
    """Runs until cancelled."""
    while True:
        measure()
        for _ in range(_LOOKS_TO_MEASURE):
            due = time.perf_counter() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            LOOP_LAG.observe(max(time.perf_counter() - due, 0.0))


def measure() -> None:
    CPU.set(time.process_time())
    try:
        MEMORY.set(float(_STATM.read_text().split()[1]) * resource.getpagesize())
    except OSError:
        # No Linux: the most that it ever was, in KiB.
        MEMORY.set(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0)
