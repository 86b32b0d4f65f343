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


class LocalCounts:
    """`Counts` without others to share them with. Nothing is awaited in it: what was asked for at once is had or not in
    one step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._had: OrderedDict[str, deque[float]] = OrderedDict()
        self._held: dict[str, set[str]] = {}

    async def take(self, wanted: Sequence[Wanted]) -> Sequence[Standing]:
        return self.take_now(wanted)

    def take_now(self, wanted: Sequence[Wanted]) -> Sequence[Standing]:
        now = self._clock()
        standings = [self._stand(one, now, 1) for one in wanted]
        for standing in standings:
            if standing.wait:
                return [self._stand(one, now) for one in wanted]
        for one in wanted:
            self._note(one, now)
        return standings

    async def look(self, wanted: Wanted) -> Standing:
        return self._stand(wanted, self._clock())

    def note(self, wanted: Sequence[Wanted]) -> None:
        """These were had, whatever their limits say."""
        now = self._clock()
        for one in wanted:
            self._forget_old(one, now)
            self._note(one, now)

    def give_back(self, wanted: Sequence[Wanted]) -> None:
        for one in wanted:
            if one.seconds:
                times = self._had.get(one.key)
                if times:
                    times.pop()
            else:
                holders = self._held.get(one.key, set())
                holders.discard(one.holder)
                if not holders:
                    self._held.pop(one.key, None)

    def forget(self, key: str) -> None:
        self._had.pop(key, None)

    def held(self) -> Iterator[tuple[str, str]]:
        """All keys that somebody here holds, with the holder."""
        return ((key, holder) for key, holders in tuple(self._held.items()) for holder in tuple(holders))

    def _stand(self, wanted: Wanted, now: float, taken: int = 0) -> Standing:
        """`taken`: as it will stand once so many more were had."""
        if not wanted.seconds:
            left = wanted.most - len(self._held.get(wanted.key, ()))
            return Standing(0, left - taken, 0) if left > 0 else Standing(ASK_AGAIN_SECONDS, 0, 0)
        times = self._forget_old(wanted, now)
        left = wanted.most - len(times)
        if left > 0:
            return Standing(0, left - taken, (times[0] if times else now) + wanted.seconds - now)
        wait = times[-left] + wanted.seconds - now
        return Standing(wait, 0, wait)

    def _forget_old(self, wanted: Wanted, now: float) -> deque[float] | tuple[()]:
        times = self._had.get(wanted.key)
        if times is None:
            return ()
        while times and times[0] <= now - wanted.seconds:
            times.popleft()
        return times

    def _note(self, wanted: Wanted, now: float) -> None:
        if not wanted.seconds:
            self._held.setdefault(wanted.key, set()).add(wanted.holder)
            return
        times = self._had.get(wanted.key)
        if times is not None:
            times.append(now)
            self._had.move_to_end(wanted.key)
            return
        self._had[wanted.key] = deque((now,))
        if len(self._had) > REMEMBERED:
            self._had.popitem(last=False)
