"""What joins the workers: events from one to all, and counts that all share."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

# What was published, or None: something may have been missed, and the store knows what.
Hear = Callable[[bytes | None], None]


class Bus(Protocol):
    """How other workers hear at once of what happened here. It may lose what it carries and never holds the only copy
    of anything: who listens is told when there may be a gap, and looks into the store."""

    @property
    def alone(self) -> bool:
        """There are no other workers; nothing need be published."""
        ...

    def publish(self, channel: str, data: bytes) -> None:
        """Sends it to all other workers that listen there, soon and in order. Never waits; while the bus is away it is
        dropped."""
        ...

    def tell_of_a_gap(self) -> None:
        """Has all other workers look into the store, as if something had been lost on the way to them."""
        ...

    async def subscribe(self, channel: str, hear: Hear) -> None:
        """From its return on `hear` is called with all that others publish there. Where the bus is away it returns
        within a second or so all the same.

        Whenever something may have been missed, and about once a second while the bus is away, it is called with None.
        A channel is subscribed to once in a worker.
        """
        ...

    def unsubscribe(self, channel: str) -> None: ...
    async def count(self, channel: str) -> int:
        """How many workers listen there, this one included; those of this worker alone while the bus is away."""
        ...


class Wanted(Struct, frozen=True):
    """One of the `most` that may be had of `key` within `seconds`. With 0 seconds, at one moment: then a holder has it
    until it is given back."""

    key: str
    most: int
    seconds: float = 0


class Standing(Struct, frozen=True):
    """How it stands once it was asked for: `wait` is 0 where it was had, else the seconds after which it is worth
    asking again. `left` is how many more may be had now, `reset` the seconds until there are more."""

    wait: float
    left: int
    reset: float


class Counts(Protocol):
    """What is limited, counted for all workers together, or for this one alone while what joins them is away.

    `holder`: who holds of it what is held, a name that nobody else has in any worker.
    """

    async def take(self, wanted: Sequence[Wanted], holder: str = "") -> Sequence[Standing]:
        """All of them or, where one cannot be had, none. Never raises, and takes no longer than a moment."""
        ...

    def take_now(self, wanted: Sequence[Wanted], holder: str = "", /) -> Sequence[Standing] | None:
        """As `take`. None where others have to be asked, and nothing is had yet."""
        ...

    async def look(self, wanted: Wanted) -> Standing:
        """As it would stand if it were asked for now; nothing is had."""
        ...

    def give_back(self, wanted: Sequence[Wanted], holder: str = "") -> None:
        """What is held for one moment is free again; what was had last within a time is as if it had not been.

        What a worker that died held comes free by itself.
        """
        ...

    def forget(self, key: str) -> None:
        """All that was had of it within a time is as if it had not been."""
        ...
