"""How long to wait before a worker is started again."""

FIRST_SECONDS = 0.5
MOST_SECONDS = 10.0

# One that has served for so long did not die of how it starts.
STEADY_SECONDS = 30.0


class Backoff:
    """At once the first time; then ever later, until one has served for a while."""

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, seconds_served: float) -> float:
        """The seconds to wait, now that one has died that had served for so long."""
        seconds = 0.0 if seconds_served >= STEADY_SECONDS else self._next
        self._next = min(2 * seconds or FIRST_SECONDS, MOST_SECONDS)
        return seconds
