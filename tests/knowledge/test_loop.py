"""A server that reads a large document goes on serving: its loop is never blocked, its memory stays flat."""

import asyncio
import resource
import time
from collections.abc import Awaitable
from typing import TypeVar

from palaver.knowledge.orders import Limits
from tests.knowledge.library import Library

T = TypeVar("T")

MEGABYTE = 1_000_000
EVERY = 0.002
LATEST = 0.05
# What else runs on a tester's machine holds up the whole process now and then: what is our doing happens again and
# again.
STRANGERS = 2

# Memory is measured in KiB.
GROWTH = 40_000


async def measure_lateness(work: Awaitable[T]) -> tuple[T, list[float]]:
    """What it gives, and how late a timer was each time that it was late."""
    loop = asyncio.get_running_loop()
    late: list[float] = []

    timers: list[asyncio.TimerHandle] = []

    def look(due: float) -> None:
        late.append(loop.time() - due)
        timers[:] = [loop.call_later(EVERY, look, loop.time() + EVERY)]

    look(loop.time())
    try:
        return await work, sorted(late, reverse=True)
    finally:
        timers[0].cancel()


async def test_the_loop_is_not_blocked_while_a_large_document_comes_in_and_is_read(
    library: Library, prove: bool
) -> None:
    size = (50 if prove else 2) * MEGABYTE
    line = "What stands in a large document is read all the same, number {}.\n"
    data = "".join(line.format(number) + "\n" * (number % 7 == 0) for number in range(size // len(line))).encode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def take() -> None:
        document = await library.put("large.txt", data)
        await library.worker(limits=Limits(cpu_seconds=300, wall_seconds=3000)).read_next()
        assert (await library.get(document)).status == "ready"

    _, late = await measure_lateness(take())
    assert late[STRANGERS] < LATEST
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH


async def test_a_megabyte_of_text_is_read_in_two_seconds(library: Library) -> None:
    words = "Each of these sentences is about as long as one that somebody has written. "
    document = await library.put("megabyte.txt", (words * 8 + "\n\n") * (MEGABYTE // (8 * len(words))))
    began = time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    await library.worker().read_next()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = time.process_time() - began + after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
    assert (await library.get(document)).status == "ready"
    # By CPU time, this process's and the child's: what others do on this machine counts for nothing.
    assert took < 2.0
