"""How much of a conversation a client has seen: one cursor for server-sent events and WebSockets, on any worker.

Every event of a conversation has a number, given in the transaction that makes it true (`chat/events.py`). What was
missed since then is read from the messages themselves; nothing else is kept for it, and a restart forgets nothing.
"""

import re

from msgspec import Struct

LENGTH = 200

# Of no moment: whoever comes back with it is shown all anew.
ANEW = "anew"

_SHAPE = re.compile(r"e([0-9a-f]{8})((?:\.\d{1,15}){3})(?:\.(\d{1,15})\.(\d{1,15}|end))?", re.ASCII)


class Mark(Struct, frozen=True):
    """A moment of a conversation: the number of its last event, and the lowest message that may yet have news.

    `revision` grows when something else than appending happens: an edit, another reply, another branch in view. Events
    of different revisions are not one story, so that a cursor into an older one is told so.
    """

    revision: int
    event: int
    lowest: int


class Cursor(Struct, frozen=True):
    """A moment as a client has seen it. `conversation` is the first part of its UUID.

    `reply` is the number of a reply that was under way, and `position` how much of it was heard; None: all, its end
    too, whatever else was told meanwhile.
    """

    conversation: str
    mark: Mark
    reply: int | None = None
    position: int | None = 0


def encode_cursor(conversation: str, mark: Mark, reply: int | None = None, position: int | None = 0) -> str:
    base = f"e{conversation[:8]}.{mark.revision}.{mark.event}.{mark.lowest}"
    if reply is None:
        return base
    return f"{base}.{reply}.{'end' if position is None else position}"


def decode_cursor(given: str) -> Cursor | None:
    """None for what no cursor of ours looks like."""
    found = _SHAPE.fullmatch(given) if len(given) <= LENGTH else None
    if found is None:
        return None
    conversation, numbers, reply, position = found.groups()
    mark = Mark(*map(int, numbers[1:].split(".")))
    if reply is None:
        return Cursor(conversation, mark)
    return Cursor(conversation, mark, int(reply), None if position == "end" else int(position))
