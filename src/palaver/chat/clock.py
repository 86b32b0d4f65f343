"""Time as the core sees it: microseconds since 1970 in UTC, from a clock that tests can move by hand."""

import time
from datetime import UTC, datetime, timedelta
from typing import NewType, Protocol

Micros = NewType("Micros", int)

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    def now(self) -> Micros: ...


class SystemClock:
    def now(self) -> Micros:
        return Micros(time.time_ns() // 1000)


def to_datetime(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
