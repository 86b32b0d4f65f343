"""What the status of an answer says about a notice."""

from palaver.chat.ports import Gone, Later, Outcome, Refused, Sent
from palaver.notify.guard import Answer

_PASSING = frozenset({408, 425, 429})


def to_outcome(answer: Answer, *, gone: frozenset[int], persists: bool = False) -> Outcome:
    """`persists`: what is neither taken nor gone may be another time, whatever the status; but for a redirect, which
    leads where nobody has looked."""
    match answer.status:
        case status if 200 <= status < 300:
            return Sent()
        case status if status in gone:
            return Gone()
        case status if 300 <= status < 400:
            return Refused("answers with a redirect, and none is followed")
        case status if persists or status >= 500 or status in _PASSING:
            return Later(answer.retry_after, f"answers {status}")
        case status:
            return Refused(f"answers {status}")
