"""A line about security, as text and as JSON: whatever somebody is called, it stays one line that says what is true."""

import json
import logging
from dataclasses import dataclass

import pytest

from palaver.watching.lines import JsonLines, TextLines
from palaver.watching.security import LONGEST_ADDRESS, Asking, log, tell


@dataclass(frozen=True)
class Someone:
    uuid: str
    name: str


ALICE = Someone("u-1", "alice")


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, log.name)
    return caplog


def only(records: pytest.LogCaptureFixture) -> logging.LogRecord:
    [record] = records.records
    return record


@pytest.mark.parametrize(
    "name",
    [
        "a\nERROR palaver.security signed_in",
        "a\x1b[2K",
        "a\x7f",
        "a user=u-2",
        "a\u2028b",
        "\ud800",
        "Ana Müller",
        "%s%n",
        "'",
    ],
)
def test_name_that_is_no_plain_word_is_spelled_out_between_quotes(records: pytest.LogCaptureFixture, name: str) -> None:
    tell("signed_in", Someone("u-1", name), asking=Asking("r-1", "127.0.0.1"))
    text = TextLines("%(message)s").format(only(records))
    assert text == f"request r-1: signed_in user=u-1 name={name!a} address=127.0.0.1"
    assert text.isascii()
    assert text.isprintable()
    line = JsonLines("1").format(only(records))
    assert "\n" not in line
    assert json.loads(line)["name"] == name


def test_address_that_a_proxy_made_up_is_cut_and_spelled_out(records: pytest.LogCaptureFixture) -> None:
    tell("sign_in_refused", asking=Asking("r-1", "1 2\n" * 1000), how="password")
    cut = "1 2\\n" * (LONGEST_ADDRESS // 4)
    assert only(records).getMessage() == f"request r-1: sign_in_refused how=password address='{cut}'"


def test_who_did_it_is_named_where_it_was_somebody_else(records: pytest.LogCaptureFixture) -> None:
    tell("account_disabled", ALICE, asking=Asking("r-1", "::1", by="u-2"))
    tell("password_changed", ALICE, asking=Asking("r-2", "::1", by="u-1"))
    tell("account_enabled", ALICE)
    assert [record.getMessage() for record in records.records] == [
        "request r-1: account_disabled user=u-1 name=alice address=::1 by=u-2",
        "request r-2: password_changed user=u-1 name=alice address=::1",
        "account_enabled user=u-1 name=alice",
    ]


def test_refusals_are_warnings_and_all_else_is_none(records: pytest.LogCaptureFixture) -> None:
    records.set_level(logging.WARNING, log.name)
    tell("signed_in", ALICE)
    tell("not_allowed", ALICE)
    assert only(records).levelname == "WARNING"
