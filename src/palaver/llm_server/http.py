"""HTTP/1.1 connections, cheap enough that a benchmark measures its client and not this server."""

import asyncio
import socket
import struct
from collections import deque
from typing import Protocol, assert_never, cast

import httptools
import msgspec

from palaver.llm_server.record import Entry, Moment, Outcome, moment
from palaver.llm_server.responses import to_bad_request
from palaver.llm_server.steps import End, Steps, Until, Wait, Write

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Request(msgspec.Struct, frozen=True):
    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    keep_alive: bool
    arrived_at: Moment


class Answer(msgspec.Struct, frozen=True):
    steps: Steps
    entry: Entry


class Answerer(Protocol):
    """Who says what a connection answers."""

    def answer(self, request: Request) -> Answer: ...

    def tell(self) -> None:
        """An entry that was given out with an answer has changed."""


class Connection(asyncio.Protocol):
    """Reads requests and plays their answers, one after the other."""

    def __init__(self, answerer: Answerer, open_connections: set["Connection"]) -> None:
        self._answerer = answerer
        self._open_connections = open_connections
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._steps: Steps | None = None
        self._entry: Entry | None = None
        self._keep_alive = True
        self._clock = 0.0
        self._timer: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._open_connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._open_connections.discard(self)
        self._requests.clear()
        if self._timer:
            self._timer.cancel()
        entry, self._entry, self._steps = self._entry, None, None
        if entry:
            entry.peer_closed_at = moment()
            entry.end("closed_by_peer")
            self._answerer.tell()

    def drop(self) -> None:
        """Close at once, from this side."""
        self._entry = None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._transport.write(to_bad_request(f"This is no HTTP/1.1 request: {error}"))
            self._transport.close()
        self._answer_next()

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        request = Request(
            method=self._parser.get_method().decode(),
            target=self._target.decode("latin-1"),
            headers=self._headers,
            body=b"".join(self._body),
            keep_alive=self._parser.should_keep_alive(),
            arrived_at=moment(),
        )
        self._requests.append(request)

    def _answer_next(self) -> None:
        while self._requests and self._steps is None and not self._transport.is_closing():
            request = self._requests.popleft()
            answer = self._answerer.answer(request)
            self._steps, self._entry = answer.steps, answer.entry
            self._keep_alive = request.keep_alive
            self._clock = self._loop.time()
            self._play(answer.steps, answer.entry)

    def _play(self, steps: Steps, entry: Entry) -> None:
        written: list[bytes] = []
        for step in steps:
            if not isinstance(step, Write):
                self._send(written, entry)
                self._pause(step, entry)
                return
            written.append(step.data)
            entry.pieces_sent += step.pieces
        self._send(written, entry)
        self._finish(entry, "complete")

    def _send(self, written: list[bytes], entry: Entry) -> None:
        if not written:
            return
        if entry.first_byte_at is None:
            entry.first_byte_at = moment()
        self._transport.write(b"".join(written))

    def _pause(self, step: Wait | Until | End, entry: Entry) -> None:
        match step:
            case Wait(seconds=0):
                self._timer = self._loop.call_soon(self._resume)
            case Wait():
                self._clock += step.seconds
                self._timer = self._loop.call_at(self._clock, self._resume)
            case Until():
                step.future.add_done_callback(lambda _: self._go_on())
            case End.FAULTY:
                self._finish(entry, "fault")
            case End.HANG:
                entry.end("fault")
                self._answerer.tell()
            case End.CLOSE:
                self._finish(entry, "fault")
                self._transport.close()
            case End.RESET:
                self._finish(entry, "fault")
                self._reset()
            case _:
                assert_never(step)

    def _resume(self) -> None:
        if self._steps is not None and self._entry is not None:
            self._play(self._steps, self._entry)
            self._answer_next()

    def _go_on(self) -> None:
        # Rests that follow begin only now.
        self._clock = self._loop.time()
        self._resume()

    def _finish(self, entry: Entry, outcome: Outcome) -> None:
        entry.end(outcome)
        self._steps = self._entry = self._timer = None
        if not self._keep_alive:
            self._transport.close()
        self._answerer.tell()

    def _reset(self) -> None:
        opened: socket.socket = self._transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()
