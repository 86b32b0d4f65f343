"""Many may wait for a moment, few for long; and whoever comes to a crowd that was overrun is let in bit by bit."""

from collections import deque

import pytest

from palaver.chat.crowd import CALM_SECONDS, FEW, Crowd
from palaver.chat.errors import Overloaded

SECONDS = 0.15


class Door:
    """A crowd, and the time."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.now = 100.0
        self.crowd = Crowd(seconds, lambda: self.now)
        self._inside: deque[object] = deque()

    def come(self, count: int) -> int:
        """How many of them are let in."""
        before = len(self._inside)
        for _ in range(count):
            if not self.crowd.is_full:
                self._inside.append(someone := object())
                self.crowd.enter(someone)
        return len(self._inside) - before

    def leave(self, count: int) -> None:
        for _ in range(count):
            self.crowd.leave(self._inside.popleft())

    def be_overrun(self) -> None:
        self.come(FEW)
        self.now += SECONDS + 0.01
        assert self.come(1) == 0


@pytest.fixture
def door() -> Door:
    return Door()


def test_all_that_come_at_one_moment_are_let_in(door: Door) -> None:
    assert door.come(20 * FEW) == 20 * FEW


def test_few_may_wait_as_long_as_it_takes(door: Door) -> None:
    door.come(FEW - 1)
    door.now += 3600
    assert not door.crowd.is_busy
    assert door.come(1) == 1


def test_nobody_is_let_in_while_more_than_a_few_have_waited_for_long(door: Door) -> None:
    door.come(2 * FEW)
    door.now += SECONDS - 0.01
    assert door.come(1) == 1
    door.now += 0.02
    assert door.come(100) == 0
    with pytest.raises(Overloaded):
        door.crowd.ask_room()


def test_those_who_came_a_moment_ago_do_not_count_as_waiting_for_long(door: Door) -> None:
    door.come(FEW - 1)
    door.now += 10
    assert door.come(5 * FEW) == 5 * FEW


def test_crowd_that_was_overrun_lets_in_a_few_at_first(door: Door) -> None:
    door.be_overrun()
    door.leave(10)
    assert door.come(100) == 10
    door.leave(FEW)
    assert door.come(100) == FEW


def test_crowd_that_keeps_up_again_lets_in_more_and_more(door: Door) -> None:
    door.be_overrun()
    door.leave(FEW)
    door.now += CALM_SECONDS
    assert door.come(10 * FEW) == 2 * FEW
    door.leave(2 * FEW)
    door.now += 2 * CALM_SECONDS
    assert door.come(10 * FEW) == 8 * FEW


def test_crowd_that_is_overrun_again_begins_anew(door: Door) -> None:
    door.be_overrun()
    door.leave(FEW)
    door.now += CALM_SECONDS
    door.come(2 * FEW)
    door.now += SECONDS + 0.01
    assert door.come(1) == 0
    door.leave(2 * FEW)
    assert door.come(10 * FEW) == FEW


def test_crowd_that_was_overrun_long_ago_lets_everybody_in(door: Door) -> None:
    door.be_overrun()
    door.leave(FEW)
    door.now += 1e9
    assert door.come(100 * FEW) == 100 * FEW


def test_where_no_time_is_too_long_everybody_is_let_in() -> None:
    door = Door(seconds=0)
    door.come(FEW)
    door.now += 3600
    assert door.come(10 * FEW) == 10 * FEW
