"""How many documents may be on their way in at once: each holds a connection and a part of it in memory."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from palaver.chat.counts import ASK_AGAIN_SECONDS
from palaver.chat.errors import RateLimited
from palaver.chat.limit import Limit
from palaver.chat.user import UserId

# The web app sends three at once.
OF_ONE = 8

# Of all in this process: with parts of 256 KiB and what the connections hold, some 50 MB.
OF_ALL = 64


class Uploads:
    """Those of this process."""

    def __init__(self, of_one: int = OF_ONE, of_all: int = OF_ALL) -> None:
        self._limit = Limit("uploads_at_once", of_one)
        self._of_all = of_all
        self._under_way: Counter[UserId] = Counter()

    @contextmanager
    def one_more(self, user: UserId) -> Iterator[None]:
        """Raises `RateLimited`."""
        if self._under_way[user] >= self._limit.most:
            raise RateLimited(ASK_AGAIN_SECONDS, self._limit)
        if self._under_way.total() >= self._of_all:
            raise RateLimited(ASK_AGAIN_SECONDS)
        self._under_way[user] += 1
        try:
            yield
        finally:
            self._under_way[user] -= 1
            if not self._under_way[user]:
                del self._under_way[user]
