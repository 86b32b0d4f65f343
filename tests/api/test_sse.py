"""What keeps a silent stream alive."""

import asyncio

import pytest

from palaver.api import sse
from palaver.api.sse import Heartbeat
from palaver.chat.telling import Waker


async def test_stream_is_woken_once_it_was_silent_for_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.02)
    waker = Waker()
    heartbeat = Heartbeat(waker)
    try:
        for _ in range(3):
            heartbeat.restart()
            assert not heartbeat.is_due()
            async with asyncio.timeout(5):
                await waker.wait()
            assert heartbeat.is_due()
    finally:
        heartbeat.stop()
