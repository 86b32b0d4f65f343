"""What is counted for limits, between two workers: in one process, and over Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import pytest
from redis.asyncio import Redis as Client

from palaver.bus import BusOptions, open_counts, redis_counts
from palaver.bus.redis_counts import RedisCounts
from palaver.chat.counts import LocalCounts
from palaver.chat.ports import Counts, Standing, Wanted
from tests.bus.patience import PATIENT_SECONDS, be_patient
from tests.parts.loop import hold_up, run
from tests.parts.redis import Redis

CountsKind = Literal["memory", "redis"]

# Nothing that is held here is given up while a test runs.
HOLD_SECONDS = 60.0

# The time that is measured here is not by the clock of Redis.
TWO_CLOCKS = 0.01


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture(params=["memory", "redis"])
def counts_options(request: pytest.FixtureRequest) -> BusOptions:
    kind: CountsKind = request.param
    return BusOptions(request.getfixturevalue("redis_url") if kind == "redis" else None)


@pytest.fixture
async def workers(counts_options: BusOptions) -> AsyncIterator[tuple[Counts, Counts]]:
    """The counts of two workers of one installation; without Redis there is but one."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(open_counts(counts_options, "palaver", HOLD_SECONDS))
        there = here
        if counts_options.url is not None:
            there = await stack.enter_async_context(open_counts(counts_options, "palaver", HOLD_SECONDS))
        yield here, there


@pytest.fixture
def here(workers: tuple[Counts, Counts]) -> Counts:
    return workers[0]


@pytest.fixture
def there(workers: tuple[Counts, Counts]) -> Counts:
    return workers[1]


def a_minute(most: int, key: str = "alice") -> Wanted:
    return Wanted(key, most, 60)


def at_once(most: int, key: str = "alice") -> Wanted:
    return Wanted(key, most)


def clock() -> float:
    return asyncio.get_running_loop().time()


async def had(counts: Counts, *wanted: Wanted, holder: str = "") -> bool:
    return not any(standing.wait for standing in await counts.take(wanted, holder))


async def wait_until_had(counts: Counts, wanted: Wanted, holder: str = "") -> None:
    async with asyncio.timeout(PATIENT_SECONDS):
        while not await had(counts, wanted, holder=holder):
            pass


async def wait_until_refused(counts: Counts, wanted: Wanted) -> tuple[float, Standing]:
    """When it was asked for, and the refusal. On a slow machine what was had first has grown old before the last is."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            began = clock()
            [standing] = await counts.take([wanted])
            if standing.wait:
                return began, standing


async def test_as_many_as_may_be_are_had_and_no_more_however_many_ask_at_once(here: Counts, there: Counts) -> None:
    asked = [had(counts, a_minute(100)) for counts in (here, there) for _ in range(150)]
    assert sum(await asyncio.gather(*asked)) == 100


async def test_who_is_refused_hears_when_to_come_back_and_then_has_it(here: Counts, there: Counts) -> None:
    short = Wanted("alice", 2, 0.2)
    began, standing = await wait_until_refused(here, short)
    assert standing.wait <= 0.2
    assert standing.left == 0
    # As each refusal says, and as the first one does.
    soonest, latest = began, clock() + standing.wait + TWO_CLOCKS
    while standing.wait:
        assert began < latest
        soonest = max(soonest, began + standing.wait - TWO_CLOCKS)
        began = clock()
        [standing] = await there.take([short])
    assert clock() >= soonest


async def test_in_no_window_are_there_more_than_may_be(here: Counts) -> None:
    """A bucket that fills would let nearly twice as many through."""
    # Each was had at some moment between these two.
    asked: list[float] = []
    told: list[float] = []
    async with asyncio.timeout(PATIENT_SECONDS):
        while len(told) < 40:
            before = clock()
            [standing] = await here.take([Wanted("alice", 10, 0.25)])
            if standing.wait:
                # Nor fewer: nobody is refused before, or for longer than a window.
                assert len(told) >= 10
                assert standing.wait <= 0.25
            else:
                asked.append(before)
                told.append(clock())
            await asyncio.sleep(0)
    assert min(late - early for early, late in zip(asked, told[10:], strict=False)) >= 0.249


async def test_standing_tells_what_is_left_and_when_there_is_more(here: Counts, there: Counts) -> None:
    began = clock()
    assert [(await counts.take([a_minute(3)]))[0].left for counts in (here, there, here)] == [2, 1, 0]
    [refused] = await there.take([a_minute(3)])
    assert 60 - (clock() - began) - TWO_CLOCKS <= refused.wait == refused.reset <= 60
    assert (await there.look(a_minute(4))).left == 1


async def test_looking_has_nothing(here: Counts, there: Counts) -> None:
    for _ in range(5):
        assert not (await here.look(a_minute(1))).wait
    assert await had(there, a_minute(1))
    assert (await here.look(a_minute(1))).wait


async def test_all_or_none(here: Counts, there: Counts) -> None:
    assert await had(here, a_minute(1, "full"))
    wanted = (a_minute(1, "free"), at_once(1, "free at once"), a_minute(1, "full"))
    standings = await there.take(wanted, "1")
    assert [bool(standing.wait) for standing in standings] == [False, False, True]
    assert await had(there, *wanted[:2], holder="2")


async def test_each_key_counts_for_itself(here: Counts) -> None:
    for key in ("alice", "bob", "", "}{", "ü " * 200):
        assert [await had(here, a_minute(1, key)) for _ in range(2)] == [True, False]


async def test_what_is_given_back_can_be_had_again(here: Counts, there: Counts) -> None:
    assert await had(here, a_minute(1))
    here.give_back([a_minute(1)])
    await wait_until_had(there, a_minute(1))
    assert not await had(here, a_minute(1))


async def test_what_is_forgotten_was_never_had(here: Counts, there: Counts) -> None:
    for _ in range(3):
        assert await had(here, a_minute(3))
    here.forget("alice")
    await wait_until_had(there, a_minute(3))
    assert [await had(here, a_minute(3)) for _ in range(3)] == [True, True, False]


async def test_limit_that_was_lowered_holds_for_what_was_had_before(here: Counts) -> None:
    for _ in range(5):
        assert await had(here, a_minute(5))
    assert not await had(here, a_minute(2))
    here.give_back([a_minute(5)] * 3)
    assert not await had(here, a_minute(2))
    here.give_back([a_minute(5)])
    assert await had(here, a_minute(2))


async def test_so_many_are_held_at_once_and_the_next_once_one_is_given_back(here: Counts, there: Counts) -> None:
    asked = [(counts, f"{counts} {number}") for counts in (here, there) for number in range(10)]
    answers = await asyncio.gather(*(had(counts, at_once(5), holder=holder) for counts, holder in asked))
    held = [one for one, answer in zip(asked, answers, strict=True) if answer]
    assert len(held) == 5
    assert not await had(here, at_once(5), holder="one more")
    worker, first = held[0]
    worker.give_back([at_once(5)], first)
    await wait_until_had(there, at_once(5), "one more")
    assert not await had(here, at_once(5), holder="and another")


# Redis alone


@asynccontextmanager
async def worker(
    url: str, hold_seconds: float = HOLD_SECONDS, seconds: float | None = None
) -> AsyncIterator[RedisCounts]:
    async with open_counts(BusOptions(url, seconds), "palaver", hold_seconds) as counts:
        assert isinstance(counts, RedisCounts)
        yield counts


def test_what_is_held_stays_held_for_as_long_as_its_worker_lives(redis_url: str) -> None:
    async def hold_for_long() -> None:
        client: Any = Client.from_url(redis_url)
        async with client, worker(redis_url) as here:
            assert await had(here, at_once(1), holder="long")
            for _ in range(3):
                until = await client.zscore("{palaver:limits:alice}", "long")
                # It has two more such times before it is given up.
                hold_up(HOLD_SECONDS / 3)
                async with asyncio.timeout(PATIENT_SECONDS):
                    while await client.zscore("{palaver:limits:alice}", "long") <= until:
                        pass

    run(hold_for_long())


async def test_what_a_dead_worker_held_is_free_again(redis_url: str) -> None:
    async with worker(redis_url) as there:
        async with worker(redis_url, hold_seconds=0.3) as here:
            assert await had(here, at_once(1), holder="here")
        # It gave nothing back: it is as if it had been killed.
        await wait_until_had(there, at_once(1), "there")


async def test_redis_may_take_as_long_to_answer_as_is_set(redis: Redis) -> None:
    async with worker(redis.url) as patient, worker(redis.url, seconds=0.1) as hasty:
        assert await had(patient, a_minute(1))
        redis.process.freeze()
        waiting = asyncio.create_task(had(patient, a_minute(1)))
        # It counts for itself: together they have had it.
        assert await had(hasty, a_minute(1))
        assert not waiting.done()
        redis.process.thaw()
        assert not await waiting


@pytest.mark.parametrize("two", [a_minute(2), at_once(2)], ids=["a minute", "at once"])
async def test_what_redis_grants_too_late_to_a_worker_that_has_refused_it_is_given_back(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, two: Wanted
) -> None:
    client: Any = Client.from_url(redis.url)
    # What is held is not named again meanwhile.
    async with client, worker(redis.url, hold_seconds=3600) as here, worker(redis.url) as there:
        assert await had(here, two, holder="first")
        assert await had(here, two, holder="second")
        # Now Redis knows of less than the worker does.
        await client.delete("{palaver:limits:alice}")
        assert await had(there, two, holder="there")
        with monkeypatch.context() as hasty:
            hasty.setattr(redis_counts, "ANSWER_SECONDS", 0)
            redis.process.freeze()
            # It grants the one, and refuses the other.
            assert [await had(here, two, holder=late) for late in ("third", "fourth")] == [False, False]
            redis.process.thaw()
        # What was asked later is answered later.
        await here.look(a_minute(1, "bob"))
        await wait_until_had(there, two, "one more")
        assert not await had(there, two, holder="and another")


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_worker_that_is_held_up_itself_counts_with_the_others_all_the_same(redis_url: str, turns: int) -> None:
    """However far the question has come: Redis has not been slow."""

    async def be_held_up() -> None:
        async with worker(redis_url) as here, worker(redis_url) as there:
            assert await had(there, a_minute(1))
            asked = asyncio.create_task(had(here, a_minute(1)))
            for _ in range(turns):
                await asyncio.sleep(0)
            hold_up(2 * PATIENT_SECONDS)
            # Where it counts for itself it is had.
            assert not await asked

    run(be_held_up())


def test_what_was_had_is_free_again_in_the_very_moment_that_its_wait_ends() -> None:
    """Also where `now - 60` is rounded otherwise than `then + 60`."""
    moments = iter([1000.1, 1060.1])
    counts = LocalCounts(lambda: next(moments))
    one = a_minute(1)
    for _ in range(2):
        [standing] = counts.take_now([one])
        assert (standing.wait, standing.left) == (0, 0)
        assert standing.reset == pytest.approx(60)


def test_counts_of_one_process_forget_the_oldest_names_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palaver.chat.counts.REMEMBERED", 2)
    counts = LocalCounts(lambda: 1.0)
    for key in ("old", "alice", "bob"):
        assert not counts.take_now([a_minute(1, key)])[0].wait
    assert counts.take_now([a_minute(1, "alice")])[0].wait
    assert not counts.take_now([a_minute(1, "old")])[0].wait
