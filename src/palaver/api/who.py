"""Who asks: the one function that turns a request into a user, for every API and every kind of credential."""

import hmac
from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import cookie_parser

from palaver.api.call import Call, Site
from palaver.api.fields import Problem, Text
from palaver.api.operation import Who
from palaver.chat.accounts import Caller, WrongCredentials
from palaver.chat.errors import Forbidden

SESSION = "palaver_session"
GUEST = "palaver_guest"
CSRF = "csrftoken"

APP_USER = Text(at_least=1, at_most=255)

SAFE = ("GET", "HEAD", "OPTIONS")
SCHEMES = ("token", "bearer")


class CrossSite(Forbidden):
    code = "cross_site"


class WrongCsrf(Forbidden):
    code = "csrf"


class Identity(Struct, frozen=True):
    """The caller, and what has to be told the browser so that it is known again."""

    caller: Caller
    new_guest_cookie: str | None = None


async def identify(call: Call, who: Who) -> Identity:
    """Who asks, if `who` may: the first carrier present decides. The call knows it, too, also who may not.

    Raises `WrongCredentials`, `CrossSite`, `WrongCsrf` or `Forbidden`.
    """
    identity = await _identify(call)
    call.caller = identity.caller
    if identity.caller.user.kind == "guest" and who in ("signed_in", "admin"):
        raise WrongCredentials
    if who == "admin" and not identity.caller.user.is_admin:
        raise Forbidden
    return identity


async def _identify(call: Call) -> Identity:
    return _or_guest(call, await find_caller(call))


def _or_guest(call: Call, caller: Caller | None) -> Identity:
    if caller is not None:
        return Identity(caller)
    if not call.chat.rules.guests:
        raise WrongCredentials
    guest = call.site.accounts.new_guest()
    return Identity(Caller(guest), call.site.accounts.guest_cookie(guest))


async def find_caller(call: Call) -> Caller | None:
    """Whom the first carrier present names; None where nobody is named. Raises `WrongCredentials` for bad ones,
    `CrossSite` and `WrongCsrf`."""
    return await _carried(call, _bearer(call.header(b"authorization")), _check_request)


async def identify_socket(call: Call) -> Identity:
    """Who opens a WebSocket. Here a token may stand in the address, since browsers send no header of ours, and a cookie
    works for pages of ours alone. Raises `WrongCredentials`, and `CrossSite` where the handshake is to be refused."""
    token = _bearer(call.header(b"authorization"))
    caller = await _carried(call, call.query("token") if token is None else token, _check_handshake)
    named = call.query("user_id")
    if named and caller is not None and caller.user.kind == "app":
        try:
            APP_USER.read(named)
        except Problem:
            # No application has a user of such a name.
            raise WrongCredentials from None
        return Identity(replace(caller, user=await call.site.accounts.app_user(caller.user, named)))
    return _or_guest(call, caller)


async def _carried(call: Call, token: str | None, check: Callable[[Call, dict[str, str], str], None]) -> Caller | None:
    """`check` says whether a cookie of that name may be used for what is asked."""
    accounts = call.site.accounts
    if token is not None:
        return await accounts.by_token(token)
    cookies = _cookies(call.header(b"cookie"))
    if SESSION in cookies:
        try:
            caller = await accounts.by_token(cookies[SESSION], "session")
        except WrongCredentials as error:
            if not error.expired:
                raise
        else:
            # Who is refused below is known in the log.
            call.caller = caller
            check(call, cookies, SESSION)
            return caller
    if GUEST in cookies and call.chat.rules.guests:
        guest = await accounts.by_guest_cookie(cookies[GUEST])
        if guest is not None:
            check(call, cookies, GUEST)
            return Caller(guest)
    return None


def _check_request(call: Call, cookies: dict[str, str], carrier: str) -> None:
    _check_same_site(call)
    if carrier == SESSION:
        _check_csrf(call, cookies)


def _check_handshake(call: Call, _cookies: dict[str, str], _carrier: str) -> None:
    """A page of somebody else could open a socket with our cookie, and read it: nothing but this stops it."""
    if not is_ours(call.site, call.header(b"origin"), call.header(b"host")):
        raise CrossSite


def _bearer(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() in SCHEMES else None


def _cookies(header: str) -> dict[str, str]:
    # As browsers send them. The standard library's parser gives up at the first odd cookie of somebody else.
    return cookie_parser(header) if header else {}


def _check_same_site(call: Call) -> None:
    if call.scope["method"] in SAFE:
        return
    origin = call.header(b"origin") or call.header(b"referer")
    if origin and not is_ours(call.site, origin, call.header(b"host")):
        raise CrossSite


def _check_csrf(call: Call, cookies: dict[str, str]) -> None:
    if call.scope["method"] in SAFE:
        return
    kept = cookies.get(CSRF, "")
    if not kept or not hmac.compare_digest(kept.encode(), call.header(b"x-csrftoken").encode()):
        raise WrongCsrf


def is_ours(site: Site, origin: str, host: str) -> bool:
    """Whether a page of that origin is one of ours or allowed."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return False
    exact = f"{parts.scheme}://{parts.netloc}"
    if exact in site.cors_origins:
        return True
    public = urlsplit(site.public_url or "")
    # Behind a proxy only the public URL knows how the page was fetched: its own host under http is somebody else.
    return parts.scheme == public.scheme if parts.netloc == public.netloc else parts.netloc == host


def session_cookies(call: Call, session: str, csrf: str, days: int) -> list[tuple[bytes, bytes]]:
    age = days * 86_400
    return [
        _cookie(call, f"{SESSION}={session}; Max-Age={age}", http_only=True),
        _cookie(call, f"{CSRF}={csrf}; Max-Age={age}", http_only=False),
    ]


def cleared_cookies(call: Call) -> list[tuple[bytes, bytes]]:
    return [
        _cookie(call, f"{SESSION}=; Max-Age=0", http_only=True),
        _cookie(call, f"{CSRF}=; Max-Age=0", http_only=False),
    ]


def guest_cookie(call: Call, value: str) -> tuple[bytes, bytes]:
    return _cookie(call, f"{GUEST}={value}; Max-Age={365 * 86_400}", http_only=True)


def _cookie(call: Call, named: str, *, http_only: bool) -> tuple[bytes, bytes]:
    attributes = (
        "; Path=/; SameSite=Lax" + ("; HttpOnly" if http_only else "") + ("; Secure" if call.is_secure() else "")
    )
    return (b"set-cookie", (named + attributes).encode("latin-1"))
