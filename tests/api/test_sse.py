"""What keeps a silent stream alive."""

import asyncio

from palaver.api.sse import Heartbeat
from palaver.chat.telling import Waker


async def test_stream_is_woken_once_it_was_silent_for_long_enough() -> None:
    waker = Waker()
    heartbeat = Heartbeat(waker, 0.02)
    try:
        for _ in range(3):
            heartbeat.restart()
            assert not heartbeat.is_due()
            async with asyncio.timeout(5):
                await waker.wait()
            assert heartbeat.is_due()
    finally:
        heartbeat.stop()
