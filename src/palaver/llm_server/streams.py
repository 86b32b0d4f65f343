"""How a reply is spelled as server-sent events, in parts that a fault can come between."""

from collections.abc import Callable
from itertools import cycle
from time import monotonic_ns

import msgspec

from palaver.llm_server.replies import Reply
from palaver.llm_server.responses import LAST_CHUNK, to_chunk, to_head
from palaver.llm_server.script import Script
from palaver.llm_server.steps import Steps, Wait, Write

Spelling = Callable[[bytes], bytes]


def to_event(data: bytes) -> bytes:
    return b"data: %b\n\n" % data


def to_crlf_event(data: bytes) -> bytes:
    return b"data: %b\r\n\r\n" % data


def commented() -> Spelling:
    """Events as OpenRouter sends them, each after a comment. A blank after `data:` is optional; each second has it."""
    blanks = cycle((b"", b" "))
    return lambda data: b": OPENROUTER PROCESSING\n\ndata:%b%b\n\n" % (next(blanks), data)


class Stream:
    """One reply on its way out. `opening` and `closing` with the same number of pieces make up the whole."""

    def __init__(
        self,
        reply: Reply,
        script: Script,
        *,
        content_type: str = "text/event-stream",
        spell: Spelling = to_event,
        front: bytes = b"",
    ) -> None:
        self.head = to_head(200, content_type, "cache-control: no-cache", "transfer-encoding: chunked")
        self._reply = reply
        self._script = script
        self._spell = spell
        self._front = to_chunk(front) if front else b""
        model = msgspec.json.encode(reply.model)
        envelope = b'{"id":"chatcmpl-%d","object":"chat.completion.chunk","created":%d,"model":%b,"choices":['
        self._envelope = envelope % (reply.number, reply.created, model)
        self._before = self._envelope + b'{"index":0,"delta":'
        self._usage = b',"usage":null' if reply.usage_event else b""
        self._after = b',"logprobs":null,"finish_reason":null}]%b}' % self._usage

    def whole(self) -> Steps:
        count = len(self._reply.said.deltas)
        if self._script.delay or self._script.stamp or self._script.hold or self._spell is not to_event:
            yield from self.opening(count)
            yield from self.closing(count)
        else:
            yield Write(self._in_one(), pieces=count)

    def opening(self, pieces: int) -> Steps:
        """The head, the event that names the role, and so many pieces."""
        yield Write(self.head + self._front + self.piece(b'{"role":"assistant","content":""}'))
        yield from self._pieces(0, pieces)

    def closing(self, pieces: int) -> Steps:
        """The pieces after so many, and the proper end."""
        yield from self._pieces(pieces, len(self._reply.said.deltas))
        yield Write(b"".join(to_chunk(self._spell(data)) for data in self._last_data()) + LAST_CHUNK)

    def piece(self, delta: bytes) -> bytes:
        return self.event(self.data(delta))

    def data(self, delta: bytes) -> bytes:
        return self._before + delta + self._after

    def event(self, data: bytes) -> bytes:
        return to_chunk(self._spell(data))

    def _pieces(self, start: int, stop: int) -> Steps:
        for index, delta in enumerate(self._reply.said.deltas[start:stop], start):
            if index and self._script.delay:
                yield Wait(self._script.delay)
            yield Write(self.piece(_to_stamp() if self._script.stamp else delta), pieces=1)

    def _last_data(self) -> list[bytes]:
        finish_reason = self._reply.said.finish_reason.encode()
        finish = b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"%b"}]%b}' % (finish_reason, self._usage)
        usage = b'],"usage":%b}' % msgspec.json.encode(self._reply.usage)
        told = [self._envelope + usage] if self._reply.usage_event and self._reply.usage else []
        return [self._envelope + finish, *told, b"[DONE]"]

    def _in_one(self) -> bytes:
        """The whole stream, made in one go: where nothing comes between its events, that is a tenth of the work."""
        deltas = (b'{"role":"assistant","content":""}', *self._reply.said.deltas)
        between = self._after + b"\n\ndata: " + self._before
        pieces = b"data: " + self._before + between.join(deltas) + self._after + b"\n\n"
        return self.head + to_chunk(pieces + b"".join(map(to_event, self._last_data()))) + LAST_CHUNK


def _to_stamp() -> bytes:
    return b'{"content":"%017d "}' % monotonic_ns()
