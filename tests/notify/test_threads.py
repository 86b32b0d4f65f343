import asyncio
import subprocess
import sys
import threading

import pytest

from palaver.notify.threads import Threads

HANGS = """
import asyncio, threading
from palaver.notify.threads import Threads

async def main():
    asyncio.create_task(Threads(2, "hangs").run(threading.Event().wait))
    await asyncio.sleep(0)

asyncio.run(main())
"""


def test_work_that_hangs_does_not_keep_the_process_from_ending() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS], timeout=20, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


async def test_result_and_error_reach_whoever_waits() -> None:
    threads = Threads(1, "test")
    assert await threads.run(lambda: 7) == 7
    with pytest.raises(OSError, match="no address"):
        await threads.run(_fail)
    assert await threads.run(lambda: 8) == 8


async def test_place_is_taken_until_the_work_ends_though_nobody_waits_any_more() -> None:
    threads, go = Threads(1, "test"), threading.Event()
    given_up = asyncio.create_task(threads.run(go.wait))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    next_one = asyncio.create_task(threads.run(lambda: "next"))
    done, _ = await asyncio.wait([next_one], timeout=0.1)
    assert not done
    go.set()
    assert await next_one == "next"


def _fail() -> None:
    raise OSError("no address")
