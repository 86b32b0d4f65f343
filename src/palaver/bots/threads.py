"""Blocking code beside the loop: what it says arrives as it is said, and it never holds up anything but itself.

Each call has a thread of its own rather than one of a pool: a pool that a few slow bots fill would stop all others, and
its threads would hold up the end of the process.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from contextvars import copy_context

log = logging.getLogger("palaver.bots")

# How far a bot may be ahead of whoever listens. Without a bound an endless one would fill the memory.
AHEAD = 64


class _End:
    """All was said, or the call has thrown this."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Call:
    def __init__(self, call: Callable[[], object]) -> None:
        self.said: asyncio.Queue[object] = asyncio.Queue()
        self.room = threading.Semaphore(AHEAD)
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._left = False

    def leave(self) -> None:
        """Nobody listens any more."""
        self._left = True
        self.room.release()

    def run(self) -> None:
        try:
            self._say_all(self._call())
        except BaseException as error:
            if self._left:
                log.warning("A bot failed after it had been left", exc_info=True)
            self._tell(_End(error))
        else:
            self._tell(_End())

    def _say_all(self, result: object) -> None:
        if not isinstance(result, Iterator):
            self._tell(result)
            return
        try:
            for thing in result:
                self.room.acquire()
                if self._left:
                    return
                self._tell(thing)
        finally:
            if hasattr(result, "close"):
                result.close()

    def _tell(self, thing: object) -> None:
        if self._loop.is_closed():
            return
        try:
            self._loop.call_soon_threadsafe(self.said.put_nowait, thing)
        except RuntimeError:
            # Closed in this very moment: the process ends, and nobody is left to hear it.
            return


async def say_in_thread(call: Callable[[], object]) -> AsyncGenerator[object, None]:
    """Each thing of the iterator that `call` gives, or the one thing that it gives.

    Whoever leaves early does not wait: the iterator is closed in its own thread as soon as it lets go.
    """
    running = _Call(call)
    threading.Thread(target=copy_context().run, args=(running.run,), name="palaver-bot", daemon=True).start()
    try:
        while not isinstance(thing := await running.said.get(), _End):
            yield thing
            running.room.release()
    finally:
        running.leave()
    if thing.error is not None:
        # A thread that calls `sys.exit()` must not end the server.
        raise thing.error if isinstance(thing.error, Exception) else RuntimeError(repr(thing.error))


async def call_in_thread(call: Callable[[], object]) -> object:
    """What `call` gives."""
    async with aclosing(say_in_thread(lambda: iter((call(),)))) as things:
        return await anext(things)
