"""How long Redis may take to answer.

Counted, not only timed: when this worker itself stood still, the answer may long lie there. A time-out that was due
meanwhile would come before it is read, and Redis would be taken for slow just when the worker has most to do.
"""

import asyncio
from types import TracebackType

# Where nothing else is said. Whoever waits for more than a second or so has been told otherwise.
PATIENCE = 1.0

# A turn of the loop takes up one of these at most, however long it is. From a question to its answer there are up to
# five: what was asked before is read, it is sent, it comes, it is read, and whoever asked goes on. Two questions that
# are asked in a row share them.
BEATS = 8


class Patience:
    """As `asyncio.timeout`, by what this worker had time to read."""

    def __init__(self, seconds: float) -> None:
        self._beat_seconds = seconds / BEATS
        self._beats_left = BEATS
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._timer = self._loop.call_later(self._beat_seconds, self._beat)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _beat(self) -> None:
        self._beats_left -= 1
        if self._beats_left:
            self._timer = self._loop.call_later(self._beat_seconds, self._beat)
        else:
            self._limit.reschedule(self._loop.time())
