"""What keeps a silent stream alive."""

import asyncio

import pytest

from palaver.api.sse import Heartbeat
from palaver.chat.telling import Waker
from tests.parts.loop import hold_up, run

HOUR = 3600


def test_stream_is_woken_once_it_was_silent_for_long_enough() -> None:
    # Hours pass where it says so: no heartbeat is due because a line of it took long.
    async def be_silent() -> None:
        waker = Waker()
        heartbeat = Heartbeat(waker, 2 * HOUR)
        try:
            for _ in range(3):
                hold_up(HOUR)
                heartbeat.restart()
                hold_up(HOUR)
                # Its timer was set before the last word, and finds nothing to do yet.
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await waker.wait()
                assert not heartbeat.is_due()
                hold_up(HOUR)
                async with asyncio.timeout(60):
                    await waker.wait()
                assert heartbeat.is_due()
        finally:
            heartbeat.stop()

    run(be_silent())
