"""A limit on failed sign-ins. Each is counted before its password is hashed, and taken back where it was the right one:
counted afterwards, any number of guesses made at once would all be tried."""

import time
from collections import OrderedDict
from collections.abc import Callable

from palaver.chat.errors import RateLimited

# Names and addresses remembered at once; the oldest is forgotten first.
REMEMBERED = 50_000


class Attempts:
    """At most `most` failures in `seconds` for each name; then `RateLimited` until the window has passed."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, name: str) -> None:
        """Raises `RateLimited`."""
        now = self._clock()
        began, count = self._failures.get(name, (now, 0))
        left = began + self._seconds - now
        if count >= self._most and left > 0:
            raise RateLimited(left)

    def count(self, name: str) -> None:
        now = self._clock()
        began, count = self._failures.pop(name, (now, 0))
        if now - began >= self._seconds:
            began, count = now, 0
        self._failures[name] = (began, count + 1)
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def take_back(self, name: str) -> None:
        """One that was counted is none; the others stay."""
        began, count = self._failures.get(name, (0.0, 0))
        if count > 1:
            self._failures[name] = (began, count - 1)
        else:
            self.forget(name)

    def forget(self, name: str) -> None:
        self._failures.pop(name, None)
