"""The only HTTP client with which addresses are called that people have given.

It calls what `addresses.py` lets be called, and looks at the very address that the socket is opened to: a name is
resolved once, and a resolver that then answers otherwise is not asked again. It follows no redirect, takes no proxy
from the environment, keeps no cookie, unpacks nothing, reads a few KiB at most and waits some seconds at most. What
comes back is a status, a time to wait and, where it is wanted, the first bytes of the answer; nothing of it is for
people.
"""

import asyncio
import socket
from collections.abc import Mapping
from functools import partial
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from msgspec import Struct
from yarl import URL

from palaver.chat.backoff import read_retry_after
from palaver.notify.addresses import Allowed, Ip, NotAllowed, check_url, may_call, to_ip
from palaver.notify.threads import Threads

TOTAL_SECONDS = 10.0
CONNECT_SECONDS = 5.0
# An answer of which only the status counts is read for as long as this, so that the connection can be used again.
DRAIN_SECONDS = 1.0

# No one is to put off what concerns somebody else for longer.
LONGEST_WAIT = 86_400.0

MOST_BYTES = 8192
# Of one answer, whatever it consists of: what has no end need not be a body (interim answers, the length of a chunk).
_MOST_ON_THE_WIRE = 131_072
# The kernel does not take in more than is wanted either.
_KERNEL_BYTES = 65_536
_MOST_HEADERS = 64
_LONGEST_LINE = 4096

_AT_ONCE = 100
_AT_ONCE_TO_ONE = 16
_LOOK_UPS_AT_ONCE = 16
# A name can have thousands; so many are looked at, and no others called.
_MOST_ADDRESSES = 16
# What was checked is called for so long without another look-up; it is the checked address that is called.
_REMEMBERED_SECONDS = 60


class CallFailed(Exception):
    """No answer came; another time one may. Why, in our words."""


class Answer(Struct, frozen=True):
    """`body` are the first bytes, and only where they were wanted."""

    status: int
    retry_after: float | None
    body: bytes


class LookUp:
    """Asks the system's resolver, in threads of its own: names of people's choice, whose servers may never answer,
    keep nobody else's threads."""

    def __init__(self) -> None:
        self._threads = Threads(_LOOK_UPS_AT_ONCE, "palaver-look-up")

    async def find(self, host: str, family: int) -> list[str]:
        """Addresses as text. Raises `OSError`."""
        return list(dict.fromkeys(await self._threads.run(partial(_getaddrinfo, host, family))))


def _getaddrinfo(host: str, family: int) -> list[str]:
    found = socket.getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class _Refused(OSError):
    """An address that may not be called, where aiohttp wants an `OSError`."""


class _Gate(AbstractResolver):
    """Gives the addresses of a name if every one of them may be called: one that may not says enough of the name. And
    opens no socket to any other, however it was come by."""

    def __init__(self, look_up: LookUp, allowed: Allowed) -> None:
        self._look_up = look_up
        self._allowed = allowed
        # What the operator's own hosts have been found at.
        self._vouched: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = (await self._look_up.find(host, family))[:_MOST_ADDRESSES]
        if not found:
            raise OSError("no address")
        if self._allowed.has_host(host):
            self._vouched.update(found)
        else:
            for address in found:
                _check_ip(address, self._allowed)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if address[0] not in self._vouched:
            _check_ip(address[0], self._allowed)
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
        return opened

    async def close(self) -> None:
        """There is nothing to close."""


def _check_ip(address: str, allowed: Allowed) -> None:
    ip = to_ip(address)
    if ip is None or not may_call(ip, allowed) or (_is_own(ip) and not allowed.has_ip(ip)):
        raise _Refused("not allowed")


def _is_own(ip: Ip) -> bool:
    """Whether a public address is this machine's own: what it serves there is not for the outside, perhaps. No packet
    is sent for it."""
    with socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect((str(ip), 9))
        except OSError:
            # No way leads there.
            return False
        return to_ip(str(trial.getsockname()[0])) == ip


class _Bounded(ResponseHandler):
    """What comes in over a connection, up to a limit for each answer; then the connection is closed."""

    _left = _MOST_ON_THE_WIRE

    def set_response_params(self, **params: Any) -> None:
        self._left = _MOST_ON_THE_WIRE
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        # What a status needs may stand before the limit.
        super().data_received(data[: self._left])
        self._left = max(0, self._left - len(data))
        if self._left == 0 and self.transport is not None:
            self.transport.abort()


def _to_bounded(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return _Bounded(loop)


class _Connector(TCPConnector):
    def __init__(self, gate: _Gate, tls: SSLContext | None) -> None:
        super().__init__(
            resolver=gate,
            limit=_AT_ONCE,
            limit_per_host=_AT_ONCE_TO_ONE,
            ttl_dns_cache=_REMEMBERED_SECONDS,
            socket_factory=gate.open_socket,
            ssl=tls or True,
        )
        # aiohttp has no other way in; test_slow.py would see it go.
        self._factory = partial(_to_bounded, self._loop)


class Caller:
    """It is used inside `async with`. `tls`: whose certificates are believed, for tests."""

    def __init__(
        self,
        allowed: Allowed | None = None,
        *,
        look_up: LookUp | None = None,
        tls: SSLContext | None = None,
        total_seconds: float = TOTAL_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._allowed = allowed or Allowed()
        self._look_up = look_up or LookUp()
        self._tls = tls
        self._total_seconds = total_seconds
        self._connect_seconds = connect_seconds
        self._gate: _Gate
        self._session: ClientSession

    async def __aenter__(self) -> Self:
        self._gate = _Gate(self._look_up, self._allowed)
        self._session = ClientSession(
            connector=_Connector(self._gate, self._tls),
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": "palaver", "Accept-Encoding": "identity"},
            timeout=ClientTimeout(total=self._total_seconds, connect=self._connect_seconds),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_LONGEST_LINE,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def check(self, url: str) -> URL:
        """What would be called, as far as can be told without a look-up. Raises `NotAllowed`."""
        return check_url(url, self._allowed)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, reads: bool = False) -> Answer:
        """Raises `NotAllowed` where no connection was opened and none may be, and `CallFailed`."""
        target = self.check(url)
        try:
            async with (
                asyncio.timeout(self._total_seconds),
                self._session.post(target, data=body, headers=headers, allow_redirects=False) as response,
            ):
                read = await _read(response) if reads else await _drain(response)
                return Answer(response.status, _to_seconds(response.headers.get("Retry-After")), read)
        except TimeoutError:
            raise CallFailed("took too long") from None
        except aiohttp.ClientSSLError:
            raise CallFailed("has no valid certificate") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _Refused):
                raise NotAllowed("not_allowed") from None
            raise CallFailed(_to_reason(error)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallFailed(_to_reason(error)) from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """At most `MOST_BYTES`; of a longer answer the connection is closed."""
    body = b""
    try:
        while len(body) < MOST_BYTES and (piece := await response.content.read(MOST_BYTES - len(body))):
            body += piece
    except aiohttp.ClientPayloadError:
        # The status is there, and counts; what is wanted of a body will not be found in half of one.
        response.close()
    if not response.content.at_eof():
        response.close()
    return body


async def _drain(response: aiohttp.ClientResponse) -> bytes:
    """Nothing: what counts is there. A short answer is read to its end, so that its connection can be used again."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await _read(response)
    except TimeoutError:
        response.close()
    return b""


def _to_seconds(told: str | None) -> float | None:
    """The `Retry-After`, as far as it is one."""
    try:
        seconds = read_retry_after(told)
    except OverflowError:
        return None
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def _to_reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "has no address"
        case aiohttp.ClientConnectorError():
            return "cannot be reached"
        case aiohttp.ClientConnectionError():
            return "closed the connection"
        case _:
            return "answers with no HTTP"
