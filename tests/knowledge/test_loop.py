"""A server that reads a large document goes on serving: its loop is never blocked, its memory stays flat."""

import asyncio
import resource
import time
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from palaver.chat.knowledge import Hits, Passage, PassageId
from palaver.chat.user import Reader, UserId
from palaver.knowledge.orders import Limits
from palaver.knowledge.search import Searcher
from tests.knowledge.library import Library
from tests.promises import Measured

T = TypeVar("T")

MEGABYTE = 1_000_000
EVERY = 0.002
LATEST = 0.05
# Memory is measured in KiB.
GROWTH = 40_000


async def measure_lateness(work: Awaitable[T]) -> tuple[T, list[float]]:
    """What it gives, and how late each timer was, the latest first: as far as this process was at work meanwhile, for
    what others do on this machine is no fault of ours."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    looked = asyncio.Event()

    timers: list[asyncio.TimerHandle] = []

    def look(due: float, cpu: float) -> None:
        looked.set()
        late.append(min(loop.time() - due, time.process_time() - cpu))
        timers[:] = [loop.call_later(EVERY, look, loop.time() + EVERY, time.process_time())]

    look(loop.time(), time.process_time())
    try:
        done = await work
        # What was late when the work ended is told by the next timer.
        looked.clear()
        await looked.wait()
        return done, sorted(late, reverse=True)
    finally:
        timers[0].cancel()


@pytest.mark.proof("knowledge", alone=True)
async def test_the_loop_is_not_blocked_while_a_large_document_comes_in_and_is_read(
    library: Library, prove: bool, measured: Measured
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
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    measured("document", size // MEGABYTE, "MiB")
    measured("the loop held up by at most", round(late[0] * 1000, 1), "ms")
    assert late[0] < LATEST
    assert grown < GROWTH


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


class Long:
    """What is found is as many long passages as can be."""

    def __init__(self) -> None:
        words = [f"wörter{number % 977}ü" for number in range(1600)]
        self._texts = [" ".join(words[number:] + words[:number]) for number in range(150)]

    async def search(self, *_asked: object) -> Hits:
        found = (Passage(PassageId(n), "d", "n", n, 0, 1, text, None, "") for n, text in enumerate(self._texts))
        passages = tuple(found)
        return Hits(passages, passages)


async def test_the_loop_is_not_blocked_by_ranking_many_long_passages() -> None:
    search = Searcher(Long()).search(Reader(UserId(1)), "papers", "wörter7ü wörter9ü", ["wörter"], 50)
    found, late = await measure_lateness(search)
    assert found
    assert late[0] < LATEST
