"""The way in: finds the operation, checks in the order the contracts lay down, calls the handler, spells what it says.

A table of its own rather than a framework's router: exact slashes, 405 with `Allow`, five shapes of errors and one
order of checks on one server, and the same table is what OpenAPI and the tests read (docs/decisions/0003).
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from starlette.types import Message, Receive, Scope, Send

from palaver.api.call import Answer, Call, ClientLeft, MalformedBody, Site, Stream, parse_form, parse_json
from palaver.api.fields import FieldProblem, Invalid
from palaver.api.language import Language, accepted_language, text
from palaver.api.limited import met_headers, standing_headers
from palaver.api.operation import NO_SUCH_PATH, Operation
from palaver.api.refusals import (
    cause_of,
    count_refused,
    error_body,
    find_refusal,
    invalid_body,
    malformed_body,
    retry_after,
    tell_refused,
)
from palaver.api.who import CrossSite, find_caller, guest_cookie, identify
from palaver.chat.accounts import WrongCredentials
from palaver.chat.errors import BotUnavailable, ChatError, NotFound, Overloaded, RateLimited, Stalled, TooLarge
from palaver.chat.errors import Invalid as InvalidValue
from palaver.guards import all_guards, missing
from palaver.watching import spans
from palaver.watching.asking import asked_by
from palaver.watching.lines import REQUEST, REQUEST_OF
from palaver.watching.numbers import REQUEST_SECONDS, REQUESTS, STREAMS, WEBSOCKETS
from palaver.watching.request_id import to_request_id
from palaver.watching.security import asked_in
from palaver.watching.series import Count

log = logging.getLogger("palaver.api")

JSON = b"application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
UNSAFE_BODY_METHODS = ("POST", "PUT", "PATCH")
# The contracts fix these two: what a page on another origin is to know of a limit is in Retry-After and the words.
EXPOSED = b"X-Request-Id, Retry-After"

# In the scope of a request that could not be turned away at the door, where it was full.
FULL = "palaver.full"

# In the words of RFC 9211: nobody was asked for this answer.
GIVEN_AGAIN = (b"cache-status", b"palaver; hit")

encode = msgspec.json.Encoder().encode

Socket = Callable[[Call, Receive, Send], Awaitable[None]]


class TooLong(Exception):
    """The body is over the limit."""


class WrongMediaType(Exception):
    """The body is not JSON."""


class Spelled(Struct, frozen=True):
    """An answer as it goes out: whole, or in `pieces` as they come."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]
    pieces: AsyncIterator[bytes] | None = None


class Refused(NamedTuple):
    """A refusal as it goes out: its headers, a line each, and its body; and where it is counted."""

    status: int
    lines: bytes
    body: bytes
    counted: Count


class Dispatcher:
    """An ASGI app over the operations of all APIs."""

    def __init__(self, site: Site, operations: Iterable[Operation], sockets: Mapping[str, Socket]) -> None:
        self.site = site
        self._routes = Routes(operations)
        self._sockets = [(path, _to_pattern(path), socket) for path, socket in sockets.items()]
        self._guards = all_guards(site.public_url, site.hsts_days)
        self._spelled_refusals: dict[tuple[str, str, str], Refused] = {}

    # No coroutine of its own, which an idle socket would hold, and each piece of a stream pass through.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        if scope["type"] == "http":
            return self._answer(scope, receive, send)
        return self._open_socket(scope, receive, send)

    async def _open_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What is looked at once is not kept here: an idle socket would hold it as long as it is open.
        call = self._to_call(scope)
        socket = self._find_socket(call)
        if socket is None:
            await self._refuse_socket(call, send, 404, {"detail": NO_SUCH_PATH})
            return
        WEBSOCKETS.add()
        try:
            await socket(call, receive, send)
        except CrossSite as error:
            tell_refused(error, 403, call)
            await self._refuse_socket(call, send, 403, {"detail": text("cross_site", call.language)})
        finally:
            WEBSOCKETS.add(-1)
            if call.granted is not None:
                call.granted.release()

    def _find_socket(self, call: Call) -> Socket | None:
        asked = to_path(call.scope)
        for path, pattern, socket in self._sockets:
            found = pattern.fullmatch(asked)
            if found is not None:
                call.route, call.parameters = path, found.groupdict()
                return socket
        return None

    async def _refuse_socket(self, call: Call, send: Send, status: int, body: dict[str, Any]) -> None:
        """At the handshake: the client never has a socket."""
        if "websocket.http.response" not in call.scope.get("extensions", {}):
            await send({"type": "websocket.close"})
            return
        spelled = _plain(status, body, [*self._guards, (b"x-request-id", call.request_id.encode())])
        await send({"type": "websocket.http.response.start", "status": status, "headers": spelled.headers})
        await send({"type": "websocket.http.response.body", "body": spelled.body})

    def _to_call(self, scope: Scope) -> Call:
        headers = dict(scope["headers"])
        request_id = to_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        language = accepted_language(headers.get(b"accept-language", b"").decode("latin-1"), self.site.language)
        return Call(self.site, scope, request_id, language)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        headers = scope["headers"]
        sent_id = language = origin = ""
        for name, value in headers:
            if name == b"x-request-id":
                sent_id = value.decode("latin-1")
            elif name == b"accept-language":
                language = value.decode("latin-1")
            elif name == b"origin":
                origin = value.decode("latin-1")
        request_id = to_request_id(sent_id)
        call = Call(self.site, scope, request_id, accepted_language(language, self.site.language))
        spelled: Spelled | None = None
        try:
            spelled = await self._spell(call, receive, origin)
            # A path that nobody has may come with any method.
            REQUESTS.of["-" if call.route == "-" else scope["method"], call.route, spelled.status].add()
            REQUEST_SECONDS.of[call.api].observe(perf_counter() - began)
            spelled.headers.extend(missing(self._guards, spelled.headers))
            spelled.headers.append((b"x-request-id", request_id.encode()))
            if origin:
                spelled.headers.extend(self._cors(origin))
            with_body = scope["method"] != "HEAD"
            if spelled.pieces is not None and with_body:
                await _send_pieces(receive, send, spelled, spelled.pieces)
            elif spelled.pieces is not None:
                await send({"type": "http.response.start", "status": spelled.status, "headers": spelled.headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await _send(send, spelled, with_body=with_body)
        except (ClientLeft, NotFound):
            # What was being sent may have gone: the connection is closed, so that nobody takes a part for the whole.
            return
        finally:
            if call.span is not None:
                call.span.end(None if spelled is None else spelled.status)
        if call.caller is None:
            log.info(REQUEST, request_id, scope["method"], call.route, spelled.status)
        else:
            log.info(REQUEST_OF, request_id, scope["method"], call.route, spelled.status, call.caller.user.uuid)

    @property
    def is_busy(self) -> bool:
        return self.site.chat.replies.crowd.is_busy

    def turn_away(
        self, method: str, path: str, headers: Mapping[bytes, bytes], body_bytes: int
    ) -> tuple[int, bytes, bytes] | None:
        """The whole answer to who would begin something here while it is full: status, headers' lines and body. None
        for any other request.

        What is offered beyond what can be done must cost next to nothing: no task, no look at who asks, no line in the
        log. It says what `_carry_out` would, in whose order of checks this comes before the caller.
        """
        operations, _ = self._routes.find(path)
        operation = operations.get(method)
        if operation is None or not (operation.starts_turn or operation.to_people):
            return None
        # Who sends too much is told so first.
        if body_bytes > self.site.max_body_bytes or not self.site.chat.replies.crowd.turns_away():
            return None
        language = accepted_language(headers.get(b"accept-language", b"").decode("latin-1"), self.site.language)
        overloaded = self._overloaded(operation, language)
        overloaded.counted.add()
        request_id = to_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        lines = b"%bx-request-id: %b\r\n" % (overloaded.lines, request_id.encode())
        if b"origin" in headers:
            lines += _to_lines(self._cors(headers[b"origin"].decode("latin-1")))
        return overloaded.status, lines, overloaded.body

    def _overloaded(self, operation: Operation, language: Language) -> Refused:
        """It is the same for all who ask the same: spelled once."""
        key = (operation.method, operation.path, language)
        known = self._spelled_refusals.get(key)
        if known is None:
            call = Call(self.site, {"type": "http", "method": operation.method, "headers": []}, "", language)
            spelled = _spell_refusal(Overloaded(), call, operation)
            guards = missing(self._guards, spelled.headers)
            headers = [*spelled.headers, *guards, (b"content-length", str(len(spelled.body)).encode())]
            counted = REQUESTS.of[operation.method, operation.path, spelled.status]
            known = Refused(spelled.status, _to_lines(headers), spelled.body, counted)
            self._spelled_refusals[key] = known
        return known

    async def _spell(self, call: Call, receive: Receive, origin: str) -> Spelled:
        method = call.scope["method"]
        if method == "OPTIONS" and origin and call.header(b"access-control-request-method"):
            return self._preflight(call, origin)
        operations, call.parameters = self._routes.find(to_path(call.scope))
        if not operations:
            return _plain(404, {"detail": NO_SUCH_PATH})
        operation = operations.get("GET" if method == "HEAD" else method)
        if operation is None:
            allowed = sorted(operations) + (["HEAD"] if "GET" in operations else [])
            return _plain(405, {"detail": "Method Not Allowed"}, [(b"allow", ", ".join(allowed).encode())])
        return await self._carry_out(call, operation, receive)

    async def _carry_out(self, call: Call, operation: Operation, receive: Receive) -> Spelled:
        style, language = operation.style, call.language
        call.route, call.api = operation.path, operation.api
        if operation.starts_turn:
            asked_by.set(operation.api)
            if spans.tracing is not None:
                call.span = spans.tracing.request(
                    operation.method, operation.path, call.request_id, call.scope["headers"]
                )
        new_guest: str | None = None
        try:
            body = await self._take_body(call, operation, receive)
            if operation.starts_turn or operation.to_people or operation.until_draining:
                call.chat.replies.check_stays()
                if FULL in call.scope and not operation.until_draining:
                    call.chat.replies.crowd.ask_room()
            if operation.who == "anyone":
                call.caller = await find_caller(call)
            elif operation.who != "open":
                identity = await identify(call, operation.who)
                new_guest = identity.new_guest_cookie
            if not operation.starts_turn and not operation.to_people:
                # Whatever it does to an account is told with it; a turn does nothing of that kind.
                asked_in.set(call.asking())
            if operation.signs_in:
                await self.site.accounts.check_address(call.address())
            call.unknown = new_guest is not None
            if operation.counts_as_turn or operation.to_people:
                call.granted = await self.site.limits.allow_search(call.user, call.counted_as)
            if operation.takes_file:
                call.granted = await self.site.limits.allow_upload(call.user)
            if operation.starts_turn:
                call.granted = await self.site.limits.allow_turn(
                    call.user, call.counted_as, may_wait=not operation.stateless
                )
            answer = await _handle(call, operation, body)
            spelled = _spell_answer(answer, operation)
        except TooLong:
            # The connection stays open: closed on who still sends, it would be reset before the answer is read.
            spelled = _plain(413, error_body(operation, 413, text("too_large", language)))
        except WrongMediaType:
            spelled = _plain(415, error_body(operation, 415, text("media_type", language)))
        except MalformedBody:
            spelled = _plain(*malformed_body(style, language))
        except Invalid as error:
            spelled = _plain(*invalid_body(style, list(error.problems), error.place, language))
        except InvalidValue as error:
            problem = FieldProblem(error.field, error.reason, {})
            place = "query" if operation.body is None and operation.query is not None else "body"
            spelled = _plain(*invalid_body(style, [problem], place, language))
        except ChatError as error:
            spelled = _spell_refusal(error, call, operation)
        except ClientLeft:
            raise
        except Exception:
            # The request's outer edge: the cause is in the log under the request id, and nowhere else.
            log.exception("request %s: %s %s failed", call.request_id, operation.method, operation.path)
            spelled = _plain(500, error_body(operation, 500, text("internal", language)))
        finally:
            if call.granted is not None and not call.granted.claimed:
                call.granted.release()
        if call.granted is not None and call.granted.limits and spelled.status not in (402, 429):
            spelled.headers.extend(standing_headers(call.granted.limits, call.granted.standings))
        if call.given_again:
            spelled.headers.append(GIVEN_AGAIN)
        if new_guest is not None:
            spelled.headers.append(guest_cookie(call, new_guest))
        return spelled

    async def _take_body(self, call: Call, operation: Operation, receive: Receive) -> bytes:
        if not operation.takes_file:
            return await _read_body(call.scope, receive, self.site.max_body_bytes)
        most = call.chat.rules.document_bytes
        if _announces_more(call.scope, most):
            raise TooLarge(most)
        call.receive = receive
        return b""

    def _preflight(self, call: Call, origin: str) -> Spelled:
        if not self._allows(origin):
            return _plain(400, {"detail": "CORS is not allowed for this origin."})
        headers = [
            (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
            (b"access-control-max-age", b"600"),
        ]
        asked = call.header(b"access-control-request-headers")
        if asked:
            headers.append((b"access-control-allow-headers", asked.encode("latin-1")))
        return _plain(200, {}, headers)

    def _allows(self, origin: str) -> bool:
        allowed = self.site.cors_origins
        return "*" in allowed or origin in allowed

    def _cors(self, origin: str) -> list[tuple[bytes, bytes]]:
        if not self._allows(origin):
            return []
        if origin in self.site.cors_origins:
            headers = [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-allow-credentials", b"true"),
                (b"vary", b"Origin"),
            ]
        else:
            # With the wildcard credentials would let any page act as the person who visits it.
            headers = [(b"access-control-allow-origin", b"*")]
        return [*headers, (b"access-control-expose-headers", EXPOSED)]


def to_path(scope: Scope) -> str:
    """The path that is asked for; none where a slash in it is spelled as %2F. That parts nothing (RFC 3986, 2.2), and
    spelled out it would make another path of it, which somebody has."""
    path: str = scope["path"]
    spelled: bytes = scope.get("raw_path") or b""
    return "" if b"%2f" in spelled.lower() else path


def _to_pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


class Routes:
    """Paths to operations: exact ones by a look-up, those with parameters by their pattern."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._exact: dict[str, dict[str, Operation]] = {}
        self._patterns: dict[int, list[tuple[re.Pattern[str], dict[str, Operation]]]] = {}
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            by_path.setdefault(operation.path, {})[operation.method] = operation
        for path, methods in by_path.items():
            if "{" in path:
                pattern = _to_pattern(path)
                self._patterns.setdefault(path.count("/"), []).append((pattern, methods))
            else:
                self._exact[path] = methods

    def find(self, path: str) -> tuple[dict[str, Operation], dict[str, str]]:
        # No id of ours holds this character, and PostgreSQL refuses it as such; so nothing is found, not an error.
        path = path.replace("\0", "\ufffd")
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        for pattern, methods in self._patterns.get(path.count("/"), ()):
            found = pattern.fullmatch(path)
            if found is not None:
                return methods, found.groupdict()
        return {}, {}


def _to_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


async def _read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    if scope["method"] not in UNSAFE_BODY_METHODS:
        return b""
    if _announces_more(scope, limit):
        raise TooLong
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > limit:
            raise TooLong
        if not message.get("more_body"):
            return body


def _announces_more(scope: Scope, limit: int) -> bool:
    """Whether the body would be too long, before any of it is read."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return any(not value.isdigit() or int(value) > limit for value in lengths)


async def _handle(call: Call, operation: Operation, body: bytes) -> Any:
    """What the handler says. Raises, besides what that does, `WrongMediaType` and `MalformedBody`."""
    try:
        if operation.body is not None:
            call.payload = _parse(call, operation, body)
        return await operation.handler(call)
    except (WrongMediaType, MalformedBody, Invalid, InvalidValue):
        granted = call.granted
        if granted is None or granted.refusal is None:
            raise
        # There are too many replies at once, and that comes before what is wrong with the body. It was put off for a
        # turn that may be known, or have to wait; this is none.
        granted.undo()
        raise granted.refusal from None


def _parse(call: Call, operation: Operation, body: bytes) -> dict[str, Any]:
    content_type = call.header(b"content-type")
    media_type = content_type.partition(";")[0].strip().lower()
    if operation.takes_form and media_type in FORMS:
        return parse_form(body, content_type)
    if (
        not body
        and media_type in ("", "application/json")
        and operation.body is not None
        and operation.body.all_optional()
    ):
        return {}
    if media_type != "application/json":
        raise WrongMediaType
    return parse_json(body)


def _spell_answer(answer: Any, operation: Operation) -> Spelled:
    if isinstance(answer, Stream):
        return Spelled(operation.status, b"", list(answer.headers), answer.pieces)
    if not isinstance(answer, Answer):
        return Spelled(operation.status, encode(answer), [(b"content-type", JSON)])
    status = operation.status if answer.status is None else answer.status
    if answer.body is None:
        return Spelled(status, b"", list(answer.headers))
    body = answer.body if isinstance(answer.body, bytes) else encode(answer.body)
    return Spelled(status, body, [(b"content-type", answer.content_type), *answer.headers])


def _spell_refusal(error: ChatError, call: Call, operation: Operation) -> Spelled:
    if isinstance(error, RateLimited):
        count_refused(error)
    refusal = find_refusal(error, operation.refusals)
    if refusal is None:
        log.error("request %s: no refusal for %s", call.request_id, type(error).__name__)
        return _plain(500, error_body(operation, 500, text("internal", call.language)))
    tell_refused(error, refusal.status, call)
    # One API calls it the caller's fault when the bot fails; whoever looks for the cause needs the line all the same.
    if (refusal.status >= 500 or isinstance(error, BotUnavailable)) and not isinstance(error, Overloaded):
        log.warning("request %s: %s: %s: %s", call.request_id, operation.path, error.code, cause_of(error))
    headers = []
    if isinstance(error, WrongCredentials) and refusal.status == 401:
        headers.append((b"www-authenticate", operation.style.challenge.encode()))
    seconds = retry_after(error)
    if seconds is not None:
        headers.append((b"retry-after", str(seconds).encode()))
    if isinstance(error, Stalled):
        # Nothing more is expected of who sent too little.
        headers.append((b"connection", b"close"))
    if isinstance(error, RateLimited):
        headers.extend(met_headers(error))
    words = refusal.words(error, call.language)
    return _plain(refusal.status, error_body(operation, refusal.status, words), headers)


def _plain(status: int, body: dict[str, Any], headers: Iterable[tuple[bytes, bytes]] = ()) -> Spelled:
    return Spelled(status, encode(body), [(b"content-type", JSON), *headers])


async def _send(send: Send, spelled: Spelled, *, with_body: bool) -> None:
    headers = spelled.headers
    if spelled.status != 204:
        headers.append((b"content-length", str(len(spelled.body)).encode()))
    start: Message = {"type": "http.response.start", "status": spelled.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": spelled.body if with_body else b""})


async def _send_pieces(receive: Receive, send: Send, spelled: Spelled, pieces: AsyncIterator[bytes]) -> None:
    """Until they end or the client leaves: uvicorn takes what nobody reads without a word."""
    task, left = asyncio.current_task(), asyncio.ensure_future(_wait_until_left(receive))
    assert task is not None

    def stop(_left: object) -> None:
        task.cancel()

    left.add_done_callback(stop)
    STREAMS.add()
    try:
        await send({"type": "http.response.start", "status": spelled.status, "headers": spelled.headers})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except asyncio.CancelledError:
        if not left.done() or task.uncancel():
            raise
    finally:
        STREAMS.add(-1)
        left.remove_done_callback(stop)
        left.cancel()


async def _wait_until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
