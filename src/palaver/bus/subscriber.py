"""The connection by which a worker hears: one for all its channels.

What changes in a turn of the loop is told to Redis together; it answers in order, one answer for each channel.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from palaver.bus.link import Link, Report, until_one_fails
from palaver.bus.listeners import Listeners
from palaver.bus.patience import Patience
from palaver.bus.server import PING, Line, RedisServer, pack
from palaver.chat.ports import Hear
from palaver.watching.numbers import BUS_GAPS, BUS_SECONDS

# How often Redis is pinged. One that says nothing for as long as it may take to answer, not even to that, has gone.
# Counted, not timed: when this process itself stood still, the answers wait to be read.
BEAT_SECONDS = 0.5

# Where several workers tell of gaps at once, as after a restart of Redis, listeners look into the store once.
GAP_SECONDS = 0.5

CHANNELS_AT_ONCE = 1000


class Batch:
    """Channels that somebody began or ceased to listen to in one turn of the loop."""

    def __init__(self, channels: Sequence[str] = ()) -> None:
        self.channels = dict.fromkeys(channels)
        self.confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Who listens there was not kept waiting until it was confirmed, and has to be told of the gap.
        self.late = False
        # So many answers of Redis confirm it and all before it.
        self.answers = 0

    def confirm(self) -> None:
        if not self.confirmed.done():
            self.confirmed.set_result(None)

    async def wait(self, patience: Patience) -> None:
        # Not awaited itself: the first one that is cancelled would cancel it for all.
        with suppress(TimeoutError):
            async with patience:
                await asyncio.wait([self.confirmed])


class Subscriber:
    """Channels are told to Redis as `start` and their name. What begins with `origin` is our own, and not heard.

    Whatever comes on the channel of no name says that somebody's publishing was dropped. `broken` is called when a
    connection breaks that there was.
    """

    def __init__(
        self, server: RedisServer, report: Report, *, start: bytes, origin: bytes, broken: Callable[[], None]
    ) -> None:
        self.link = Link("subscriber", server, report, serve=self._serve, broken=self._forget)
        self._server = server
        self._start = start
        self._origin = origin
        self._broken = broken
        self._listeners = Listeners()
        self._listeners.add("", self._hear_of_gap)
        self._gap_timer: asyncio.TimerHandle | None = None
        # What Redis will know once it has carried out all that was sent.
        self._told: set[str] = set()
        # Whether there is a connection. Without one nothing is noted: the next begins with all channels.
        self._serving = False
        self._next = Batch()
        self._wake = asyncio.Event()
        self._sent: deque[Batch] = deque()
        self._asked = 0
        self._answered = 0
        self._silent_beats = 0
        self._pinged = 0.0

    def __contains__(self, channel: str) -> bool:
        return channel in self._listeners

    async def subscribe(self, channel: str, hear: Hear) -> None:
        self._listeners.add(channel, hear)
        if not self._serving:
            return
        batch = self._change(channel)
        try:
            if self.link.is_up:
                await batch.wait(self._server.in_time())
        except asyncio.CancelledError:
            if self._listeners.has(channel, hear):
                self.unsubscribe(channel)
            raise
        if not batch.confirmed.done():
            batch.late = True

    def unsubscribe(self, channel: str) -> None:
        self._listeners.remove(channel)
        if self._serving:
            self._change(channel)

    async def settled(self) -> None:
        """Returns when Redis knows of all that changed here, or once it takes too long."""
        if self._next.channels:
            await self._next.wait(self._server.in_time())
        elif self._sent:
            await self._sent[-1].wait(self._server.in_time())

    def tell_of_a_gap(self) -> None:
        """Everybody who listens here may have missed something."""
        BUS_GAPS.add()
        self._listeners.tell_of_a_gap()

    def stop(self) -> None:
        if self._gap_timer is not None:
            self._gap_timer.cancel()

    def _change(self, channel: str) -> Batch:
        self._next.channels[channel] = None
        self._wake.set()
        return self._next

    async def _serve(self, line: Line) -> NoReturn:
        everything = self._next = Batch(self._listeners.channels)
        everything.late = True
        self._serving = True
        self._silent_beats = 0
        self._wake.set()
        await until_one_fails(self._announce(everything), self._read(line), self._write(line), self._watch(line))

    async def _announce(self, everything: Batch) -> None:
        await everything.confirmed
        self.link.up()

    async def _read(self, line: Line) -> NoReturn:
        listeners, origin, skipped, skipped_name = self._listeners, self._origin, len(self._origin), len(self._start)
        while True:
            answer: Any = await line.read()
            self._silent_beats = 0
            kind = answer[0]
            if kind == b"message":
                _, name, data = answer
                if not data.startswith(origin):
                    listeners.tell(name[skipped_name:].decode(), data[skipped:])
            elif kind in (b"subscribe", b"unsubscribe"):
                self._answered += 1
                self._confirm()
            elif kind == b"pong":
                BUS_SECONDS.observe(time.perf_counter() - self._pinged)

    async def _write(self, line: Line) -> NoReturn:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._next = self._next, Batch()
            packed = self._pack(batch)
            self._sent.append(batch)
            self._confirm()
            if packed:
                await line.send(packed)

    async def _watch(self, line: Line) -> NoReturn:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if self._silent_beats >= self._server.seconds / BEAT_SECONDS:
                raise TimeoutError
            self._silent_beats += 1
            self._pinged = time.perf_counter()
            async with self._server.in_time():
                await line.send([PING])

    def _pack(self, batch: Batch) -> list[bytes]:
        """The commands for what has changed indeed, with the answers that are to come noted in the batch."""
        begun = [channel for channel in batch.channels if channel in self._listeners and channel not in self._told]
        ceased = [channel for channel in batch.channels if channel not in self._listeners and channel in self._told]
        self._told.update(begun)
        self._told.difference_update(ceased)
        self._asked += len(begun) + len(ceased)
        batch.answers = self._asked
        return [*self._to_commands(b"UNSUBSCRIBE", ceased), *self._to_commands(b"SUBSCRIBE", begun)]

    def _to_commands(self, command: bytes, channels: Sequence[str]) -> list[bytes]:
        names = [self._start + channel.encode() for channel in channels]
        parts = [names[i : i + CHANNELS_AT_ONCE] for i in range(0, len(names), CHANNELS_AT_ONCE)]
        return [pack(command, *part) for part in parts]

    def _confirm(self) -> None:
        while self._sent and self._sent[0].answers <= self._answered:
            batch = self._sent.popleft()
            batch.confirm()
            if batch.late:
                for channel in batch.channels:
                    self._listeners.tell(channel, None)

    def _forget(self) -> None:
        """The connection is gone, and nobody need wait for it any longer."""
        if not self._serving:
            return
        self._serving = False
        for batch in (*self._sent, self._next):
            batch.confirm()
        self._sent.clear()
        self._told.clear()
        self._next = Batch()
        self._asked = self._answered = 0
        self._broken()
        self.tell_of_a_gap()

    def _hear_of_gap(self, data: bytes | None) -> None:
        if data is not None and self._gap_timer is None:
            self._gap_timer = asyncio.get_running_loop().call_later(GAP_SECONDS, self._tell_gap)

    def _tell_gap(self) -> None:
        self._gap_timer = None
        self.tell_of_a_gap()
