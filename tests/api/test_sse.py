"""What keeps a silent stream alive."""

import asyncio

import pytest

from palaver.api.sse import Heartbeat
from palaver.chat.telling import Waker

HOUR = 3600


async def test_stream_is_woken_once_it_was_silent_for_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, ahead = asyncio.get_running_loop().time, 0
    # It goes on as ever, and leaps where the test says so: no heartbeat is due because a line of the test took long.
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock() + ahead)
    waker = Waker()
    heartbeat = Heartbeat(waker, 2 * HOUR)
    try:
        for _ in range(3):
            ahead += HOUR
            heartbeat.restart()
            ahead += HOUR
            # Its timer was set before the last word, and finds nothing to do yet.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await waker.wait()
            assert not heartbeat.is_due()
            ahead += HOUR
            async with asyncio.timeout(5):
                await waker.wait()
            assert heartbeat.is_due()
    finally:
        heartbeat.stop()
