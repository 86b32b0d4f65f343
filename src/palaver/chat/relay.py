"""A reply that is made here, told to other workers while they ask for it."""

import asyncio
from collections.abc import Callable

from palaver.chat.telling import Telling

# Over the bus pieces are gathered for a little longer: each message costs two workers.
GATHER_SECONDS = 0.01

# Whoever still listens has asked again by then.
ASKED_SECONDS = 10.0


class Relay:
    """`publish` sends what was said from a position on; who has it already takes no notice."""

    def __init__(self, telling: Telling, publish: Callable[[int], None]) -> None:
        self.telling = telling
        self._publish = publish
        self._position = telling.log.length
        self._asked_at = 0.0
        self._sent_at = 0.0
        self._due: asyncio.TimerHandle | None = None
        telling.wakes(self._more_was_said)

    def ask(self, position: int) -> None:
        """Somebody has heard up to there, and goes on listening."""
        self._asked_at = asyncio.get_running_loop().time()
        self._send(min(position, self._position))

    def goes_on(self, now: float) -> bool:
        """False, and nothing more is sent, once nobody asks any more or all is said."""
        if self.telling.ended is None and now - self._asked_at < ASKED_SECONDS:
            return True
        self.telling.wakes_no_more(self._more_was_said)
        if self._due is not None:
            self._due.cancel()
        return False

    def _more_was_said(self) -> None:
        if self._due is not None:
            return
        loop = asyncio.get_running_loop()
        due = self._sent_at + GATHER_SECONDS
        if loop.time() >= due:
            self._send(self._position)
        else:
            self._due = loop.call_at(due, self._send_late)

    def _send_late(self) -> None:
        self._due = None
        self._send(self._position)

    def _send(self, start: int) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        self._position = self.telling.log.length
        self._publish(start)
