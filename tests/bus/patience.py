"""Time as the bus sees it: a Redis that may take its while, and a worker that is held up itself."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from palaver.bus import patience, redis_counts, subscriber

PATIENT_SECONDS = 30.0


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis may take as long to answer as a busy machine makes it: what holds while it is too slow is not promised
    here."""
    monkeypatch.setattr(patience, "PATIENCE", PATIENT_SECONDS)
    monkeypatch.setattr(subscriber, "BEAT_SECONDS", PATIENT_SECONDS)
    monkeypatch.setattr(redis_counts, "ANSWER_SECONDS", PATIENT_SECONDS)


class HeldUpLoop(asyncio.SelectorEventLoop):
    """A loop to be run for one test alone, as its clock is put forward."""

    held_up_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.held_up_seconds


def hold_up(seconds: float) -> None:
    """The loop finds itself so much later in its next turn, as if a task had not let it go on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HeldUpLoop)
    loop.held_up_seconds += seconds


def run(main: Coroutine[Any, Any, None]) -> None:
    """In a loop that can be held up."""
    with asyncio.Runner(loop_factory=HeldUpLoop) as runner:
        runner.run(main)
