"""Failed sign-ins are limited, by a clock that is moved by hand."""

import pytest

from palaver.chat import attempts as attempting
from palaver.chat.attempts import Attempts
from palaver.chat.errors import RateLimited


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def attempts(seconds: Seconds) -> Attempts:
    return Attempts(3, 60, seconds)


def fail(attempts: Attempts, name: str, *, times: int) -> None:
    for _ in range(times):
        attempts.check(name)
        attempts.count(name)


def test_so_many_failures_are_allowed_and_no_more(attempts: Attempts) -> None:
    fail(attempts, "alice", times=3)
    with pytest.raises(RateLimited):
        attempts.check("alice")
    attempts.check("bob")


def test_refusal_says_when_to_come_back_and_then_it_is_open(attempts: Attempts, seconds: Seconds) -> None:
    fail(attempts, "alice", times=3)
    seconds.now += 20
    with pytest.raises(RateLimited) as refused:
        attempts.check("alice")
    assert refused.value.retry_after == 40
    seconds.now += refused.value.retry_after
    fail(attempts, "alice", times=3)
    with pytest.raises(RateLimited):
        attempts.check("alice")


def test_window_begins_with_the_first_failure(attempts: Attempts, seconds: Seconds) -> None:
    fail(attempts, "alice", times=2)
    seconds.now += 61
    fail(attempts, "alice", times=2)
    attempts.check("alice")


def test_failures_of_one_name_are_forgotten_and_no_others(attempts: Attempts) -> None:
    for name in ("alice", "bob"):
        fail(attempts, name, times=3)
    attempts.forget("alice")
    attempts.check("alice")
    with pytest.raises(RateLimited):
        attempts.check("bob")


def test_attempt_that_is_taken_back_leaves_the_others_counted(attempts: Attempts) -> None:
    fail(attempts, "alice", times=3)
    attempts.take_back("alice")
    fail(attempts, "alice", times=1)
    with pytest.raises(RateLimited):
        attempts.check("alice")
    for _ in range(5):
        attempts.take_back("alice")
    fail(attempts, "alice", times=3)


def test_memory_is_bounded_and_the_oldest_is_forgotten_first(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempting, "REMEMBERED", 3)
    fail(attempts, "old", times=3)
    fail(attempts, "alice", times=3)
    for name in ("bob", "carol"):
        fail(attempts, name, times=1)
    attempts.check("old")
    with pytest.raises(RateLimited):
        attempts.check("alice")
