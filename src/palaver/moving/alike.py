"""How many entries alike came before one, among any number of them."""

from array import array
from collections import Counter

from palaver.chat.clock import Micros


class Alike:
    """Entries alike have the same time. As long as time goes on only those of one moment need be remembered, the others
    as eight bytes each; only where it goes back these are looked at."""

    def __init__(self) -> None:
        self._now: Micros | None = None
        self._counts: Counter[int] = Counter()
        self._past = array("q")
        self._all: Counter[int] | None = None

    def count(self, digest: bytes, at: Micros) -> int:
        """How many alike came before it; from now on it is one of them."""
        number = int.from_bytes(digest[:8], signed=True)
        if self._all is None and self._now is not None and at < self._now:
            self._all = Counter(self._past)
            self._past = array("q")
        if self._all is not None:
            counts = self._all
        else:
            if at != self._now:
                self._counts.clear()
            counts = self._counts
            self._past.append(number)
        self._now = at
        before = counts[number]
        counts[number] += 1
        return before
