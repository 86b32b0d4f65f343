"""What somebody who may be away is told, and what a try makes of it.

A delivery is told what there is to tell when it is sent, not when it was written: what was read, taken away or reworded
meanwhile, and what the person has settled meanwhile, counts.
"""

from typing import assert_never

from palaver.chat.backoff import Backoff
from palaver.chat.clock import SECOND, Micros
from palaver.chat.ports.notify import Gone, Later, Notice, NoticeKind, Outcome, Refused, Sent
from palaver.chat.ports.outbox import Claimed, Settled, Told

EVENTS: tuple[NoticeKind, ...] = ("message", "mention", "reply")
MOST_TARGETS = 20

# As long as a notification can be on a screen.
TITLE_LENGTH = 100
BODY_LENGTH = 240

# What is told of a reply where no text is to be: its title was made of what the person had said.
NAMELESS = "Palaver"


def to_notice(claimed: Claimed, *, public_url: str, language: str) -> Notice:
    """What is sent. Without leave to show text it says who wrote or where, and nothing of what."""
    told = claimed.told
    return Notice(
        # Another message under the same row is another thing to hear of.
        id=f"{claimed.id}-{claimed.message_id}",
        kind=told.kind,
        conversation=told.conversation,
        conversation_kind=told.conversation_kind,
        title=_to_title(told),
        body=_shorten(told.content, BODY_LENGTH) or None if told.shows_text else None,
        sender=told.sender if told.shows_text else None,
        unread=told.unread,
        url=f"{public_url.rstrip('/')}/c/{told.conversation}",
        created_at=told.created_at,
        language=told.language or language,
        message=told.message,
        recipient=told.recipient,
    )


def _to_title(told: Told) -> str:
    match told.conversation_kind:
        case "pair":
            title = told.sender or told.bot
        case "group":
            title = told.title or told.sender or told.bot
        case "bot":
            title = told.title if told.shows_text else told.bot
        case _:
            assert_never(told.conversation_kind)
    return _shorten(title, TITLE_LENGTH) or NAMELESS


def _shorten(text: str, most: int) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= most else one_line[: most - 1].rstrip() + "…"


def settle(outcome: Outcome, failures: int, backoff: Backoff, now: Micros) -> Settled:
    """What a try makes of a delivery that has failed so often before."""
    match outcome:
        case Sent():
            return Settled("sent")
        case Gone():
            return Settled("not_needed", "gone", forgets_target=True)
        case Refused():
            return Settled("dead", outcome.reason, failed=True)
        case Later():
            if failures + 1 >= backoff.tries:
                return Settled("dead", outcome.why or "no answer", failed=True)
            seconds = backoff.seconds(failures + 1, outcome.seconds)
            return Settled("waiting", outcome.why or None, Micros(now + int(seconds * SECOND)), failed=True)
        case _:
            assert_never(outcome)
