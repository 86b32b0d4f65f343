"""Waiting for what tells nobody when it happens, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.02


async def wait_for(look: Callable[[], Awaitable[T | None]], *, seconds: float, what: str) -> T:
    """What `look` finds, once it finds something. `AssertionError` where it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(_POLL_SECONDS)


async def wait_while(look: Callable[[], Awaitable[object]], *, seconds: float, what: str) -> None:
    """Returns once `look` finds nothing any more. `AssertionError`, with what is left, where it still does then."""
    deadline = time.monotonic() + seconds
    while left := await look():
        assert time.monotonic() < deadline, f"{what}: still there after {seconds} s: {left}"
        await asyncio.sleep(_POLL_SECONDS)
