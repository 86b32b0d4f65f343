"""The connection by which a worker publishes: all that gathers in a turn of the loop leaves together.

What cannot be sent is dropped, and the others are told so as soon as they can be reached: they look into the store.
"""

import asyncio
import logging
from collections import deque
from typing import Any, NoReturn

from palaver.bus.link import Link, Report, until_one_fails
from palaver.bus.server import PING, Line, RedisServer, pack

log = logging.getLogger("palaver.bus")

# What may wait for Redis. A reply's piece takes some 200 bytes of it.
MOST_BYTES = 8 * 1024 * 1024
# The objects around what waits, so that many small ones count as well.
ITEM_BYTES = 256

# What leaves at once; it has to be answered in time.
TOGETHER_BYTES = 512 * 1024

# Others read from the store when they are told that something was dropped: not more often than this.
GAP_SECONDS = 1.0
BEAT_SECONDS = 1.0

# How long it has to go well before the log speaks of dropping again.
QUIET_SECONDS = 60.0


class Publisher:
    """`gap` is what tells the others, sent like any other, that something of ours did not reach them."""

    def __init__(self, server: RedisServer, report: Report, *, gap: tuple[bytes, bytes]) -> None:
        self.link = Link("publisher", server, report, serve=self._serve, broken=self._forget)
        self._server = server
        self._gap = pack(b"PUBLISH", *gap)
        # What is sent, and who waits for the answer; None where it was published.
        self._queue: deque[tuple[bytes, asyncio.Future[Any] | None]] = deque()
        self._sent: deque[tuple[bytes, asyncio.Future[Any] | None]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._lost = False
        self._gap_timer: asyncio.TimerHandle | None = None
        self._lost_at = float("-inf")

    def publish(self, name: bytes, data: bytes) -> None:
        size = len(name) + len(data) + ITEM_BYTES
        if not self.link.is_up:
            self._lost = True
        elif self._bytes + size > MOST_BYTES:
            self._drop()
        else:
            self._put(pack(b"PUBLISH", name, data), None)

    def tell_of_a_gap(self) -> None:
        self._lost = True
        if self._gap_timer is None:
            self._tell_gap()

    async def count(self, name: bytes) -> int | None:
        """How many listen there, as Redis says; None where it does not."""
        if not self.link.is_up:
            return None
        answer = await self._ask(pack(b"PUBSUB", b"NUMSUB", name))
        return None if answer is None else int(answer[1])

    async def flushed(self) -> None:
        """Returns when all is sent that was published, or dropped."""
        await self._idle.wait()

    def look(self) -> None:
        """Finds out at once whether Redis has gone, and not with the next beat: something speaks for it."""
        if self.link.is_up and not self._queue:
            self._ask(PING)

    def stop(self) -> None:
        if self._gap_timer is not None:
            self._gap_timer.cancel()

    async def _serve(self, line: Line) -> NoReturn:
        if self._lost:
            # The link is not up before this has worked: Redis may answer, and yet not let us publish.
            async with self._server.in_time():
                await line.send([self._gap])
                await line.read()
        self.link.up()
        if self._lost:
            # Again, for what was dropped meanwhile. Others take several such words in a row for one.
            self._lost = False
            self._put(self._gap, None)
        await until_one_fails(self._flush(line), self._beat())

    async def _flush(self, line: Line) -> NoReturn:
        while True:
            await self._wake.wait()
            packed = self._take()
            async with self._server.in_time():
                await line.send(packed)
                while self._sent:
                    answer = await line.read()
                    waiting = self._sent.popleft()[1]
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)
            if not self._queue:
                self._wake.clear()
                self._idle.set()

    def _take(self) -> list[bytes]:
        packed: list[bytes] = []
        size = 0
        while self._queue and size < TOGETHER_BYTES:
            item = self._queue.popleft()
            self._sent.append(item)
            packed.append(item[0])
            size += len(item[0])
            self._bytes -= len(item[0]) + ITEM_BYTES
        return packed

    async def _beat(self) -> NoReturn:
        """Finds out that Redis has gone before something is published that would be lost by it."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.look()

    def _ask(self, packed: bytes) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(packed, answer)
        return answer

    def _put(self, packed: bytes, answer: asyncio.Future[Any] | None) -> None:
        self._queue.append((packed, answer))
        self._bytes += len(packed) + ITEM_BYTES
        self._idle.clear()
        self._wake.set()

    def _drop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._lost_at > QUIET_SECONDS:
            log.warning("Redis at %s is slow: other workers hear of some things by the database.", self._server.shown)
        self._lost_at = loop.time()
        self._lost = True
        if self._gap_timer is None:
            self._gap_timer = loop.call_later(GAP_SECONDS, self._tell_gap)

    def _tell_gap(self) -> None:
        self._gap_timer = None
        if self._lost and self.link.is_up:
            self._lost = False
            self._put(self._gap, None)

    def _forget(self) -> None:
        """The connection is gone, and with it what was on its way. It is not sent again: it may have arrived."""
        for _, answer in (*self._sent, *self._queue):
            if answer is None:
                self._lost = True
            elif not answer.done():
                answer.set_result(None)
        self._sent.clear()
        self._queue.clear()
        self._bytes = 0
        self._wake.clear()
        self._idle.set()
