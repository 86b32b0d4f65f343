"""Listeners to streams, with as little as can be: raw bytes in, what was heard and how late out.

They know the spellings of streaming_chat (server-sent events), of ai_chat's socket, and of the model itself. The model
stamps each piece with the moment at which it was written; on one machine all clocks are the same.
"""

import asyncio
import re
from abc import abstractmethod
from array import array
from time import monotonic_ns
from typing import Any, cast

import msgspec

_STAMP = re.compile(rb"(\d{17}) ")
_TEXT = 0x1
_PING = 0x9
_CLOSE = 0x8
# A mask is asked for, not that it hides anything: with one of zeros the payload stays as it is.
_MASKED = 0x80
_MASK = bytes(4)


class Broken(Exception):
    """A stream did not go as it should."""


class Hearing(asyncio.Protocol):
    """One connection that listens. Make it with `connect`, then `say` what it has to say first.

    `started` is done when the reply has begun, `ended` when it was heard to its end. Pieces that were written before
    `since` waited for this listener to come; they count, how late they were does not.
    """

    def __init__(self, late: "array[int]") -> None:
        self.bytes = 0
        self.text_bytes = 0
        self._late = late
        self._rest = b""
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self.await_next()

    def await_next(self) -> None:
        """Another reply is to be heard."""
        self.pieces = 0
        self.since = monotonic_ns()
        self.first_at = 0
        self.started: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def say(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports fit asyncio's by their methods alone.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._break(f"closed by the other side: {error}")

    def data_received(self, data: bytes) -> None:
        now = monotonic_ns()
        self.bytes += len(data)
        self._rest = self._read(self._rest + data if self._rest else data, now)

    @abstractmethod
    def _read(self, data: bytes, now: int) -> bytes:
        """What is left over: the beginning of something whose end has not come."""

    def _has_started(self) -> None:
        if not self.started.done():
            self.started.set_result(None)

    def _has_ended(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _break(self, why: str) -> None:
        for future in (self.started, self.ended):
            if not future.done():
                future.set_exception(Broken(why))
                # Somebody may have left without looking.
                future.exception()

    def _hear(self, data: bytes, now: int) -> None:
        stamps = _STAMP.findall(data)
        if stamps and not self.pieces:
            self.first_at = now
        self.pieces += len(stamps)
        for stamp in stamps:
            written = int(stamp)
            if written > self.since:
                self._late.append(now - written)


class Events(Hearing):
    """streaming_chat's events, each in a part of its own of an answer in parts."""

    def _read(self, data: bytes, now: int) -> bytes:
        *events, rest = data.split(b"\n\n")
        for event in events:
            if b'"type": "chunk"' in event:
                self._hear(event, now)
            elif b'"type": "start"' in event:
                self._check_status(event)
                self._has_started()
            elif b'"type": "end"' in event:
                said: str = msgspec.json.decode(event.partition(b"data: ")[2])["complete_response"]
                self.text_bytes += len(said.encode())
                self._has_ended()
            elif b'"type": "error"' in event:
                self._break(event.decode(errors="replace"))
        if rest.startswith(b"HTTP/1.1 ") and b"\r\n\r\n" in rest:
            self._check_status(rest)
        return rest

    def _check_status(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 ") and data[9:12] != b"200":
            self._break(data.decode(errors="replace"))


class Completion(Hearing):
    """The model's own stream."""

    def _read(self, data: bytes, now: int) -> bytes:
        *events, rest = data.split(b"\n\n")
        self._has_started()
        for event in events:
            self._hear(event, now)
            if b"[DONE]" in event:
                self._has_ended()
        return rest


class Frames(Hearing):
    """ai_chat's socket. `opened` is done when it is."""

    def __init__(self, late: "array[int]") -> None:
        super().__init__(late)
        self.opened: asyncio.Future[None] = self._loop.create_future()

    def say_text(self, text: bytes) -> None:
        self.say(_to_frame(_TEXT, text))

    def _break(self, why: str) -> None:
        super()._break(why)
        if not self.opened.done():
            self.opened.set_exception(Broken(why))

    def _read(self, data: bytes, now: int) -> bytes:
        if not self.opened.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                return head
            if head[9:12] != b"101":
                self._break(head.decode(errors="replace"))
                return b""
            self.opened.set_result(None)
        return self._read_frames(data, now)

    def _read_frames(self, data: bytes, now: int) -> bytes:
        start, size = 0, len(data)
        while size - start >= 2:
            length, head = data[start + 1], 2
            if length >= 126:
                head = 4 if length == 126 else 10
                length = int.from_bytes(data[start + 2 : start + head], "big")
            end = start + head + length
            if size < start + head or size < end:
                break
            self._read_frame(data[start] & 0xF, data[start + head : end], now)
            start = end
        return data[start:]

    def _read_frame(self, kind: int, payload: bytes, now: int) -> None:
        if kind == _PING:
            self.say(_to_frame(0xA, payload))
        elif kind == _CLOSE:
            self._break(f"closed with {int.from_bytes(payload[:2], 'big')}")
        elif payload.startswith(b'{"type":"ai_message_chunk"'):
            # What comes after it may repeat all of the reply.
            self._hear(payload.partition(b'"message_id"')[0], now)
        elif payload.startswith(b'{"type":"ai_typing"'):
            self._has_started()
        elif payload.startswith(b'{"type":"ai_message_complete"'):
            message: dict[str, Any] = msgspec.json.decode(payload)["message"]
            self.text_bytes += len(message["content"].encode())
        elif payload.startswith(b'{"type":"ai_typing_stop"'):
            if b'"reason":"complete"' in payload:
                self._has_ended()
            else:
                self._break(payload.decode())
        elif payload.startswith(b'{"type":"error"'):
            self._break(payload.decode())


def to_get(path: str, token: str | None) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{_authorization(token)}\r\n".encode()


def to_handshake(path: str, token: str | None) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{_authorization(token)}"
        "upgrade: websocket\r\nconnection: upgrade\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


def _authorization(token: str | None) -> str:
    return f"authorization: Bearer {token}\r\n" if token else ""


def _to_frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([_MASKED | size]) if size < 126 else bytes([_MASKED | 126]) + size.to_bytes(2, "big")
    return bytes([0x80 | kind]) + length + _MASK + payload
