"""A worker whose event loop has too much to do lets in so many in each of its rounds, and all of them otherwise."""

import asyncio

import pytest

from palaver.chat.rounds import LONG_SECONDS, MOST_IN_A_ROUND, Rounds

STRAINED_SECONDS = 0.15
MANY = 10 * MOST_IN_A_ROUND


class Loop:
    """Rounds of the event loop that take as long as is said."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rounds = Rounds(lambda: self.now)

    def let_in(self) -> int:
        return sum(not self.rounds.stay_long(STRAINED_SECONDS) or self.rounds.let_in() for _ in range(MANY))

    async def go_round(self, seconds: float) -> int:
        """How many of those who come are let in."""
        let_in = self.let_in()
        self.now += seconds
        await asyncio.sleep(0)
        return let_in


@pytest.fixture
async def strained() -> Loop:
    """All rounds have been long, for longer than everybody is let in."""
    loop = Loop()
    while loop.now <= 100 + STRAINED_SECONDS:
        assert await loop.go_round(2 * LONG_SECONDS) == MANY
    return loop


async def test_all_that_come_at_one_moment_are_let_in() -> None:
    assert Loop().let_in() == MANY


async def test_where_rounds_stay_long_so_many_are_let_in_in_each(strained: Loop) -> None:
    assert [await strained.go_round(2 * LONG_SECONDS) for _ in range(3)] == [MOST_IN_A_ROUND] * 3


async def test_one_short_round_is_enough_to_let_in_all_again(strained: Loop) -> None:
    assert [await strained.go_round(LONG_SECONDS / 2) for _ in range(3)] == [MOST_IN_A_ROUND, MANY, MANY]


async def test_where_nobody_came_for_a_while_all_are_let_in(strained: Loop) -> None:
    await strained.go_round(2 * LONG_SECONDS)
    strained.now += 3600
    assert await strained.go_round(LONG_SECONDS / 2) == MANY
