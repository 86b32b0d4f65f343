"""Server-sent events: whole, in ASCII, with a heartbeat, and ended when the one who listens may no longer hear."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from json.encoder import encode_basestring_ascii

from palaver.api.call import Call
from palaver.chat.listening import Over, TextSaid, listen
from palaver.chat.ports import Begun
from palaver.chat.telling import Waker

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    # nginx would keep pieces back otherwise.
    (b"x-accel-buffering", b"no"),
)

HEARTBEAT = b":\n\n"

# In ASCII nothing can be cut inside a character by whoever reads byte by byte.
quote = encode_basestring_ascii


class Heartbeat:
    """Wakes a stream that was silent for long enough. A timer for each event would cost more than the event."""

    def __init__(self, waker: Waker, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._waker = waker
        self._seconds = seconds
        self._quiet_since = self._loop.time()
        self._timer = self._loop.call_later(self._seconds, self._look)

    def restart(self) -> None:
        """Something was sent."""
        self._quiet_since = self._loop.time()

    def is_due(self) -> bool:
        return self._loop.time() - self._quiet_since >= self._seconds

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self.is_due():
            self._waker()
            self._timer = self._loop.call_later(self._seconds, self._look)
        else:
            self._timer = self._loop.call_at(self._quiet_since + self._seconds, self._look)


async def hear(call: Call, begun: Begun, position: int) -> AsyncGenerator[TextSaid | Over | None, None]:
    """The reply from `position` on, with None wherever a heartbeat is due. Ends without a further event once the
    caller is shut out. Raises as `listen` does."""
    assert call.caller is not None
    waker = Waker()
    heartbeat = Heartbeat(waker, call.site.heartbeat_seconds)
    try:
        with call.site.stays.staying(call.caller, waker) as stay:
            async with aclosing(listen(call.chat, begun, position, waker)) as events:
                async for event in events:
                    if stay.over:
                        return
                    if event is not None or heartbeat.is_due():
                        heartbeat.restart()
                        yield event
    finally:
        heartbeat.stop()
