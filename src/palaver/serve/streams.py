"""A stream of events ends with its connection, and is not sent in chunks as uvicorn would.

In chunks its first pieces reach a client behind HAProxy 200 ms late: of a body that it knows to have an end, HAProxy
by default has the kernel wait for more before it sends. One that ends with the connection it passes on as it comes.
Whether a stream is whole its last event says, not its framing.
"""

import sys
from collections.abc import Coroutine
from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

EVENTS = (b"content-type", b"text/event-stream")


class Cycle(RequestResponseCycle):
    """A request and its answer."""

    _is_stream = False

    # No coroutine of its own: each piece of a stream would pay for it.
    def send(self, message: ASGISendEvent) -> Coroutine[Any, Any, None]:
        if message["type"] == "http.response.start":
            if EVENTS in message.get("headers", ()):
                self._is_stream = True
                self.keep_alive = self.chunked_encoding = False
                self.expected_content_length = sys.maxsize
        elif self._is_stream and message["type"] == "http.response.body" and not message.get("more_body", False):
            # uvicorn holds it against what was promised.
            self.expected_content_length = len(message.get("body", b""))
        return super().send(message)
