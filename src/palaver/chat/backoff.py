"""When to ask again a server that could not answer just now.

Many replies fail in the same moment when a server stumbles. Full jitter keeps them from coming back together.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from msgspec import Struct


class Backoff(Struct, frozen=True, kw_only=True):
    """`tries` in all. Seconds double from `base` up to `cap`; what a server tells is honoured up to `longest_told`."""

    tries: int = 3
    base: float = 0.5
    cap: float = 8.0
    longest_told: float = 10.0
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def seconds(self, failed: int, told: float | None) -> float:
        """How long to wait after so many failures, where the server may have told a time."""
        if told is None:
            return self.jitter() * min(self.cap, self.base * 2.0 ** min(failed - 1, 60))
        # Never earlier than told, and not all at the same instant either.
        return min(told, self.longest_told) + self.jitter() * self.base


def read_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` names, by number or by date; None where it names none."""
    if value is None:
        return None
    try:
        return max(0.0, float(value)) if value.strip().replace(".", "", 1).isdecimal() else _until(value, now)
    except ValueError:
        return None


def _until(value: str, now: datetime | None) -> float:
    date = parsedate_to_datetime(value)
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
