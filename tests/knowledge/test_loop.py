"""A server that reads a large document goes on serving: its loop is never blocked, its memory stays flat."""

import asyncio
import gc
import resource
import time
from collections.abc import Awaitable, Iterator
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

# Seconds of a core that has its machine for itself: so long it takes to count to a thousand. Where others are at work
# beside it, each of its seconds does less, now by half, now by nine tenths.
A_YARD = 0.00004


def slowness(yards: int) -> float:
    """How many times as long as on a quiet machine this core takes just now; 1 at the least."""
    began = time.thread_time()
    for _ in range(1000 * yards):
        pass
    return max(1, (time.thread_time() - began) / (A_YARD * yards))


@pytest.fixture(autouse=True)
def _without_what_others_left() -> Iterator[None]:
    """A garbage collection would look through all that the tests before have left behind, and hold up the loop for it;
    a server has put aside what stays (`serve/serving.py`)."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def measure_lateness(work: Awaitable[T]) -> tuple[T, list[float]]:
    """What it gives, and how late each timer was, the latest first: as far as the loop's thread was at work meanwhile,
    for what others do on this machine is no fault of ours, and in seconds of a quiet one."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    looked = asyncio.Event()

    timers: list[asyncio.TimerHandle] = []

    def look(due: float, cpu: float) -> None:
        looked.set()
        late.append(min(loop.time() - due, time.thread_time() - cpu) / slowness(1))
        timers[:] = [loop.call_later(EVERY, look, loop.time() + EVERY, time.thread_time())]

    look(loop.time(), time.thread_time())
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
    text = (words * 8 + "\n\n") * (MEGABYTE // (8 * len(words)))
    took: list[float] = []
    for number in range(3):
        document = await library.put(f"{number}.txt", text)
        before, began = slowness(500), cpu_seconds()
        await library.worker().read_next()
        took.append((cpu_seconds() - began) / max(before, slowness(500)))
        assert (await library.get(document)).status == "ready"
    # What else the machine does only adds to it.
    assert min(took) < 2.0


def cpu_seconds() -> float:
    """This process's and its children's: what others do on this machine counts for nothing."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


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
