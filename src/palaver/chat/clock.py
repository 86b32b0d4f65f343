"""Time as the core sees it: microseconds since 1970 in UTC, from a clock that tests can move by hand."""

import time
from typing import NewType, Protocol

Micros = NewType("Micros", int)

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE


class Clock(Protocol):
    def now(self) -> Micros: ...


class SystemClock:
    def now(self) -> Micros:
        return Micros(time.time_ns() // 1000)
