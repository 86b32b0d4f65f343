from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.backoff import Backoff, read_retry_after

NOW = datetime(2026, 3, 2, 8, 15, 0, tzinfo=UTC)


def test_waits_grow_up_to_the_cap() -> None:
    backoff = Backoff(base=0.5, cap=8.0, jitter=lambda: 1.0)
    assert [backoff.seconds(failed, None) for failed in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]


@pytest.mark.proof("faults")
@given(st.floats(0, 1), st.integers(1, 2000))
def test_jitter_is_full_and_the_cap_holds(jitter: float, failed: int) -> None:
    assert 0 <= Backoff(jitter=lambda: jitter).seconds(failed, None) <= 8


def test_never_comes_back_before_the_told_time() -> None:
    assert Backoff(jitter=lambda: 0.0).seconds(1, 3.0) == 3.0
    assert Backoff(jitter=lambda: 1.0).seconds(1, 3.0) == 3.5


def test_told_time_is_honoured_up_to_its_cap() -> None:
    assert Backoff(jitter=lambda: 0.0).seconds(1, 3600.0) == 10.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.25", 0.25),
        (" 7 ", 7.0),
        ("Mon, 02 Mar 2026 08:15:20 GMT", 20.0),
        ("Mon, 02 Mar 2026 08:14:20 GMT", 0.0),
        ("-1", None),
        ("nan", None),
        ("1e9", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_reads_retry_after(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds
