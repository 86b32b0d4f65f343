"""The bus as the core knows it, opened over one of the two ways to carry what is published."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from palaver.bus.memory import Hub, MemoryBus
from palaver.chat.ports import Bus
from palaver.watching.numbers import BUS_UP


class BusOptions(Struct, frozen=True):
    """Redis by its address, which can hold a password; without one this process is alone."""

    url: str | None = None

    def __repr__(self) -> str:
        return f"BusOptions({'redis' if self.url else 'memory'})"


class BadBusOptions(ValueError):
    """An address that cannot work: a sentence for the operator, without what is secret in it."""


@asynccontextmanager
async def open_bus(options: BusOptions, prefix: str) -> AsyncIterator[Bus]:
    """The bus between all workers that give the same `prefix`, which should be of this installation alone.

    It opens also where Redis does not answer: after a second it is given as one that is away, and it comes back by
    itself. Messages are kept by the store, so that a server without Redis is slow to tell others, and not down. Raises
    `BadBusOptions` for an address that no server could have.

    When the block is left, what was published just before is sent, for up to a second.
    """
    if options.url is None:
        BUS_UP.set(1)
        yield MemoryBus(Hub())
        return
    # Only now: a server on its own need not load it.
    from palaver.bus.redis import open_redis

    try:
        opening = open_redis(options.url, prefix)
    except ValueError as error:
        raise BadBusOptions(str(error)) from None
    async with opening as bus:
        yield bus
