"""Who comes while it is full is told so before anything is made of the request: no parser's calls, no task.

What is offered beyond what can be done has to cost next to nothing, or the server does less the more it is asked.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

# A head as clients write it, whole. Whatever is spelled otherwise is the parser's business: no two readers may part a
# request from the next one in different places. Nothing in here can be read in two ways, so none of it is tried twice.
_METHOD = rb"([A-Z]++)"
_PATH = rb"(/[\w/.~:@!$&'()*+,;=-]*+)(?:\?[!\"$-~]*+)?"
_HEADER = rb"[A-Za-z0-9-]++:[\t -~\x80-\xff]*+(?<![\t ])\r\n"
_HEAD = re.compile(rb"%b %b HTTP/1\.1\r\n((?:%b)++)\r\n" % (_METHOD, _PATH, _HEADER))
_LINE = re.compile(rb"([^:]++):[\t ]*+([^\r]*+)\r\n")

# Of the size of a body. Python would read thousands, and take its time.
_MOST_DIGITS = 15

# With one of these more hangs on a request than its head and so many bytes.
_SPECIAL = {b"transfer-encoding", b"upgrade", b"expect", b"proxy-connection"}
# Of two of these nobody could say which counts.
_ONCE = (b"host", b"content-length", b"connection")


class Asked(NamedTuple):
    """A request's head. Headers' names are in small letters, each with its last value; `path` is without the query."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    head_bytes: int
    body_bytes: int
    is_last: bool
    """Its client wants the connection closed."""


class Door(Protocol):
    """Who knows whether more is asked here than is done, and what is answered then."""

    @property
    def is_busy(self) -> bool:
        """Whether anybody may have to be refused. Asked for each request, and costs nothing."""
        ...

    def turn_away(
        self, method: str, path: str, headers: Mapping[bytes, bytes], body_bytes: int
    ) -> tuple[int, bytes, bytes] | None:
        """The answer to who is refused because it is full: its status, its headers' lines and its body; None for who
        is let in."""
        ...


def read_head(data: bytes) -> Asked | None:
    """The head that `data` begins with; None where that is not whole, or is nothing plain."""
    head = _HEAD.match(data)
    if head is None:
        return None
    method, path, lines = head.groups()
    found = _LINE.findall(lines)
    headers = {name.lower(): value for name, value in found}
    if b"host" not in headers or not _SPECIAL.isdisjoint(headers):
        return None
    if len(headers) < len(found) and any(_count(found, name) > 1 for name in _ONCE):
        return None
    connection = headers.get(b"connection", b"keep-alive").lower()
    size = headers.get(b"content-length", b"0")
    if connection not in (b"keep-alive", b"close") or not size.isdigit() or len(size) > _MOST_DIGITS:
        return None
    return Asked(method.decode(), path.decode(), headers, head.end(), int(size), connection == b"close")


def _count(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> int:
    return sum(name.lower() == wanted for name, _ in headers)
