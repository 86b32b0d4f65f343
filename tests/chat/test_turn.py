"""What becomes of a message, and the names and ids that things get."""

import uuid
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.clock import Micros
from palaver.chat.conversation import TITLE_LENGTH, Status, WhenBusy, to_title
from palaver.chat.errors import Busy, ChatError, Conflict, Ended
from palaver.chat.preset import to_slug
from palaver.chat.turn import Decision, decide_known, decide_new, make_message_uuid, number_in

STATUSES: tuple[Status, ...] = get_args(Status)
POLICIES: tuple[WhenBusy, ...] = get_args(WhenBusy)


@pytest.mark.parametrize("when_busy", POLICIES)
def test_message_in_a_quiet_conversation_starts_whatever_the_policy(when_busy: WhenBusy) -> None:
    assert decide_new(ended=False, open_replies=0, when_busy=when_busy) == "start"


@pytest.mark.parametrize("open_replies", [1, 7])
@pytest.mark.parametrize(("when_busy", "decision"), [("queue", "queue"), ("interrupt", "interrupt")])
def test_message_in_a_busy_conversation_follows_the_policy(
    when_busy: WhenBusy, open_replies: int, decision: Decision
) -> None:
    assert decide_new(ended=False, open_replies=open_replies, when_busy=when_busy) == decision
    with pytest.raises(Busy):
        decide_new(ended=False, open_replies=open_replies, when_busy="reject")


@pytest.mark.parametrize("when_busy", POLICIES)
@pytest.mark.parametrize("open_replies", [0, 1])
def test_ended_conversation_takes_nothing_new(when_busy: WhenBusy, open_replies: int) -> None:
    with pytest.raises(Ended):
        decide_new(ended=True, open_replies=open_replies, when_busy=when_busy)


@pytest.mark.parametrize("reply", STATUSES)
@pytest.mark.parametrize("ended", [False, True])
def test_other_text_under_a_known_id_is_a_conflict_whatever_became_of_it(reply: Status, ended: bool) -> None:
    with pytest.raises(Conflict):
        decide_known(same_text=False, reply=reply, ended=ended)


def test_known_message_is_answered_again_only_where_it_has_no_answer() -> None:
    decisions = {reply: decide_known(same_text=True, reply=reply, ended=False) for reply in STATUSES}
    assert decisions == {
        "complete": "known", "queued": "known", "running": "known", "stopped": "known",
        "interrupted": "again", "failed": "again",
    }  # fmt: skip


def test_ended_conversation_answers_nothing_again_but_still_knows() -> None:
    outcomes: dict[str, str] = {}
    for reply in STATUSES:
        try:
            outcomes[reply] = decide_known(same_text=True, reply=reply, ended=True)
        except ChatError as error:
            outcomes[reply] = error.code
    assert [reply for reply, outcome in outcomes.items() if outcome == "ended"] == ["interrupted", "failed"]
    assert [reply for reply, outcome in outcomes.items() if outcome == "known"] == [
        "complete", "queued", "running", "stopped",
    ]  # fmt: skip


# Ids


@pytest.mark.proof("words")
@given(now=st.integers(0, 2**52), number=st.integers(1, 2**30 - 1))
def test_uuid_of_a_message_tells_its_time_and_its_number(now: int, number: int) -> None:
    made = uuid.UUID(make_message_uuid(Micros(now), number))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now // 1000
    assert number_in(str(made)) == number


def test_uuids_of_messages_are_never_the_same() -> None:
    assert len({make_message_uuid(Micros(1), 1) for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize("text", ["", "x", "1234", "not-a-uuid", "00000000-0000-4000-8000-00000000000g"])
def test_what_is_no_uuid_has_no_number(text: str) -> None:
    assert number_in(text) is None


# Titles and name ids


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("hello", "hello"),
        ("  two\nlines  ", "two lines"),
        ("win\r\ndows\rand\nmore", "win dows and more"),
        ("", "New Chat"),
        (" \n\r\n ", "New Chat"),
        ("x" * 51, "x" * 50),
        ("x" * 49 + " y", "x" * 49 + " "),
        ("Grüße 👋", "Grüße 👋"),
    ],
)
def test_title_is_the_first_words_on_one_line(text: str, title: str) -> None:
    assert to_title(text) == title


@pytest.mark.proof("words")
@given(text=st.text())
def test_title_is_never_empty_never_long_and_on_one_line(text: str) -> None:
    title = to_title(text)
    assert 0 < len(title) <= TITLE_LENGTH
    assert "\n" not in title
    assert "\r" not in title
    assert title.strip()


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Pirate Captain", "pirate-captain"),
        ("A  B", "a--b"),
        ("tab\there", "tab-here"),
        ("C++ & Rust!", "c--rust"),
        ("snake_case-9", "snake_case-9"),
        ("日本語", ""),
        ("Äpfel", "pfel"),
    ],
)
def test_name_id_is_made_of_the_name(name: str, slug: str) -> None:
    assert to_slug(name) == slug


@pytest.mark.proof("words")
@given(name=st.text())
def test_name_id_holds_nothing_that_an_address_could_not(name: str) -> None:
    slug = to_slug(name)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert to_slug(slug) == slug
