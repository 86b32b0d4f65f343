"""The bus and the counts as the core knows them, each opened over Redis or within this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from palaver.bus.memory import Hub, MemoryBus
from palaver.chat.counts import LocalCounts
from palaver.chat.ports import Bus, Counts
from palaver.watching.numbers import BUS_UP


class BusOptions(Struct, frozen=True):
    """Redis by its address, which can hold a password; without one this process is alone. `seconds`: how long it may
    take to answer before it counts as away; None is as long as is usual."""

    url: str | None = None
    seconds: float | None = None

    def __repr__(self) -> str:
        return f"BusOptions({'redis' if self.url else 'memory'})"


class BadBusOptions(ValueError):
    """An address that cannot work: a sentence for the operator, without what is secret in it."""


@asynccontextmanager
async def open_bus(options: BusOptions, prefix: str) -> AsyncIterator[Bus]:
    """The bus between all workers that give the same `prefix`, which should be of this installation alone.

    It opens also where Redis does not answer: after that time it is given as one that is away, and it comes back by
    itself. Messages are kept by the store, so that a server without Redis is slow to tell others, and not down. Raises
    `BadBusOptions` for an address that no server could have.

    When the block is left, what was published just before is sent, for as long as Redis may take.
    """
    if options.url is None:
        BUS_UP.set(1)
        yield MemoryBus(Hub())
        return
    # Only now: a server on its own need not load it.
    from palaver.bus.redis import open_redis

    try:
        opening = open_redis(options.url, prefix, options.seconds)
    except ValueError as error:
        raise BadBusOptions(str(error)) from None
    async with opening as bus:
        yield bus


@asynccontextmanager
async def open_counts(options: BusOptions, prefix: str, hold_seconds: float) -> AsyncIterator[Counts]:
    """What all workers count together that give the same `prefix`. What one of them holds is free again `hold_seconds`
    after it has died.

    It opens also where Redis does not answer in time, and comes back by itself; meanwhile each worker counts
    for itself. Raises `BadBusOptions` for an address that no server could have.
    """
    if options.url is None:
        yield LocalCounts()
        return
    # Only now: a server on its own need not load it.
    from palaver.bus.redis_counts import open_redis_counts

    try:
        opening = open_redis_counts(options.url, prefix, hold_seconds, options.seconds)
    except ValueError as error:
        raise BadBusOptions(str(error)) from None
    async with opening as counts:
        yield counts
