"""The bus over Redis or Valkey, by its pub/sub: two connections for each worker."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import NoReturn

from palaver.bus.link import Report
from palaver.bus.publisher import Publisher
from palaver.bus.server import FAILURES, RedisServer
from palaver.bus.subscriber import Subscriber
from palaver.chat.ports import Hear

# How often all who listen are told to look into the store while Redis is away.
AWAY_SECONDS = 1.0

# Stands before all that a worker publishes, so that it knows its own again.
ORIGIN_BYTES = 8


class RedisBus:
    def __init__(self, server: RedisServer, prefix: str) -> None:
        self._server = server
        # In a cluster a name's slot is that of the part in braces: all channels of an installation share one.
        self._start = b"{%b}:" % prefix.encode()
        self._origin = secrets.token_bytes(ORIGIN_BYTES)
        report = Report(server)
        self.publisher = Publisher(server, report, gap=(self._start, self._origin))
        # The publisher reads nothing while nothing is said. Redis may be back before it notices by itself, and the log
        # would tell of a second time that it is away.
        self.subscriber = Subscriber(server, report, start=self._start, origin=self._origin, broken=self.publisher.look)

    @property
    def alone(self) -> bool:
        return False

    def publish(self, channel: str, data: bytes) -> None:
        self.publisher.publish(self._start + channel.encode(), self._origin + data)

    async def subscribe(self, channel: str, hear: Hear) -> None:
        await self.subscriber.subscribe(channel, hear)

    def tell_of_a_gap(self) -> None:
        self.publisher.tell_of_a_gap()

    def unsubscribe(self, channel: str) -> None:
        self.subscriber.unsubscribe(channel)

    async def count(self, channel: str) -> int:
        try:
            async with self._server.in_time():
                # Redis hears by one connection what it is asked by the other.
                await self.subscriber.settled()
                found = await self.publisher.count(self._start + channel.encode())
        except TimeoutError:
            found = None
        return max(found or 0, int(channel in self.subscriber))

    async def tell_while_away(self) -> NoReturn:
        """Also where only publishing fails: what keeps us from it may well keep the others, who cannot tell us."""
        while True:
            await asyncio.sleep(AWAY_SECONDS)
            if not (self.publisher.link.is_up and self.subscriber.link.is_up):
                self.subscriber.tell_of_a_gap()


def open_redis(url: str, prefix: str, seconds: float | None) -> AbstractAsyncContextManager[RedisBus]:
    """As `open_bus`. Raises `ValueError` at once for an address that no server could have."""
    return _open(RedisServer(url, seconds), prefix)


async def check_redis(url: str, seconds: float) -> str:
    """Where it is, once it has let us in and answered. Raises `OSError` with the reason, and `ValueError` as above."""
    server = RedisServer(url, seconds)
    try:
        line = await server.connect()
    except FAILURES as error:
        raise OSError(f"Redis at {server.shown} cannot be used: {server.to_words(error)}") from None
    await line.close()
    return server.shown


@asynccontextmanager
async def _open(server: RedisServer, prefix: str) -> AsyncIterator[RedisBus]:
    bus = RedisBus(server, prefix)
    publisher, subscriber = bus.publisher, bus.subscriber
    parts = (publisher.link.keep(), subscriber.link.keep(), bus.tell_while_away())
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await publisher.link.tried.wait()
        await subscriber.link.tried.wait()
        yield bus
        with suppress(TimeoutError):
            async with server.in_time():
                await publisher.flushed()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        publisher.stop()
        subscriber.stop()
