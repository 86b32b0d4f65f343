"""When a server that fails is left alone, and when it is tried again."""

from collections.abc import Callable
from typing import Literal

# Failures in a row, each before a first piece, after which others are asked instead.
FAILURES = 3

# How long it is then left alone: doubled by every trial that fails.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0

BreakerState = Literal["closed", "open", "half_open"]


class Breaker:
    """Closed: everybody may ask. Open: nobody should, until its pause is over. Half open: one may, and the others wait
    for what becomes of that trial.

    It advises and never forbids: where no other server is left, one behind an open breaker is asked all the same.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = 0.0
        self._opens_at = 0.0
        self._rests_until = 0.0
        self._on_trial = False

    @property
    def state(self) -> BreakerState:
        if not self._pause:
            return "closed"
        return "half_open" if self._clock() >= self._opens_at else "open"

    @property
    def lets_in(self) -> bool:
        """Whether it should be asked just now."""
        if self._clock() < self._rests_until:
            return False
        match self.state:
            case "closed":
                return True
            case "half_open":
                return not self._on_trial
            case "open":
                return False

    def begin(self) -> bool:
        """It is asked. Tells whether that is the trial; of a trial the end has to be told."""
        if self.state != "half_open" or self._on_trial:
            return False
        self._on_trial = True
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._pause = 0.0
        self._on_trial = False

    def failed(self, *, trial: bool) -> None:
        """Failures of those who had asked before it opened lengthen no pause."""
        self._failures += 1
        if trial:
            self._on_trial = False
            self._open(min(2 * self._pause, LONGEST_PAUSE))
        elif not self._pause and self._failures >= FAILURES:
            self._open(FIRST_PAUSE)

    def left(self, *, trial: bool) -> None:
        """Whoever had asked went away without knowing more."""
        if trial:
            self._on_trial = False

    def rest(self, seconds: float) -> None:
        """It has named a time before which it does not want to be asked."""
        self._rests_until = max(self._rests_until, self._clock() + seconds)

    def _open(self, pause: float) -> None:
        self._pause = pause
        self._opens_at = self._clock() + pause
