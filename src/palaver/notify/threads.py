"""Work that blocks, in threads that are not waited for when the process ends: a name's server that never answers, and a
mail server that hangs, must not put off a restart. Those of an executor are."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """At most so many at once. A place is free again when its work has ended, whether or not anybody still waits."""

    def __init__(self, most: int, name: str) -> None:
        self._places = asyncio.Semaphore(most)
        self._name = name

    async def run(self, work: Callable[[], T]) -> T:
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        future: Future[T] = Future()
        # From now on it cannot be cancelled, and ends when its work does.
        future.set_running_or_notify_cancel()
        future.add_done_callback(lambda _: self._give_back(loop))
        threading.Thread(target=_do, args=(work, future), name=self._name, daemon=True).start()
        return await asyncio.wrap_future(future)

    def _give_back(self, loop: asyncio.AbstractEventLoop) -> None:
        # The loop may be gone, and then nobody waits for a place.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._places.release)


def _do(work: Callable[[], T], future: "Future[T]") -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 (whoever waits is told, whatever it is)
        future.set_exception(error)
    else:
        future.set_result(result)
