"""The id of a request: in its answer, and in each line of the log that is about it."""

import re
from collections.abc import Iterable
from random import getrandbits

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def to_request_id(sent: str) -> str:
    """The client's own id where it will do, else a new one. It names a request and guards nothing."""
    return sent if _REQUEST_ID.fullmatch(sent) else f"{getrandbits(64):016x}"


def sent_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """What the client calls its request; the last of several, as everywhere."""
    sent = b""
    for name, value in headers:
        if name == b"x-request-id":
            sent = value
    return sent.decode("latin-1")
