"""What is told of a message, and what a try makes of a delivery."""

from typing import Any

import pytest
from msgspec.structs import replace

from palaver.chat.backoff import Backoff
from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import MessageId
from palaver.chat.notices import settle, to_notice
from palaver.chat.ports import FcmTarget, Gone, Later, Outcome, Refused, Sent
from palaver.chat.ports.outbox import Claimed, OutboxId, Settled, Told

NOW = Micros(1_700_000_000_000_000)
TOLD = Told(
    kind="message", conversation="c-1", conversation_kind="pair", title="", bot="Pirate", message="m-1",
    content="See you\nat eight?", sender="Ann", unread=2, created_at=NOW, recipient="ben", language=None,
    shows_text=False,
)  # fmt: skip
PATIENT = Backoff(tries=5, base=10.0, cap=60.0, longest_told=100.0, jitter=lambda: 1.0)


def told(**changes: Any) -> Claimed:
    return Claimed(
        OutboxId(7), "worker", 1, 0, MessageId(9), "fcm", "fcm", FcmTarget("token"), replace(TOLD, **changes)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "Ann"),
        # A bot that was invited.
        ({"sender": None}, "Pirate"),
        ({"conversation_kind": "group", "title": "Trip to Rome"}, "Trip to Rome"),
        ({"conversation_kind": "group"}, "Ann"),
        # Such a conversation is called after what was said in it.
        ({"conversation_kind": "bot", "title": "My secret"}, "Pirate"),
        ({"conversation_kind": "bot", "title": "My secret", "shows_text": True}, "My secret"),
        ({"conversation_kind": "bot", "title": "My secret", "bot": ""}, "Palaver"),
        ({"sender": "A" * 200}, "A" * 99 + "…"),
    ],
)
def test_title_says_who_wrote_or_where_and_nothing_of_what(changes: dict[str, Any], title: str) -> None:
    assert to_notice(told(**changes), public_url="", language="en").title == title


def test_text_and_who_wrote_it_are_told_where_that_is_allowed() -> None:
    silent = to_notice(told(), public_url="https://chat.example.org/", language="de")
    assert (silent.body, silent.sender, silent.language) == (None, None, "de")
    assert (silent.id, silent.url) == ("7-9", "https://chat.example.org/c/c-1")
    shown = to_notice(told(shows_text=True, language="it"), public_url="", language="de")
    assert (shown.body, shown.sender, shown.language) == ("See you at eight?", "Ann", "it")


@pytest.mark.parametrize(
    ("outcome", "failures", "settled"),
    [
        (Sent(), 3, Settled("sent")),
        (Gone(), 0, Settled("not_needed", "gone", forgets_target=True)),
        (Refused("answers 400"), 0, Settled("dead", "answers 400", failed=True)),
        (Later(why="answers 503"), 0, Settled("waiting", "answers 503", Micros(NOW + 10 * SECOND), failed=True)),
        (Later(), 3, Settled("waiting", None, Micros(NOW + 60 * SECOND), failed=True)),
        # As it was told, and not all at the same instant; but not for as long as somebody likes.
        (Later(30.0), 0, Settled("waiting", None, Micros(NOW + 40 * SECOND), failed=True)),
        (Later(1e9), 0, Settled("waiting", None, Micros(NOW + 110 * SECOND), failed=True)),
        (Later(), 4, Settled("dead", "no answer", failed=True)),
    ],
)
def test_what_a_try_makes_of_a_delivery(outcome: Outcome, failures: int, settled: Settled) -> None:
    assert settle(outcome, failures, PATIENT, NOW) == settled
