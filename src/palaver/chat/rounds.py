"""How the event loop gets through its rounds: whatever comes waits for one before anything is done about it."""

import asyncio
import time
from collections.abc import Callable

# A round that takes longer has much to do.
LONG_SECONDS = 0.01
# So many begin something in a round, once there is too much to do. At the worst rounds grow until that is what is done.
MOST_IN_A_ROUND = 32


class Rounds:
    """Measured while somebody comes: no timer wakes an idle server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: float | None = None
        self._heard = 0.0
        self._long_since: float | None = None
        self._let_in = 0

    def stay_long(self, seconds: float) -> bool:
        """Whether they have been long for so many seconds."""
        now = self._clock()
        if self._asked is None:
            self._asked = now
            if now - self._heard > seconds:
                # Nobody has come since: what was then says nothing of now.
                self._long_since = None
            asyncio.get_running_loop().call_soon(self._hear, now)
        return self._long_since is not None and now - self._long_since > seconds

    def let_in(self) -> bool:
        """Whether one more may begin something in this round, where they stay long."""
        self._let_in += 1
        return self._let_in <= MOST_IN_A_ROUND

    def _hear(self, asked: float) -> None:
        self._heard = self._clock()
        if self._heard - asked <= LONG_SECONDS:
            self._long_since = None
        elif self._long_since is None:
            self._long_since = asked
        self._asked = None
        self._let_in = 0
