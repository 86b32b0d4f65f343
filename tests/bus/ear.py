"""Somebody who listens to a bus, and remembers."""

import asyncio
from collections.abc import Callable

from palaver.chat.ports import Bus

SECONDS = 10.0


class Ear:
    """`hear` is what it subscribes with."""

    def __init__(self) -> None:
        self.all: list[bytes | None] = []
        self._news = asyncio.Event()

    @property
    def heard(self) -> list[bytes]:
        return [data for data in self.all if data is not None]

    @property
    def gaps(self) -> int:
        return self.all.count(None)

    def hear(self, data: bytes | None) -> None:
        self.all.append(data)
        self._news.set()

    async def wait_for(self, data: bytes) -> None:
        """Returns once it has heard that."""
        await self.wait(lambda: data in self.all)

    async def wait_for_gaps(self, number: int) -> None:
        """Returns once it has been told of so many gaps more."""
        least = self.gaps + number
        await self.wait(lambda: self.gaps >= least)

    async def wait(self, done: Callable[[], bool]) -> None:
        """Returns once that is so."""
        async with asyncio.timeout(SECONDS):
            while not done():
                self._news.clear()
                await self._news.wait()


async def wait_until_both_listen(bus: Bus, channel: str) -> None:
    """Returns once two workers can be heard of there: both are connected again."""
    async with asyncio.timeout(SECONDS):
        listening = 0
        while listening < 2:
            listening = await bus.count(channel)
            await asyncio.sleep(0)
