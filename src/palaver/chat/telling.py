"""A reply while it is told: its log, and who is woken when there is more of it.

On the worker that makes the reply the bot's pieces go straight in; on the others what the bus brings. Whoever listens
holds no queue: it has a position, and takes what has been said since.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from palaver.chat.conversation import Message, MessageId
from palaver.chat.log import ReplyLog

Wake = Callable[[], None]

# The first piece leaves at once. After it pieces are gathered, no longer than this while the loop has time, so that a
# burst is few messages; and so much longer as the loop is behind, so that a busy server sends less often.
LEAST_GATHER_SECONDS = 0.004
MOST_GATHER_SECONDS = 0.05


class Pace:
    """For how long pieces are gathered just now. One for a worker: all its listeners share the loop."""

    def __init__(self) -> None:
        self.seconds = LEAST_GATHER_SECONDS

    def learn(self, late: float) -> None:
        """A timer came so much later than it was asked for."""
        wanted = min(max(2 * late, LEAST_GATHER_SECONDS), MOST_GATHER_SECONDS)
        # It grows at once and shrinks slowly.
        self.seconds = wanted if wanted > self.seconds else 0.9 * self.seconds + 0.1 * wanted


class Telling:
    """One attempt of a reply. `ended` is the reply as it is kept, once it is."""

    __slots__ = ("_wakes", "attempt", "ended", "event", "id", "log", "number", "uuid", "worker")

    def __init__(self, message: Message, worker: str | None) -> None:
        self.id: MessageId = message.id
        self.uuid = message.uuid
        self.number = message.number
        self.event = message.event
        self.attempt = message.attempt
        self.worker = worker
        self.log = ReplyLog()
        self.ended: Message | None = None
        self._wakes: set[Wake] = set()

    def say(self, text: str) -> None:
        self.log.append(text)
        for wake in tuple(self._wakes):
            wake()

    def hear(self, start: int, text: str) -> bool:
        """What another worker says was said from `start` on. False where something before it is missing."""
        if start > self.log.length:
            return False
        new = text[self.log.length - start :]
        if new:
            self.say(new)
        return True

    def end(self, message: Message) -> None:
        self.ended = message
        for wake in tuple(self._wakes):
            wake()

    @property
    def is_heard(self) -> bool:
        """Whether anybody hears it just now; whatever hears for another worker counts."""
        return bool(self._wakes)

    @contextmanager
    def waking(self, wake: Wake) -> Iterator[None]:
        """`wake` is called whenever more has been said, or all."""
        self._wakes.add(wake)
        try:
            yield
        finally:
            self._wakes.discard(wake)

    def wakes(self, wake: Wake) -> None:
        self._wakes.add(wake)

    def wakes_no_more(self, wake: Wake) -> None:
        self._wakes.discard(wake)


class Waker:
    """Lets one task wait until somebody calls it. Calls that come meanwhile are one."""

    __slots__ = ("_called", "_waiting")

    def __init__(self) -> None:
        self._called = False
        self._waiting: asyncio.Future[None] | None = None

    def __call__(self) -> None:
        self._called = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def wait(self) -> None:
        """Returns when it was called since the last return."""
        if not self._called:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        self._called = False
