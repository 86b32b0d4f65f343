"""How many wait for a commit in this worker, and when that is too many."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

from palaver.chat.errors import Overloaded
from palaver.watching.numbers import REFUSED

REFUSED_FULL = REFUSED.of["overload"]

# So few that wait are no overload, however long they do: the store may stand still for a moment. And they are enough to
# share commits well: with more that wait hardly anything is done faster.
FEW = 64

# After it was overrun, twice as many are let in again each time that so long has passed.
CALM_SECONDS = 8.0
# By then it is as if it had never been.
MOST_DOUBLED = 20

log = logging.getLogger("palaver.crowd")


class Crowd:
    """It is overrun where more than a few have each waited longer than `seconds`; then it lets nobody in beyond those
    few, and bit by bit more, until it is overrun again. Where `seconds` is 0, it never is.

    What begins and what ends waits for the same store and the same event loop: both are counted.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._waiting: dict[object, float] = {}
        self._overrun_at = -math.inf
        self._turned_away = 0

    @contextmanager
    def around(self, who: object) -> Iterator[None]:
        """It waits for a commit within this."""
        self.enter(who)
        try:
            yield
        finally:
            self.leave(who)

    def enter(self, who: object) -> None:
        """It waits for a commit, until it leaves."""
        self._waiting[who] = self._clock()

    def leave(self, who: object) -> None:
        del self._waiting[who]

    @property
    def is_busy(self) -> bool:
        """Whether it may be full: to be asked first, by whoever has not begun with anything."""
        return self._seconds > 0 and len(self._waiting) >= FEW

    @property
    def is_full(self) -> bool:
        """Whether so much has waited for so long to be committed that whatever came now would only make all later.

        It is the worker as a whole that is measured so: a message waits for the store, and for its turns of the loop.
        Asked once, before anything is done for what comes: whoever is let in has cost most of a turn soon.
        """
        if not self.is_busy:
            return False
        now = self._clock()
        # All before it have waited for longer.
        if now - next(islice(self._waiting.values(), FEW - 1, None)) > self._seconds:
            self._overrun_at = now
        calm = min((now - self._overrun_at) / CALM_SECONDS, MOST_DOUBLED)
        return len(self._waiting) >= FEW * 2**calm

    def ask_room(self) -> None:
        """Raises `Overloaded` where it is full."""
        if self.turns_away():
            raise Overloaded

    def turns_away(self) -> bool:
        """Whether whoever comes now is refused, as it is full; that is counted."""
        if not self.is_full:
            return False
        self._turned_away += 1
        REFUSED_FULL.add()
        return True

    def say_turned_away(self) -> None:
        """How many were since it was last said. A line for each would cost more than to turn them away."""
        if self._turned_away:
            log.warning("%d messages were turned away: too many wait to be committed", self._turned_away)
            self._turned_away = 0
