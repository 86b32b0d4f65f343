"""Who makes the next reply, and when a server that fails is left alone: with a clock that the test moves."""

import asyncio
from collections import Counter

import pytest

from palaver.bots.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Breaker
from palaver.bots.catalogue import Catalogue
from palaver.bots.listing import Listing
from palaver.bots.pool import LlmServer, Place, Pool
from palaver.bots.upstream import Upstream
from palaver.chat.model import OfferedModel
from palaver.chat.server import NamedServer


class HandClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breaker(clock: HandClock) -> Breaker:
    return Breaker(clock)


def server(name: str, *models: str, weight: float = 1, most: int | None = None) -> LlmServer:
    """One that is never connected to."""
    upstream = Upstream("http://127.0.0.1:1")
    named = NamedServer(name, "http://127.0.0.1:1", models=models or ("m",), weight=weight, most_at_once=most)
    return LlmServer(named, upstream, Listing(upstream, named.models))


async def take(pool: Pool, times: int) -> list[Place]:
    return [await pool.take(pool.servers) for _ in range(times)]


def names(places: list[Place]) -> list[str]:
    return [place.server.named.name for place in places]


# The breaker


def fail(breaker: Breaker, times: int = FAILURES) -> None:
    for _ in range(times):
        breaker.failed(trial=False)


def test_breaker_opens_after_failures_in_a_row_alone(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    breaker.succeeded()
    fail(breaker, FAILURES - 1)
    assert (breaker.state, breaker.lets_in) == ("closed", True)
    fail(breaker, 1)
    assert (breaker.state, breaker.lets_in) == ("open", False)


def test_one_trial_after_the_pause_closes_it(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker)
    clock.now += FIRST_PAUSE
    assert (breaker.state, breaker.lets_in) == ("half_open", True)
    assert breaker.begin()
    assert not breaker.lets_in
    assert not breaker.begin()
    breaker.succeeded()
    assert (breaker.state, breaker.lets_in) == ("closed", True)


def test_pause_doubles_with_each_failed_trial_up_to_a_cap(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker)
    pauses = []
    pause = FIRST_PAUSE
    for _ in range(10):
        clock.now += pause - 0.01
        assert breaker.state == "open"
        clock.now += 0.01
        assert breaker.begin()
        breaker.failed(trial=True)
        pause = min(2 * pause, LONGEST_PAUSE)
        pauses.append(pause)
    assert pauses[-1] == LONGEST_PAUSE


def test_failures_of_those_who_asked_before_lengthen_no_pause(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 50)
    clock.now += FIRST_PAUSE
    assert breaker.state == "half_open"


def test_trial_that_nobody_waited_for_is_followed_by_another(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker)
    clock.now += FIRST_PAUSE
    assert breaker.begin()
    breaker.left(trial=True)
    assert breaker.begin()


def test_server_that_names_a_time_is_left_alone_until_then(breaker: Breaker, clock: HandClock) -> None:
    breaker.rest(5)
    breaker.rest(2)
    assert (breaker.state, breaker.lets_in) == ("closed", False)
    clock.now += 5
    assert breaker.lets_in


# Choosing


async def test_least_running_replies_come_first() -> None:
    pool = Pool([server("a"), server("b"), server("c")])
    places = await take(pool, 6)
    assert Counter(names(places)) == {"a": 2, "b": 2, "c": 2}
    places[1].give_back()
    assert names(await take(pool, 1)) == names(places[1:2])


async def test_weight_says_how_many_run_beside_one() -> None:
    pool = Pool([server("heavy", weight=3), server("light")])
    assert Counter(names(await take(pool, 40))) == {"heavy": 30, "light": 10}


async def test_one_after_the_other_they_take_turns_by_weight() -> None:
    pool = Pool([server("heavy", weight=3), server("light")])
    told: list[str] = []
    for _ in range(40):
        [place] = await take(pool, 1)
        told += names([place])
        place.give_back()
    assert Counter(told) == {"heavy": 30, "light": 10}


async def test_server_that_comes_late_is_not_owed_what_it_missed() -> None:
    early, late = server("early"), server("late")
    pool = Pool([early])
    for place in await take(pool, 100):
        place.give_back()
    pool.set([early, late])
    told: list[str] = []
    for _ in range(10):
        [place] = await take(pool, 1)
        told += names([place])
        place.give_back()
    assert Counter(told) == {"early": 5, "late": 5}


async def test_full_server_is_passed_over_and_waited_for_in_turn() -> None:
    pool = Pool([server("small", most=1), server("large", most=2)])
    places = await take(pool, 3)
    assert Counter(names(places)) == {"small": 1, "large": 2}
    first, second = (asyncio.create_task(pool.take(pool.servers)) for _ in range(2))
    await asyncio.sleep(0)
    places[2].give_back()
    assert (await first).server is places[2].server
    assert not second.done()
    places[0].give_back()
    assert (await second).server is places[0].server


async def test_place_that_is_no_longer_wanted_goes_to_the_next() -> None:
    pool = Pool([server("a", most=1)])
    [place] = await take(pool, 1)
    gone, handed, waits = (asyncio.create_task(pool.take(pool.servers)) for _ in range(3))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    place.give_back()
    # It has its place already, and does not know it yet.
    handed.cancel()
    assert (await waits).server.running == 1


async def test_model_is_asked_of_those_that_offer_it() -> None:
    told, other = server("told", "m"), server("other", "n")
    untold = LlmServer(NamedServer("untold", "http://h"), told.upstream, Listing(told.upstream))
    pool = Pool([told, other, untold])
    assert list(pool.offering("m")) == [told]
    assert list(pool.offering("x")) == [untold]
    pool.set([told, other])
    assert list(pool.offering("x")) == [told, other]


# The catalogue of several


def test_offered_is_what_all_offer_together() -> None:
    pool = Pool([server("a", "m", "x"), server("b", "m", "y")])
    catalogue = Catalogue(pool, ["y"])
    assert catalogue.models() == (OfferedModel("m"), OfferedModel("x"), OfferedModel("y"))
    assert (catalogue.default_model(), catalogue.is_whole()) == ("y", True)
    pool.set(pool.servers[:1])
    assert [model.name for model in catalogue.models() or ()] == ["m", "x"]
    assert catalogue.model_for_turn("y") == "m"
    pool.set([])
    assert catalogue.models() == ()
    assert catalogue.knows_model("y")


def test_while_one_has_told_nothing_the_list_is_not_whole() -> None:
    told = server("told", "m")
    untold = LlmServer(NamedServer("untold", "http://h"), told.upstream, Listing(told.upstream))
    catalogue = Catalogue(Pool([told, untold]), ["m"])
    assert catalogue.models() == (OfferedModel("m"),)
    assert not catalogue.is_whole()
