"""What is limited, counted in this process alone: for the server that is one, and while Redis is away.

A window that slides and not a bucket that fills: a bucket of twenty that fills with twenty a minute lets through
thirty-nine in the first minute. The times of what was had are kept, at most as many as may be had.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence

from palaver.chat.ports import Standing, Wanted

# Names remembered at once; the one that was last asked for longest ago is forgotten first.
REMEMBERED = 50_000

# Nobody knows when somebody else will have done; after so long it is worth asking again.
ASK_AGAIN_SECONDS = 2.0
NONE_FREE = Standing(ASK_AGAIN_SECONDS, 0, 0)


class LocalCounts:
    """`Counts` without others to share them with. Nothing is awaited in it: what was asked for at once is had or not in
    one step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._had: OrderedDict[str, deque[float]] = OrderedDict()
        self._held: dict[str, set[str]] = {}

    async def take(self, wanted: Sequence[Wanted], holder: str = "") -> Sequence[Standing]:
        return self.take_now(wanted, holder)

    def take_now(self, wanted: Sequence[Wanted], holder: str = "", /) -> Sequence[Standing]:
        now = self._clock()
        standings: list[Standing] = []
        for one in wanted:
            standing = self._take(one, now) if one.seconds else self._hold(one, holder)
            if standing.wait:
                self.give_back(wanted[: len(standings)], holder)
                return [self._stand(one, now) for one in wanted]
            standings.append(standing)
        return standings

    async def look(self, wanted: Wanted) -> Standing:
        return self._stand(wanted, self._clock())

    def note(self, wanted: Sequence[Wanted], holder: str) -> None:
        """These were had, whatever their limits say."""
        now = self._clock()
        for one in wanted:
            if one.seconds:
                self._times(one, now).append(now)
            else:
                self._held.setdefault(one.key, set()).add(holder)

    def give_back(self, wanted: Sequence[Wanted], holder: str = "") -> None:
        for one in wanted:
            if one.seconds:
                times = self._had.get(one.key)
                if times:
                    times.pop()
            elif holders := self._held.get(one.key):
                holders.discard(holder)
                if not holders:
                    del self._held[one.key]

    def forget(self, key: str) -> None:
        self._had.pop(key, None)

    def held(self) -> Iterator[tuple[str, str]]:
        """All keys that somebody here holds, with the holder."""
        return ((key, holder) for key, holders in tuple(self._held.items()) for holder in tuple(holders))

    def _hold(self, wanted: Wanted, holder: str) -> Standing:
        """It was had, unless there is something to wait for."""
        holders = self._held.get(wanted.key)
        if holders is None:
            holders = self._held[wanted.key] = set()
        if len(holders) >= wanted.most:
            return NONE_FREE
        holders.add(holder)
        return Standing(0, wanted.most - len(holders), 0)

    def _take(self, wanted: Wanted, now: float) -> Standing:
        """As `_hold`, of what may be had within a time."""
        times = self._times(wanted, now)
        if len(times) >= wanted.most:
            return _used_up(wanted, times, now)
        times.append(now)
        return Standing(0, wanted.most - len(times), times[0] + wanted.seconds - now)

    def _stand(self, wanted: Wanted, now: float) -> Standing:
        if not wanted.seconds:
            left = wanted.most - len(self._held.get(wanted.key, ()))
            return Standing(0, left, 0) if left > 0 else NONE_FREE
        # Whoever only looks makes no name remembered.
        times = self._times(wanted, now) if wanted.key in self._had else deque[float]()
        if len(times) >= wanted.most:
            return _used_up(wanted, times, now)
        return Standing(0, wanted.most - len(times), (times[0] if times else now) + wanted.seconds - now)

    def _times(self, wanted: Wanted, now: float) -> deque[float]:
        """When it was had, as far as that still counts."""
        times = self._had.get(wanted.key)
        if times is None:
            times = self._had[wanted.key] = deque()
            if len(self._had) > REMEMBERED:
                self._had.popitem(last=False)
            return times
        self._had.move_to_end(wanted.key)
        # Reckoned as `_used_up` does: the difference to now may be rounded otherwise, and what is used up has a wait.
        while times and times[0] + wanted.seconds <= now:
            times.popleft()
        return times


def _used_up(wanted: Wanted, times: deque[float], now: float) -> Standing:
    # With a limit that was lowered meanwhile, more than one have to grow old.
    wait = times[len(times) - wanted.most] + wanted.seconds - now
    return Standing(wait, 0, wait)
