"""A record of the log as JSON."""

import json
import logging
import sys

from palaver.watching.lines import JsonLines


def line(message: str, *values: object, error: bool = False, **extra: str) -> dict[str, object]:
    caught = sys.exc_info() if error else None
    record = logging.LogRecord("palaver.test", logging.ERROR, "here.py", 1, message, values, caught)
    record.__dict__.update(extra)
    text = JsonLines("2").format(record)
    assert "\n" not in text
    told: dict[str, object] = json.loads(text)
    return told


def test_traceback_stays_on_the_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        told = line("request %s: it failed", "r-1", error=True)
    assert str(told["error"]).startswith("Traceback")
    assert (told["message"], told["request_id"], told["worker"]) == ("request r-1: it failed", "r-1", "2")


def test_what_cannot_be_encoded_is_told_all_the_same() -> None:
    assert line("half a character: %s", "\ud800")["message"] == "half a character: \ud800"


def test_request_may_be_named_beside_the_message() -> None:
    assert line("as it was said", request_id="r-2")["request_id"] == "r-2"
    assert "request_id" not in line("the request r-3: is none")
