"""Limits on failed sign-ins, per account and per address. Asked before a password is hashed: refusing is cheap."""

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

    def check(self, *names: str) -> None:
        now = self._clock()
        for name in names:
            began, count = self._failures.get(name, (now, 0))
            left = began + self._seconds - now
            if count >= self._most and left > 0:
                raise RateLimited(left)

    def failed(self, *names: str) -> None:
        now = self._clock()
        for name in names:
            began, count = self._failures.pop(name, (now, 0))
            if now - began >= self._seconds:
                began, count = now, 0
            self._failures[name] = (began, count + 1)
            if len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        self._failures.pop(name, None)
