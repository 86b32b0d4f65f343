import pytest

from palaver.bots.threads import call_in_thread, say_in_thread


def stop() -> None:
    raise KeyboardInterrupt


async def test_thread_that_wants_to_stop_everything_fails_alone() -> None:
    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        await call_in_thread(stop)


async def test_gives_one_thing_or_each_of_many() -> None:
    assert [thing async for thing in say_in_thread(lambda: [1, 2])] == [[1, 2]]
    assert [thing async for thing in say_in_thread(lambda: iter([1, 2]))] == [1, 2]
    assert await call_in_thread(lambda: 7) == 7
