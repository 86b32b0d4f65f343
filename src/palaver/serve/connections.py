"""uvicorn's connections without what a stranger could make of them: memory, silence, and lines in the log.

uvicorn waits for the rest of a request, and for somebody to read an answer, for ever; it keeps any number of requests
that come at once, and refuses one that it cannot read in the middle of the answer to another. It reads a head of any
length, leaves a handshake unanswered that websockets refuses to read, answers pings of a
client that reads nothing into memory, and holds such a client's connection after it has given it up.
"""

from asyncio import Task, TimerHandle, Transport
from typing import Any, cast

from starlette.types import Scope
from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from palaver.guards import GUARDS
from palaver.serve.door import Door, read_head
from palaver.serve.streams import CLOSE, Cycle
from palaver.watching.numbers import REFUSED
from palaver.watching.request_id import sent_id, to_request_id

# A request's first line and its headers, beyond what comes in one read. Browsers send a few KiB.
MOST_HEAD_BYTES = 65_536

# An extension of ASGI: sends a text at once where nothing has to be waited for. A task for each piece would cost more
# than all else that is done for it here.
AT_ONCE = "palaver.at_once"

# In the scope of a request that comes while it is full, and has passed no door.
FULL = "palaver.full"

# The last frame of its message, with text in it.
TEXT_FRAME = 0x81

# What the app tells browsers with each of its answers, for those that it never hears of.
_GUARDS = {name.decode(): value.decode() for name, value in GUARDS}
_GUARD_LINES = "".join(f"{name}: {value}\r\n" for name, value in _GUARDS.items())

INVALID = (400, "Bad Request")
TOO_LARGE = (431, "Request Header Fields Too Large")
TOO_SLOW = (408, "Request Timeout")
TOO_MANY = (503, "Service Unavailable")

# A body that comes no faster than this is one to hold a connection with.
LEAST_BYTES_A_SECOND = 500

# Chunks have a line each. One for each byte of a body is five times that; what is more is no body.
MOST_BESIDE_A_BYTE = 8

# What somebody came to ask follows at once. Browsers open connections besides, in case they should want one.
NEWCOMER_SECONDS = 2.0

# Proxies send one request after the other has its answer. Each that waits costs some kilobytes.
MOST_PIPELINED = 32


class NotTaken(Exception):
    """Raised into the parser, which passes it on as a failure of its own: what comes is refused as if unreadable."""


class HttpConnection(HttpToolsProtocol):
    # How many seconds a client may let the server wait; none: any number. And how many may be connected.
    patience: float | None = None
    most_connections: int | None = None
    door: Door | None = None

    _in_head = False
    _head_bytes = 0
    # The head of a request is whole, and the rest of it still comes. Its headers tell what the client calls it.
    _head_is_whole = False
    # The last request that was begun. The one whose body is still to come, what has come of that, and since when it,
    # or a head, is waited for.
    _begun: RequestResponseCycle | None = None
    _open_cycle: RequestResponseCycle | None = None
    _body_bytes = 0
    # What came while a body did, that itself included.
    _beyond_bytes = 0
    _awaited_since: float | None = None
    # How much is to go out, and since when none of it was taken.
    _unread = 0
    _unread_since: float | None = None
    # What cannot be read is refused once all that came before it has its answers.
    _refusal: tuple[int, str, str] | None = None
    # The answer to a request that the door has turned away, until it has gone out: status, lines of headers, body. How
    # much of the request is still to come, and whether it is the last one. And all who wait for such an answer, until
    # the end of this round of the loop.
    _farewell: tuple[int, bytes, bytes] | None = None
    _missing_bytes = 0
    _is_last = False
    leaving: "list[HttpConnection]"
    # Whether any request was begun, or turned away.
    _has_asked = False
    # Whether the door has let in the request that is read next.
    _is_let_in = False
    # Since when it has said nothing more after an answer.
    _idle_since: float | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # (as uvicorn has it)
        super().connection_made(transport)
        self._awaited_since = self.loop.time()
        if self.most_connections is not None and len(self.connections) > self.most_connections:
            REFUSED.of["connections"].add()
            self._refuse(*TOO_MANY)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # It may come behind another one that has been answered in between.
        self._idle_since = None
        self._in_head, self._head_bytes, self._body_bytes = True, -1, 0
        self._head_is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            # Behind a body. It would become a header of the request, which is carried out already.
            raise NotTaken
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._beyond_bytes, self._head_is_whole = False, 0, True
        if not self._is_plain() or self.transport.is_closing():
            raise NotTaken
        if self.door is not None and self.door.is_busy and not self._is_let_in:
            cast(Scope, self.scope)[FULL] = True
        self._is_let_in = False
        before = self.cycle
        super().on_headers_complete()
        self._open_cycle = self.cycle if self.cycle is not before else None
        if len(self.pipeline) > MOST_PIPELINED:
            raise NotTaken

    def _is_plain(self) -> bool:
        """Whether nobody on the way can have read the head otherwise: RFC 9112, 3.2 and 6.1. The parser looks at all
        else."""
        names = [name for name, _ in self.headers]
        match self.parser.get_http_version():
            case "1.1":
                return names.count(b"host") == 1
            case "1.0":
                return names.count(b"host") <= 1 and b"transfer-encoding" not in names
            case _:
                return False

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._open_cycle = self._awaited_since = None
        self._head_is_whole = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._idle_since = None
        if self._farewell is not None:
            data = self._hear_out(data)
        elif self.door is not None and self.door.is_busy and self._is_between_requests():
            data = self._ask_door(self.door, data)
        if data:
            self._read(data)
        if self._awaited_since is None and self._is_awaiting():
            self._awaited_since = self.loop.time()

    def _is_between_requests(self) -> bool:
        """Whether what comes now begins a request, whose answer can go out at once."""
        return not (self._in_head or self._is_in_body() or self._is_answering() or self.flow.write_paused)

    def _ask_door(self, door: Door, data: bytes) -> bytes:
        """What is left of it for the parser: all, unless the door turns it away."""
        asked = read_head(data)
        if asked is None:
            return data
        self._farewell = door.turn_away(asked.method, self.root_path + asked.path, asked.headers, asked.body_bytes)
        if self._farewell is None:
            self._is_let_in = True
            return data
        self._has_asked, self._is_last = True, asked.is_last
        self._missing_bytes, self._body_bytes = asked.body_bytes, 0
        self.headers, self._head_is_whole = list(asked.headers.items()), True
        return self._hear_out(data[asked.head_bytes :])

    def _hear_out(self, data: bytes) -> bytes:
        """Takes the rest of a request that was turned away. What is left of `data` behind that."""
        came = min(self._missing_bytes, len(data))
        self._missing_bytes -= came
        self._body_bytes += came
        if self._missing_bytes > 0:
            return b""
        self._awaited_since = None
        if len(data) > came:
            # What is behind it is answered after it.
            self._see_off()
            return data[came:]
        # Whoever reads on this machine wakes up for the first of them, and is awake for the others.
        if not self.leaving:
            self.loop.call_soon(self._see_all_off)
        self.leaving.append(self)
        return b""

    def _see_all_off(self) -> None:
        leaving = self.leaving.copy()
        self.leaving.clear()
        for connection in leaving:
            if connection._missing_bytes == 0:
                connection._see_off()

    def _see_off(self) -> None:
        """Answers who was turned away."""
        if self._farewell is None or self.transport.is_closing():
            return
        status, lines, body = self._farewell
        self._farewell = None
        self._head_is_whole = False
        own = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        is_last = CLOSE in self.server_state.default_headers
        if self._is_last and not is_last:
            own.append(b"connection: close\r\n")
        self.transport.write(b"".join((STATUS_LINE[status], *own, lines, b"\r\n", body)))
        if self._is_last or is_last:
            self.transport.close()
        self.on_response_complete()

    def shutdown(self) -> None:
        self._see_off()
        super().shutdown()

    def _read(self, data: bytes) -> None:
        in_body = self._is_in_body()
        super().data_received(data)
        if in_body and self._is_in_body():
            self._beyond_bytes += len(data)
            if self._beyond_bytes > MOST_HEAD_BYTES + MOST_BESIDE_A_BYTE * self._body_bytes:
                self._refuse(*TOO_LARGE)
        if self._in_head:
            # Where it began, something else may have come before it in the same read.
            self._head_bytes = 0 if self._head_bytes < 0 else self._head_bytes + len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(*TOO_LARGE)

    def _unsupported_upgrade_warning(self) -> None:
        # What came behind it in the same read is lost in the parser: nobody is to wait for an answer to that.
        self.cycle.keep_alive = False

    def handle_websocket_upgrade(self) -> None:
        if self._is_answering():
            # It would take over a connection on which an answer is under way.
            self._head_is_whole = True
            self._refuse(*INVALID)
        else:
            super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        # As uvicorn has it, but for its timer: `look` finds who says nothing more.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()
        if self._refusal is not None and not self._is_answering():
            self._send_refusal(*self._refusal)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (ours has the shape of all our answers)
        self._refuse(*INVALID)

    def is_newcomer(self, now: float) -> bool:
        """Whether it was let in only just now, and what it came to ask may still be on its way."""
        since = self._awaited_since
        return not self._has_asked and since is not None and now - since < NEWCOMER_SECONDS

    def look(self, now: float) -> None:
        """Shows out whoever lets the server wait for too long. Called about once a second: a timer for each request
        would cost more than all that is looked at here."""
        if self.patience is None:
            return
        if self._is_overdue(now, self.patience) and not self.transport.is_closing():
            self._refuse_slow()
        if self._is_unread(now, self.patience):
            self.transport.abort()
        if self._idle_since is not None and now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()

    def _refuse_slow(self) -> None:
        if self._in_head or self._is_in_body() or not self._has_asked:
            self._refuse(*TOO_SLOW)
        else:
            # It has sent all that it began, and would take this for the answer to what it is just sending.
            self.transport.close()

    def _is_in_body(self) -> bool:
        return self._open_cycle is not None or self._farewell is not None

    def _is_overdue(self, now: float, patience: float) -> bool:
        if self._awaited_since is None:
            return False
        if self.flow.read_paused:
            # It is the server that does not read.
            self._awaited_since = now
        return now - self._awaited_since > patience + self._body_bytes / LEAST_BYTES_A_SECOND

    def _is_unread(self, now: float, patience: float) -> bool:
        before, self._unread = self._unread, self.transport.get_write_buffer_size()
        if self._unread == 0 or self._unread < before or self._unread_since is None:
            self._unread_since = now
        return now - self._unread_since > patience

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def _is_awaiting(self) -> bool:
        """Whether it is the client's turn to send something."""
        return self._in_head or self._open_cycle is not None or not self._is_answering()

    def _is_answering(self) -> bool:
        """Whether a request has no whole answer yet."""
        return bool(self.pipeline) or (self._begun is not None and not self._begun.response_complete)

    def _refuse(self, status: int, text: str) -> None:
        if self.transport.is_closing():
            return
        self._in_head, self._awaited_since = False, None
        request_id = to_request_id(sent_id(self.headers) if self._head_is_whole else "")
        broken, self._open_cycle = self._open_cycle, None
        if broken is not None and not self._give_up(broken):
            self.transport.close()
        elif self._is_answering():
            # Before another's answer, or in the middle of it, this would be taken for that.
            self._refusal = (status, text, request_id)
        else:
            self._send_refusal(status, text, request_id)

    def _give_up(self, broken: RequestResponseCycle) -> bool:
        """Does nothing more for a request that does not come whole. Whether that can still be its answer."""
        if self.pipeline and self.pipeline[0][0] is broken:
            self.pipeline.popleft()
            return True
        can_be_told = not broken.response_started
        broken.disconnected = broken.response_complete = True
        broken.message_event.set()
        return can_be_told

    def _send_refusal(self, status: int, text: str, request_id: str) -> None:
        body = f'{{"detail":"{text}"}}'
        head = (
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            f"{_GUARD_LINES}connection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body.encode())
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # uvicorn has made it, and asks nobody of which class.
        cycle.__class__ = Cycle
        self._begun, self._has_asked = cycle, True
        super()._start_asgi_task(cycle, app)

    def _should_upgrade(self) -> bool:
        # A WebSocket begins with HTTP/1.1: RFC 6455, 4.2.1.
        return self.parser.get_http_version() != "1.0" and super()._should_upgrade()


def connections_of(seconds: float, most_connections: int | None, door: Door | None = None) -> type[HttpConnection]:
    """Connections of a server that waits so long for its clients, has no more than so many at once, and whose requests
    pass `door` before anything is made for them."""

    class Connection(HttpConnection):
        patience = seconds

    Connection.most_connections = most_connections
    Connection.door = door
    Connection.leaving = []
    return Connection


class Handshake(ServerProtocol):
    def accept(self, request: Request) -> Response:
        response = super().accept(request)
        sent = request.headers.get_all("X-Request-Id")
        if sent and response.status_code != 101:
            del response.headers["X-Request-Id"]
            response.headers["X-Request-Id"] = to_request_id(sent[-1])
        return response

    def reject(self, status: StatusLike, text: str) -> Response:
        response = super().reject(status, text)
        response.headers["X-Request-Id"] = to_request_id("")
        response.headers.update(_GUARDS)
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
