"""What every WebSocket of ours shares: the handshake, JSON frames in both directions, and how it is closed.

One task reads, and lives as long as the socket. What can be sent without waiting is sent at once; where the client does
not read, or the store has to be asked what is new, a second task goes on that ends when all is sent. The reader waits
for it before it reads on, so that a client which does not read its answers is not read either.
"""

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import msgspec
from starlette.types import Receive, Send

from palaver.api.call import Call, MalformedBody, parse_json
from palaver.api.fields import Invalid
from palaver.api.language import text
from palaver.api.limited import limit_words, whole_seconds
from palaver.api.refusals import COME_BACK_SECONDS, cause_of, count_refused, tell_refused
from palaver.api.who import guest_cookie, identify_socket
from palaver.chat.accounts import Caller, WrongCredentials
from palaver.chat.errors import (
    BotUnavailable,
    Busy,
    ChatError,
    Conflict,
    Draining,
    Ended,
    Forbidden,
    NotFound,
    Overloaded,
    RateLimited,
    StoreUnavailable,
)
from palaver.chat.user import User

log = logging.getLogger("palaver.socket")

MOST_BYTES = 64 * 1024

# Of what a client sent, in an error.
MOST_ECHOED = 100

UNAUTHENTICATED = 4001
NOT_FOUND = 4004
TOO_MANY = 4029
TOO_LARGE = 1009
RESTARTS = 1012
INTERNAL = 4500

# What a server may offer in ASGI's `extensions`: sends a text now, or says that this has to be waited for.
AT_ONCE = "palaver.at_once"

Frames = list[str]

CODES: dict[type[ChatError], str] = {
    NotFound: "not_found",
    Conflict: "conflict",
    Ended: "ended",
    Forbidden: "invalid",
    Busy: "busy",
    RateLimited: "rate_limited",
    # The contract has no word of its own for it, and what to do is the same.
    Overloaded: "rate_limited",
    BotUnavailable: "bot_unavailable",
}

encode = msgspec.json.Encoder().encode


class JsonSocket(ABC):
    """A WebSocket while it is open. Subclasses say what they hear (`handle`) and what they have to tell (`take`)."""

    commands: ClassVar[frozenset[str]]
    """The types of messages that `handle` knows."""

    def __init__(self, call: Call, receive: Receive, send: Send) -> None:
        self.call = call
        self.over = False
        self._receive = receive
        self._send = send
        self._send_now: Callable[[str], bool] = _find_send_now(call)
        self._out: Frames = []
        # Lists, here as in a room: an empty deque is fourteen times as large, and most sockets are idle.
        self._under_way: Frames = []
        self._coming: Coroutine[Any, Any, Frames] | None = None
        self._woken = False
        self._will_tell = False
        self._shut = False
        self._pump: asyncio.Task[None] | None = None
        self._closing: int | None = None

    @abstractmethod
    async def open(self) -> None:
        """Comes in, and says the first words. Raises `NotFound`."""

    @abstractmethod
    async def handle(self, kind: str, payload: dict[str, Any]) -> None:
        """Does what a message of a known type asks for. Raises `ChatError` or `Invalid`."""

    @abstractmethod
    def take(self) -> Frames | Coroutine[Any, Any, Frames]:
        """The frames that are to be sent now, none where nothing is new; or what gives them, where that takes time."""

    @abstractmethod
    def leave(self) -> None:
        """Goes out, whether it ever came in or not."""

    # From the handshake to the end

    async def run(self) -> None:
        """From the handshake until the client leaves or is shut out. Raises `CrossSite`."""
        caller = await self.shake_hands()
        if caller is None:
            return
        try:
            with self.call.site.stays.staying(caller, self._shut_out):
                await self._open()
                while not self._is_closing():
                    message = await self._receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    if self._is_closing():
                        # Whoever was shut out meanwhile is not heard any more either.
                        break
                    await self._hear(message)
                    await self._sent()
                # Its last frames, and then the other side's word that it has closed too.
                await self._sent()
        except StoreUnavailable as error:
            log_outage(self.call, error)
            self._give_up()
            await self._sent()
        except Exception:
            log.exception("request %s: %s failed", self.call.request_id, self.call.route)
            self._give_up()
            await self._sent()
        finally:
            self.over = True
            self.leave()

    async def shake_hands(self) -> Caller | None:
        """Who is there; None where the socket was closed again at once."""
        await self._receive()
        return await accept(self.call, self._send)

    async def _open(self) -> None:
        try:
            await self.open()
        except NotFound:
            self.say_gone()
        await self._sent()

    async def _hear(self, message: Any) -> None:
        said: str | None = message.get("text")
        if said is None:
            self._bad_json(len(message.get("bytes") or b""))
            return
        size = len(said) if said.isascii() else len(said.encode())
        if size > MOST_BYTES:
            self._bad_json(size)
            return
        try:
            payload = parse_json(said)
        except MalformedBody:
            self._bad_json(size)
            return
        kind = payload.get("type")
        if not isinstance(kind, str) or kind not in self.commands:
            self.error("unknown_type", f"Unknown message type: {_shown(kind)}")
            return
        await self._carry_out(kind, payload)

    async def _carry_out(self, kind: str, payload: dict[str, Any]) -> None:
        more = echo(payload)
        try:
            await self.handle(kind, payload)
        except Invalid as invalid:
            problem = invalid.problems[0]
            words = f"{problem.name}: {text(problem.reason, self.call.language, **problem.values)}"
            self.error("invalid", words, **more)
        except Draining:
            self.close(RESTARTS)
        except ChatError as error:
            self._refuse(error, more)

    def _refuse(self, error: ChatError, more: dict[str, Any]) -> None:
        for kind in type(error).__mro__:
            if kind in CODES:
                words = text(error.code, self.call.language)
                if isinstance(error, RateLimited):
                    count_refused(error)
                    more = {**more, "retry_after": whole_seconds(error.retry_after)}
                    words = limit_words(error, self.call.language)
                elif isinstance(error, Overloaded):
                    more = {**more, "retry_after": COME_BACK_SECONDS}
                self.error(CODES[kind], words, **more)
                return
        log.warning("request %s: %s: %s", self.call.request_id, self.call.route, cause_of(error))
        self.error("internal", text(error.code, self.call.language), **more)

    def _bad_json(self, size: int) -> None:
        if size > MOST_BYTES:
            self.error("too_large", text("too_large", self.call.language))
            self.close(TOO_LARGE)
        else:
            self.error("bad_json", "Invalid JSON format")

    # What goes out

    def say(self, frame: str) -> None:
        """To this one alone, before whatever `take` has."""
        self._out.append(frame)
        self.wake()

    def error(self, code: str, message: str, **more: Any) -> None:
        self.say(encode({"type": "error", "message": message, "code": code, **more}).decode())

    def say_gone(self) -> None:
        self.error("not_found", text("not_found", self.call.language))
        self.close(NOT_FOUND)

    def close(self, code: int) -> None:
        """Once what is to be said has been sent. The first code stands."""
        if self._closing is None:
            self._closing = code
            self.wake()

    def _is_closing(self) -> bool:
        return self._closing is not None

    def _shut_out(self) -> None:
        # Not a byte more than this, whatever is under way.
        self._shut = True
        self._out.clear()
        self._under_way.clear()
        self.error("unauthenticated", text("unauthenticated", self.call.language))
        self.close(UNAUTHENTICATED)

    def _give_up(self) -> None:
        """Whoever is told nothing from here on has to know, and to come back."""
        self.error("internal", text("internal", self.call.language))
        self.close(INTERNAL)

    def wake(self) -> None:
        self._woken = True
        if self._pump is None and not self._will_tell:
            self._will_tell = True
            # Not here: whoever wakes is at work on something else.
            asyncio.get_running_loop().call_soon(self._tell)

    async def _sent(self) -> None:
        """Returns when what there is has been sent."""
        if self._will_tell:
            self._tell()
        while self._pump is not None:
            await asyncio.wait([self._pump])

    def _tell(self) -> None:
        self._will_tell = False
        if self._pump is None and not self.over and not self._told_at_once():
            self._pump = asyncio.create_task(self._tell_all())

    def _told_at_once(self) -> bool:
        """False where something is left that has to be waited for."""
        while self._gather():
            if not self._send_now(self._under_way[0]):
                return False
            del self._under_way[0]
        return self._coming is None and self._closing is None

    async def _tell_all(self) -> None:
        try:
            while self._gather() or self._coming is not None:
                if self._under_way:
                    await self._send({"type": "websocket.send", "text": self._under_way.pop(0)})
                else:
                    await self._await_coming()
            if self._closing is not None and not self.over:
                self.over = True
                await self._send({"type": "websocket.close", "code": self._closing})
        except OSError:
            # The client went away while it was spoken to.
            self.over = True
        finally:
            self._pump = None
            if self._coming is not None:
                # Nobody is there any more who would wait for it.
                self._coming.close()
                self._coming = None

    def _gather(self) -> bool:
        """Whether there are frames under way, by now. Where they take time, `_coming` is what gives them."""
        while not self._under_way:
            if self._out:
                self._under_way, self._out = self._out, []
            elif self._woken and self._coming is None and self._closing is None and not self.over:
                # What comes while it is taken wakes anew, and what is said meanwhile comes after it.
                self._woken = False
                self._take()
            else:
                return False
        return True

    def _take(self) -> None:
        try:
            told = self.take()
        except Exception:
            log.exception("request %s: %s cannot be told", self.call.request_id, self.call.route)
            self._give_up()
            return
        if isinstance(told, list):
            self._under_way += told
        else:
            self._coming = told

    async def _await_coming(self) -> None:
        coming, self._coming = self._coming, None
        assert coming is not None, "asked for only where there is something to wait for"
        try:
            told = await coming
        except StoreUnavailable as error:
            log_outage(self.call, error)
            self._give_up()
        except Exception:
            log.exception("request %s: %s cannot be told", self.call.request_id, self.call.route)
            self._give_up()
        else:
            if not self._shut:
                self._under_way += told


def _find_send_now(call: Call) -> Callable[[str], bool]:
    extension = call.scope.get("extensions", {}).get(AT_ONCE)
    return _not_now if extension is None else extension["send_text"]


def _not_now(_text: str) -> bool:
    return False


def log_outage(call: Call, error: StoreUnavailable) -> None:
    log.warning("request %s: %s: %s", call.request_id, call.route, cause_of(error))


def echo(payload: dict[str, Any]) -> dict[str, str]:
    """The client's own id of what it sent, so that it knows which of its messages an error is about."""
    sent_id = payload.get("client_message_id")
    if not isinstance(sent_id, str) or len(sent_id) > MOST_ECHOED or _encodable(sent_id) != sent_id:
        return {}
    return {"client_message_id": sent_id}


def _shown(kind: object) -> str:
    match kind:
        case str():
            return _encodable(kind[:MOST_ECHOED])
        case list() | dict():
            # However deep it is.
            return "[...]" if isinstance(kind, list) else "{...}"
        case _:
            return json.dumps(kind)[:MOST_ECHOED]


def _encodable(said: str) -> str:
    """Half a character, which JSON can spell, cannot be sent."""
    return said.encode("utf-8", "replace").decode()


async def accept(call: Call, send: Send) -> Caller | None:
    """Whoever may come in; None where the socket was closed again at once. Raises `CrossSite`."""
    headers = [(b"x-request-id", call.request_id.encode())]
    try:
        identity = await identify_socket(call)
    except WrongCredentials as error:
        tell_refused(error, 401, call)
        await _turn_away(send, headers, text("unauthenticated", call.language), "unauthenticated", UNAUTHENTICATED)
        return None
    except StoreUnavailable as error:
        log_outage(call, error)
        await _turn_away(send, headers, text("internal", call.language), "internal", INTERNAL)
        return None
    if identity.new_guest_cookie is not None:
        headers.append(guest_cookie(call, identity.new_guest_cookie))
    call.caller = identity.caller
    call.unknown = identity.new_guest_cookie is not None
    if not await may_stay(call, send, headers, identity.caller.user):
        return None
    await send({"type": "websocket.accept", "headers": headers})
    return identity.caller


async def may_stay(call: Call, send: Send, headers: list[tuple[bytes, bytes]], user: User | None) -> bool:
    """Whether the limits allow one more socket, which then counts until the call is over; else it is turned away."""
    try:
        granted = await call.site.limits.allow_socket(user, call.address(), known=not call.unknown)
    except RateLimited as error:
        words, seconds = limit_words(error, call.language), whole_seconds(error.retry_after)
        await _turn_away(send, headers, words, "rate_limited", TOO_MANY, retry_after=seconds)
        return False
    call.granted = granted if granted.limits else None
    return True


async def _turn_away(
    send: Send, headers: list[tuple[bytes, bytes]], words: str, reason: str, code: int, **more: int
) -> None:
    """Browsers tell nobody of a handshake that is refused: it is accepted, and said why it is closed."""
    frame = encode({"type": "error", "message": words, "code": reason, **more}).decode()
    await send({"type": "websocket.accept", "headers": headers})
    await send({"type": "websocket.send", "text": frame})
    await send({"type": "websocket.close", "code": code})
