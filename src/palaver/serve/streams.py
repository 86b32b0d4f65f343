"""How answers go out, where that is otherwise than uvicorn would send them.

A stream of events ends with its connection, and is not sent in chunks. In chunks its first pieces reach a client behind
HAProxy 200 ms late: of a body that it knows to have an end, HAProxy by default has the kernel wait for more before it
sends. One that ends with the connection it passes on as it comes. Whether a stream is whole its last event says, not
its framing.

The head of a whole answer is made in one go. uvicorn looks at each header by itself, which takes a fiftieth of a turn.
"""

import sys
from collections.abc import Coroutine
from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

EVENTS = (b"content-type", b"text/event-stream")
CLOSE = (b"connection", b"close")
LENGTH = b"content-length"


class Cycle(RequestResponseCycle):
    """A request and its answer."""

    _is_stream = False

    # No coroutine of its own: each piece of a stream would pay for it.
    def send(self, message: ASGISendEvent) -> Coroutine[Any, Any, None]:
        if message["type"] == "http.response.start":
            headers = [*self.default_headers, *message.get("headers", ())]
            if EVENTS in headers:
                self._is_stream = True
                self.keep_alive = self.chunked_encoding = False
                self.expected_content_length = sys.maxsize
            elif headers and headers[-1][0] == LENGTH and self._can_begin() and CLOSE not in headers:
                return self._begin(message["status"], headers)
        elif self._is_stream and message["type"] == "http.response.body" and not message.get("more_body", False):
            # uvicorn holds it against what was promised.
            self.expected_content_length = len(message.get("body", b""))
        return super().send(message)

    def _can_begin(self) -> bool:
        """Whether nothing has to be waited for, and the connection stays."""
        return self.keep_alive and not (self.response_started or self.disconnected or self.flow.write_paused)

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Sends the head of an answer whose last header tells how long it is, as uvicorn would: but for the line in its
        log, which is not kept, and its look at the characters of each header, of which clients choose none here."""
        head = b"\r\n".join([STATUS_LINE[status][:-2], *[b": ".join(header) for header in headers], b"\r\n"])
        # Whatever a header is made of, it is one line.
        lines = len(headers) + 2
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise RuntimeError("a header is more than a line")
        self.response_started, self.waiting_for_100_continue = True, False
        self.chunked_encoding, self.expected_content_length = False, int(headers[-1][1])
        self.transport.write(head)
