"""What other workers have heard of a reply whose own worker is gone: all who have it open are asked, and waited for."""

import asyncio
from contextlib import suppress

from palaver.chat.conversation import MessageId
from palaver.chat.events import TextWanted, conversation_channel, encode_notice
from palaver.chat.ports import Bus
from palaver.chat.telling import Telling, Waker

# Everybody has so long, also those that are not counted: the reply's own worker, which may live after all, is one.
ANYBODY_SECONDS = 0.5

# Who is counted has so long. A worker that stands still never tells.
EVERYBODY_SECONDS = 5.0


class _Told:
    """Which workers have told all that they know."""

    def __init__(self) -> None:
        self.workers: set[str] = set()
        self.waker = Waker()


class LastWords:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._asked: dict[MessageId, _Told] = {}

    async def ask(self, telling: Telling, conversation: str) -> None:
        """Returns once all have told what they know of it, which is in its log by then; or were given the time."""
        told = self._asked[telling.id] = _Told()
        try:
            with suppress(TimeoutError), telling.waking(told.waker):
                async with asyncio.timeout(EVERYBODY_SECONDS):
                    await self._wait_for_everybody(telling, conversation, told)
        finally:
            del self._asked[telling.id]

    async def _wait_for_everybody(self, telling: Telling, conversation: str, told: _Told) -> None:
        channel = conversation_channel(conversation)
        others = await self._bus.count(channel) - 1
        wanted = TextWanted(conversation, telling.id, telling.attempt, telling.log.length)
        self._bus.publish(channel, encode_notice(wanted))
        await asyncio.sleep(ANYBODY_SECONDS)
        while len(told.workers) < others and telling.ended is None:
            await told.waker.wait()

    def hear(self, reply: MessageId, worker: str) -> None:
        """This one has told all that it knows."""
        told = self._asked.get(reply)
        if told is not None:
            told.workers.add(worker)
            told.waker()
