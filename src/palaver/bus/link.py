"""A connection to Redis that is made again whenever it breaks, and what the log says of it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

from palaver.bus.server import FAILURES, Line, RedisServer
from palaver.watching.numbers import BUS_UP

log = logging.getLogger("palaver.bus")

# Between tries: doubling, with jitter so that all workers do not come back in one instant.
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

# A connection that lived for less was no success: where Redis takes us and then throws us out, tries must not race.
STEADY_SECONDS = 2.0


UNTIL_BACK = "Until it can, workers hear of each other by the database, about once a second; nothing is lost."
ONCE_BACK = "Workers hear of each other by it."


class Report:
    """What the log says of Redis: once that it is away, whatever number of connections that concerns, and once that it
    is back."""

    def __init__(self, server: RedisServer, until_back: str = UNTIL_BACK, once_back: str = ONCE_BACK) -> None:
        self._server = server
        self._until_back = until_back
        self._once_back = once_back
        self._away: set[str] = set()

    def away(self, link: str, error: BaseException) -> None:
        if not self._away:
            log.warning(
                "Redis at %s cannot be used (%s). %s",
                self._server.shown,
                self._server.to_words(error),
                self._until_back,
            )
        self._away.add(link)
        BUS_UP.set(0)

    def back(self, link: str) -> None:
        if link in self._away:
            self._away.remove(link)
            if not self._away:
                log.info("Redis at %s can be used again. %s", self._server.shown, self._once_back)
        if not self._away:
            BUS_UP.set(1)


class Link:
    """Calls `serve` with each new connection; that declares the link `up` once it works, and raises when it breaks.

    `broken` is called after each try.
    """

    def __init__(
        self,
        name: str,
        server: RedisServer,
        report: Report,
        *,
        serve: Callable[[Line], Awaitable[NoReturn]],
        broken: Callable[[], None],
    ) -> None:
        self.is_up = False
        # The first try is over, however it went.
        self.tried = asyncio.Event()
        self._name = name
        self._server = server
        self._report = report
        self._serve = serve
        self._broken = broken

    def up(self) -> None:
        self.is_up = True
        self.tried.set()
        self._report.back(self._name)

    async def keep(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            since = loop.time()
            was_up = await self._try()
            failures = 0 if was_up and loop.time() - since > STEADY_SECONDS else failures + 1
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 10))
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    async def _try(self) -> bool:
        """Whether it worked before it broke."""
        try:
            line = await self._server.connect()
            try:
                await self._serve(line)
            finally:
                await line.close()
        except FAILURES as error:
            self._report.away(self._name, error)
        except Exception as error:
            # The task's outer edge: a fault of ours must not leave the worker deaf for good.
            log.exception("the bus stumbled over a fault of its own")
            self._report.away(self._name, error)
        was_up, self.is_up = self.is_up, False
        self._broken()
        self.tried.set()
        return was_up


async def until_one_fails(*parts: Coroutine[Any, Any, None]) -> NoReturn:
    """Runs them side by side until one of them raises, and raises that; the others are ended."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = next(task for task in tasks if task.done() and not task.cancelled() and task.exception())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    failed.result()
    raise AssertionError("it has failed")
