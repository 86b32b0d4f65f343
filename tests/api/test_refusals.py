"""What stands in the log beside a refusal."""

import pytest

from palaver.api.refusals import cause_of
from palaver.chat.errors import StoreUnavailable


@pytest.mark.parametrize(
    ("cause", "told"),
    [(TimeoutError(), "TimeoutError"), (OSError("connection refused"), "connection refused"), (None, "no answer")],
)
def test_cause_is_told_also_where_it_has_no_words(cause: Exception | None, told: str) -> None:
    error = StoreUnavailable("no answer")
    error.__cause__ = cause
    assert cause_of(error) == told
