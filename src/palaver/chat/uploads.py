"""How many documents may be on their way in at once: each holds a connection and a part of it in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from palaver.chat.counts import ASK_AGAIN_SECONDS
from palaver.chat.errors import RateLimited

# With parts of 256 KiB and what the connections hold, some 50 MB. How many of them may be one person's: `Limits`.
MOST = 64


class Uploads:
    """Those of this process, whoever sends them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._under_way = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Raises `RateLimited`."""
        if self._under_way >= self._most:
            raise RateLimited(ASK_AGAIN_SECONDS)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
