"""Waiting for what a look tells, and nobody else."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.parts.process import wait_until

T = TypeVar("T")

Look = Callable[[], Coroutine[Any, Any, T]]


async def wait_for(look: Look[T | None], *, seconds: float, what: str) -> T:
    """What `look` finds, once it finds something. `AssertionError` where it does not in time."""
    found: T | None = None
    looking = asyncio.create_task(look())

    def has_found() -> bool:
        nonlocal found, looking
        if looking.done():
            found = looking.result()
            looking = asyncio.create_task(look())
        return bool(found)

    try:
        assert await wait_until(has_found, seconds=seconds), f"{what}: not within {seconds} s"
    finally:
        # It is never cut off: it would leave its database open.
        await asyncio.gather(looking, return_exceptions=True)
    assert found is not None
    return found


async def wait_while(look: Look[object], *, seconds: float, what: str) -> None:
    """Returns once `look` finds nothing any more. `AssertionError`, with what is left, where it still does then."""
    left: object = None

    async def is_gone() -> bool:
        nonlocal left
        left = await look()
        return not left

    try:
        await wait_for(is_gone, seconds=seconds, what=what)
    except AssertionError as error:
        error.add_note(f"There was still: {left}")
        raise
