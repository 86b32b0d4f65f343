"""What waits, asked of a store that may not answer: those who ask meanwhile share one question.

A balancer asks every second. With a connection for each question, a database that comes back would find the pool used
up by them.
"""

import asyncio

from msgspec import Struct

from palaver.chat.errors import StoreUnavailable
from palaver.chat.ports import Store

# A balancer has to know before it asks again.
PATIENCE_SECONDS = 1.0


class Waits(Struct, frozen=True):
    """How many replies wait for another one; how much waits to reach somebody, and how much was given up."""

    replies: int
    deliveries: int
    dead: int


class Waiting:
    def __init__(self) -> None:
        self._asked: asyncio.Task[Waits | None] | None = None

    async def count(self, store: Store) -> Waits | None:
        """None where the store does not answer within a second."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(_count(store))
        asked = self._asked
        # Not cancelled: the driver would wait for the database to hear of it.
        await asyncio.wait([asked], timeout=PATIENCE_SECONDS)
        return asked.result() if asked.done() else None


async def _count(store: Store) -> Waits | None:
    try:
        counts = await store.outbox.counts()
        return Waits(await store.count_waiting(), counts["waiting"], counts["dead"])
    except StoreUnavailable:
        return None
