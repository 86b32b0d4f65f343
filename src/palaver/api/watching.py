"""Whether a server can be given work, and what it counts. Both open; who may read the numbers is settled apart."""

import asyncio
import hmac
import ipaddress
import platform
from collections.abc import Iterator
from urllib.parse import urlsplit

from palaver.api.call import Answer, Call
from palaver.api.operation import NO_SUCH_PATH, Also, Api, Style, fixed
from palaver.api.outside import UNWELL, Status
from palaver.api.waiting import Waits
from palaver.chat.accounts import WrongCredentials
from palaver.chat.errors import NotFound
from palaver.watching.boards import read_all
from palaver.watching.process import measure
from palaver.watching.text import CONTENT_TYPE, render

api = Api("palaver", Style.FASTAPI)

# Whatever a proxy puts in.
OF_PROXIES = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)


@api.add("GET", "/ready", who="open", answer=Status, also={503: UNWELL}, described=False)
async def ready(call: Call) -> Answer:
    """Redis need not be there: without it workers hear of each other later, and nothing is refused."""
    if call.chat.replies.draining:
        return Answer(Status("draining"), status=503)
    if await call.site.waiting.count(call.chat.store) is None:
        return Answer(Status("unavailable"), status=503)
    return Answer(Status("ready"))


@api.add(
    "GET",
    "/metrics",
    who="open",
    content_types=("text/plain",),
    # Whoever may not know of it hears what a path says that nobody has.
    refusals={NotFound: fixed(404, NO_SUCH_PATH)},
    also={401: Also("Another token is wanted")},
    described=False,
)
async def metrics(call: Call) -> Answer:
    """Of all workers of this server, whichever is asked; with `?by=worker` each by itself."""
    check_may_read(call)
    measure()
    workers = await asyncio.to_thread(read_all)
    python, version = platform.python_version(), call.site.version
    also = [("palaver_build_info", "What runs here.", f'palaver_build_info{{python="{python}",version="{version}"}} 1')]
    waiting = await call.site.waiting.count(call.chat.store)
    # Without it the rest is worth most.
    if waiting is not None:
        also += [(name, about, f"{name} {count}") for name, about, count in _gauges(waiting)]
    text = await asyncio.to_thread(render, workers, also, by_worker=call.query("by") == "worker")
    return Answer(text.encode(), content_type=CONTENT_TYPE)


def _gauges(waits: Waits) -> Iterator[tuple[str, str, int]]:
    """Of all servers on the database."""
    of_all = "of all servers on the database"
    yield "palaver_replies_queued", f"Replies that wait for another one, {of_all}.", waits.replies
    yield "palaver_deliveries_waiting", f"What waits to reach people who are away, {of_all}.", waits.deliveries
    yield (
        "palaver_deliveries_dead",
        f"What was given up of that, {of_all}, until it is resent or forgotten.",
        waits.dead,
    )


def check_may_read(call: Call) -> None:
    """Raises `NotFound`, and `WrongCredentials` where a token would do."""
    site = call.site
    token = site.metrics_token
    if site.metrics == "off":
        raise NotFound
    if site.metrics == "local" and is_local(call):
        return
    if token is None:
        if site.metrics == "on":
            return
        raise NotFound
    scheme, _, shown = call.header(b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(shown.encode(), token.encode()):
        raise WrongCredentials


def is_local(call: Call) -> bool:
    """Asked from this very machine, and for nobody else.

    A proxy on this machine comes from here too. The operator tells of it by PALAVER_PUBLIC_URL or the trusted proxies;
    else it gives itself away by what it adds, by HTTP/1.0, or by passing on the name that was asked for, which a page
    whose own name points here has too.
    """
    scope = call.scope
    if (
        call.site.behind_proxy
        or scope["http_version"] == "1.0"
        or any(name in OF_PROXIES for name, _ in scope["headers"])
    ):
        return False
    host = _to_name(call.header(b"host"))
    return _is_loopback(call.address()) and (host == "localhost" or _is_loopback(host))


def _to_name(host: str) -> str:
    """A host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
