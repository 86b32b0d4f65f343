"""A loop to be run for one test alone, as its clock is put forward: timers of others would run out with it."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class HeldUpLoop(asyncio.SelectorEventLoop):
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
