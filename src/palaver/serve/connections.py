"""uvicorn's connections without what a stranger could make of them: memory, silence, and lines in the log.

uvicorn reads a head of any length, leaves a handshake unanswered that websockets refuses to read, answers pings of a
client that reads nothing into memory, and holds such a client's connection after it has given it up.
"""

from asyncio import Task, TimerHandle
from random import getrandbits
from typing import Any, Protocol, cast

from starlette.types import Scope
from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from palaver.serve.streams import Cycle

# A request's first line and its headers, beyond what comes in one read. Browsers send a few KiB.
MOST_HEAD_BYTES = 65_536

# An extension of ASGI: sends a text at once where nothing has to be waited for. A task for each piece would cost more
# than all else that is done for it here.
AT_ONCE = "palaver.at_once"

# In the scope of a request that comes while it is full, and has to be looked at the usual way.
FULL = "palaver.full"

# The last frame of its message, with text in it.
TEXT_FRAME = 0x81

INVALID = (400, "Bad Request")
TOO_LARGE = (431, "Request Header Fields Too Large")


class Door(Protocol):
    """Who knows whether more is asked here than is done, and what is answered then."""

    @property
    def is_full(self) -> bool: ...

    def turn_away(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """The answer to who is refused because it is full; None for who is not."""
        ...


class HttpConnection(HttpToolsProtocol):
    _in_head = False
    _head_bytes = 0
    _refusal: bytes | None = None
    _door: Door | None = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, -1

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._door is not None and self._door.is_full:
            self._refusal = self._turn_away(self._door)
            if self._refusal is None:
                cast(Scope, self.scope)[FULL] = True
        if self._refusal is None:
            super().on_headers_complete()

    def _turn_away(self, door: Door) -> bytes | None:
        if self.parser.get_http_version() != "1.1" or self.parser.should_upgrade() or self.expect_100_continue:
            return None
        if self.flow.write_paused or (self.cycle is not None and not self.cycle.response_complete):
            # It has to wait for the answers before it.
            return None
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"] = self.root_path + self.url.partition(b"?")[0].decode("latin-1")
        refused = door.turn_away(cast(Scope, self.scope))
        if refused is None:
            return None
        status, headers, body = refused
        lines = [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *headers)]
        return b"".join((STATUS_LINE[status], *lines, b"\r\n", body))

    def on_body(self, body: bytes) -> None:
        if self._refusal is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refusal is None:
            super().on_message_complete()
            return
        self.transport.write(self._refusal)
        self._refusal = None
        if not self.parser.should_keep_alive():
            self.transport.close()
        self.on_response_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            # Where it began, something else may have come before it in the same read.
            self._head_bytes = 0 if self._head_bytes < 0 else self._head_bytes + len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(*TOO_LARGE)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (ours has the shape of all our answers)
        self._refuse(*INVALID)

    def _refuse(self, status: int, text: str) -> None:
        self._in_head = False
        body = f'{{"detail":"{text}"}}'
        head = (
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: {_new_request_id()}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body.encode())
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # uvicorn has made it, and asks nobody of which class.
        cycle.__class__ = Cycle
        super()._start_asgi_task(cycle, app)

    def _should_upgrade(self) -> bool:
        # A WebSocket begins with HTTP/1.1: RFC 6455, 4.2.1.
        return self.parser.get_http_version() != "1.0" and super()._should_upgrade()


def behind(door: Door) -> type[HttpConnection]:
    """Connections whose requests pass `door` before anything is made for them."""

    class Guarded(HttpConnection):
        _door = door

    return Guarded


class Handshake(ServerProtocol):
    def reject(self, status: StatusLike, text: str) -> Response:
        response = super().reject(status, text)
        response.headers["X-Request-Id"] = _new_request_id()
        return response


class SocketConnection(WebSocketsSansIOProtocol):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.conn = Handshake(max_size=self.config.ws_max_size, logger=self.logger)
        self._last_call: TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_handshake()

    def _refuse_handshake(self) -> None:
        """websockets cannot read it, and either says so itself or says nothing."""
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        answer = b"".join(self.conn.data_to_send())
        if not answer:
            refusal = self.conn.reject(400, "Failed to open a WebSocket connection: it is no valid request.\n")
            answer = refusal.serialize()
        self.transport.write(answer)
        self.transport.close()

    # Who does not read is not read.

    def pause_writing(self) -> None:
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        # Nobody reads it again, and an idle socket would hold all its headers.
        del self.request
        if self.handshake_initiated and not self.handshake_complete:
            self.scope["extensions"][AT_ONCE] = {"send_text": self.send_text}

    async def send(self, message: ASGISendEvent) -> None:
        text = message.get("text") if message["type"] == "websocket.send" else None
        if text is None or not self.send_text(text):
            await super().send(message)
            if message["type"] == "websocket.accept" and self.handshake_complete:
                # As little as the request's.
                del self.response

    def send_text(self, text: str) -> bool:
        """Sends it now. False where it has to be waited for, or the client is gone: then `send` does, or tells."""
        if not self._is_open_and_read():
            return False
        # One text frame, whole and unmasked. By way of websockets each piece of each reply costs a third more.
        data = text.encode()
        size = len(data)
        if size < 126:
            head = bytes((TEXT_FRAME, size))
        elif size < 65_536:
            head = bytes((TEXT_FRAME, 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((TEXT_FRAME, 127)) + size.to_bytes(8, "big")
        self.transport.write(head + data)
        return True

    def _is_open_and_read(self) -> bool:
        gone = self.close_sent or self.disconnected or self.conn.state is not OPEN or self.transport.is_closing()
        return not gone and self.writable.is_set()

    async def receive(self) -> ASGIReceiveEvent:
        # As uvicorn has it, and not by way of it: an idle socket would hold a coroutine more.
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if self.writable.is_set():
                self.transport.resume_reading()
        return message

    def handle_cont(self, event: Frame) -> None:
        # Of empty pieces there is no end.
        if event.data or event.fin:
            super().handle_cont(event)

    # Who never takes what is left for it would keep its connection for ever.

    def on_task_complete(self, task: Task[None]) -> None:
        super().on_task_complete(task)
        self._let_go()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._give_up()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._give_up()

    def _give_up(self) -> None:
        """uvicorn would call it a fault of the app that it goes on to send, which cannot know yet."""
        self._let_go()
        self.disconnected = True

    def _let_go(self) -> None:
        if self._last_call is None and not self.disconnected:
            self._last_call = self.loop.call_later(2 * self.close_timeout, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._last_call is not None:
            self._last_call.cancel()


def _new_request_id() -> str:
    return f"{getrandbits(64):016x}"
