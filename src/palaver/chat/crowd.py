"""How many bring something to be committed at once in this worker, and when that is too much."""

import asyncio
import logging
from itertools import islice
from typing import Any

from palaver.chat.errors import Overloaded
from palaver.chat.rounds import Rounds
from palaver.watching.numbers import REFUSED

REFUSED_FULL = REFUSED.of("overload")

# So few that wait are no overload, however long they do: the store may stand still for a moment.
FEW = 64

log = logging.getLogger("palaver.crowd")


class Crowd:
    """It is full once many have waited longer than `seconds`; where that is 0, never."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._rounds = Rounds()
        self._turned_away = 0

    def add(self, committing: asyncio.Task[Any]) -> None:
        """It belongs to those who wait until it is done."""
        self._waiting[committing] = asyncio.get_running_loop().time()
        committing.add_done_callback(self._waiting.__delitem__)

    def waiting(self) -> list[asyncio.Task[Any]]:
        return list(self._waiting)

    @property
    def is_busy(self) -> bool:
        """Whether it may be full: to be asked first, by whoever has not begun with anything."""
        return self._seconds > 0 and (len(self._waiting) >= FEW or self._rounds.stay_long(self._seconds))

    @property
    def is_full(self) -> bool:
        """Whether so much has waited for so long to be committed that whatever came now would only make all later.

        It is the worker as a whole that is measured so: a message waits for the store, and for its turns of the loop.
        Asked once, before anything is done for what comes: whoever is let in has cost most of a turn soon.
        """
        if not self._seconds:
            return False
        # A few may wait for something else, as a lock.
        since = next(islice(self._waiting.values(), FEW - 1, None), None)
        if since is not None and asyncio.get_running_loop().time() - since > self._seconds:
            return True
        return self._rounds.stay_long(self._seconds) and not self._rounds.let_in()

    def check_room(self) -> None:
        """Raises `Overloaded` where it is full."""
        if self.is_full:
            self.count_turned_away()
            raise Overloaded

    def count_turned_away(self) -> None:
        """Somebody was, because it is full here."""
        self._turned_away += 1
        REFUSED_FULL.add()

    def say_turned_away(self) -> None:
        """How many were since it was last said. A line for each would cost more than to turn them away."""
        if self._turned_away:
            log.warning("%d messages were turned away: too many wait to be committed", self._turned_away)
            self._turned_away = 0
