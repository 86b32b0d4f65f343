"""Nobody can have this server call what stands beside it: 240 addresses, redirects, a resolver that changes its answer.

The trap listens on every address of this machine, and its fixture looks whether anybody has come."""

import asyncio
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from palaver.notify.addresses import Allowed, NotAllowed, check_url, is_public, to_allowed, to_ip
from palaver.notify.guard import Caller, CallFailed, LookUp
from tests.notify.addresses import NAMES, PLACES, PORTS, PUBLIC, SCHEMES, SPELLINGS
from tests.notify.certificates import Certificates
from tests.notify.trap import Liar, Trap
from tests.parts.listening import listening

pytestmark = pytest.mark.proof("out")


def unhurried(allowed: Allowed | None = None, look_up: LookUp | None = None) -> Caller:
    """Longer than any machine takes to refuse: what is called all the same fails in another way."""
    return Caller(allowed, look_up=look_up, total_seconds=60, connect_seconds=60)


@pytest.mark.parametrize("address", [*SPELLINGS, *SCHEMES, *PORTS, *NAMES], ids=ascii)
async def test_address_that_is_not_plainly_public_is_never_called(trap: Trap, address: str) -> None:
    # The system's own resolver: a spelling that went through would be understood by it.
    async with unhurried() as caller:
        with pytest.raises(NotAllowed):
            await caller.post(address.replace("{port}", str(trap.port)), b"x", {})


@pytest.mark.parametrize("place", PLACES)
async def test_name_that_leads_inside_is_never_called(trap: Trap, place: str) -> None:
    async with unhurried(look_up=Liar(place)) as caller:
        with pytest.raises(NotAllowed):
            await caller.post(f"https://push.example.org:{trap.port}/", b"x", {})


async def test_name_with_one_address_inside_among_others_is_never_called(trap: Trap) -> None:
    for places in (["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1"]):
        async with unhurried(to_allowed(["127.0.0.2"]), Liar(*places)) as caller:
            with pytest.raises(NotAllowed):
                await caller.post(f"https://push.example.org:{trap.port}/", b"x", {})


@pytest.mark.parametrize("place", PUBLIC)
def test_public_address_may_be_called(place: str) -> None:
    ip = to_ip(place)
    assert ip is not None
    assert is_public(ip)


@pytest.mark.parametrize("place", [place for place in PLACES if "%" not in place])
def test_address_inside_is_not_public_by_name_nor_by_number(place: str) -> None:
    ip = to_ip(place)
    assert ip is not None
    assert not is_public(ip)


@pytest.mark.parametrize(
    "address",
    [
        "https://fcm.googleapis.com/fcm/send/cZ1:APA91bH_x-y",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABk",
        "https://web.push.apple.com/QGl-_a%2Fb%2f..%2e",
        "https://wns2-am3p.notify.windows.com/w/?token=BQYAAAB%2b%3D",
        "https://ntfy.example.net:8443/up?x=1&y=%C3%BC",
        "https://xn--bcher-kva.example.net/",
        "https://93.184.215.14:8080/x",
        "https://[2606:4700:4700::1111]/x",
    ],
)
def test_address_of_a_push_service_is_called_as_it_is_written(address: str) -> None:
    assert str(check_url(address, Allowed())) == address


def test_capitals_of_a_host_do_not_matter() -> None:
    assert str(check_url("HTTPS://Push.Example.NET/Ab%2f", Allowed())) == "https://push.example.net/Ab%2f"
    assert str(check_url("http://Hooks.LAN/", to_allowed(["hooks.lan"]))) == "http://hooks.lan/"


PIECES = (
    "https http : / // \\ @ # ? . .. [ ] ::1 127.0.0.1 0x7f 0177 1 2130706433 localhost example example.org xn-- :443 "
    ":8443 %2e %00 。 8.8.8.8 - _ ß １ ffff: 2606:4700::1 %25lo ; , & ="
)
NASTY = st.lists(st.sampled_from([*PIECES.split(), " ", "\t", "\n"]), max_size=8).map("".join)


@given(
    rest=NASTY,
    prefix=st.sampled_from(["", "https://", "https://example.org", "https://8.8.8.8", "https://[2606:4700::"]),
)
def test_address_that_is_taken_is_read_alike_by_all(prefix: str, rest: str) -> None:
    """By the client, by Python's own parser, and by a system that takes any old spelling of an address."""
    try:
        url = check_url(prefix + rest, Allowed())
    except NotAllowed:
        return
    host = url.raw_host
    assert host is not None
    read = urlsplit(prefix + rest)
    assert (read.scheme, read.hostname, read.port or 443, read.username) == ("https", host, url.port, None)
    ip = to_ip(host)
    assert (ip is not None and is_public(ip)) or ("." in host and not _is_an_address_to_the_system(host))


def _is_an_address_to_the_system(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


async def test_trap_is_run_into_by_whoever_is_let_to(trap: Trap) -> None:
    """Else it would prove nothing."""
    async with Caller(to_allowed(["127.0.0.0/8"])) as caller:
        calling = asyncio.create_task(caller.post(f"http://127.0.0.1:{trap.port}/", b"x", {}))
        while not (calling.done() or await trap.count()):
            pass
        # It closes what it has counted.
        with pytest.raises(CallFailed):
            await calling
    assert await trap.count() == 1
    trap.forgive()


async def test_resolver_that_changes_its_answer_gains_nothing(trap: Trap, own_server: str) -> None:
    """First it names a server that may be called, then this machine: what was checked is what is called."""
    port = int(own_server.rpartition(":")[2])
    liar = Liar(change=lambda asked: ["127.0.0.3"] if asked == 1 else ["127.0.0.1"])
    async with unhurried(to_allowed(["127.0.0.3"]), liar) as caller:
        for _ in range(3):
            # No TLS is spoken there: it was reached, and looked up once.
            with pytest.raises(CallFailed, match="no valid certificate"):
                await caller.post(f"https://rebind.example.org:{port}/", b"x", {})
        assert liar.asked == 1
        # Another port is another place, and the second answer is looked at like the first.
        with pytest.raises(NotAllowed):
            await caller.post(f"https://rebind.example.org:{trap.port}/", b"x", {})
    assert liar.asked == 2


@pytest.fixture
async def own_server() -> AsyncIterator[str]:
    """Something that may be called, on an address of its own."""
    async with listening(web.Application(), host="127.0.0.3") as url:
        yield url


REDIRECTS = [
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://2130706433:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "/again",
    "/chain/1",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
async def test_redirect_is_not_followed_wherever_it_leads(trap: Trap, status: int) -> None:
    asked = 0

    async def redirect(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        location = REDIRECTS[int(request.query["to"])].format(port=trap.port)
        return web.Response(status=status, headers={"Location": location, "Refresh": f"0; url={location}"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    async with listening(app) as url, Caller(to_allowed(["127.0.0.1"])) as caller:
        for number in range(len(REDIRECTS)):
            answer = await caller.post(f"{url}/?to={number}", b"x", {})
            assert answer.status == status
    assert asked == len(REDIRECTS)


async def test_what_an_operator_allows_is_called_and_nothing_beside_it(trap: Trap) -> None:
    app = web.Application()
    app.router.add_post("/", _answer)
    async with listening(app, host="127.0.0.4") as url:
        port = url.rpartition(":")[2]
        async with Caller(to_allowed(["127.0.0.4"])) as caller:
            assert (await caller.post(url, b"x", {})).status == 200
            with pytest.raises(NotAllowed):
                await caller.post(f"http://127.0.0.1:{trap.port}", b"x", {})
        async with Caller(to_allowed(["hooks.lan"]), look_up=Liar("127.0.0.4")) as caller:
            assert (await caller.post(f"http://hooks.lan:{port}", b"x", {})).status == 200
            with pytest.raises(NotAllowed):
                await caller.post(f"https://other.lan:{port}", b"x", {})
            with pytest.raises(NotAllowed):
                await caller.post(f"http://hooks.example.org:{port}", b"x", {})
            with pytest.raises(NotAllowed):
                await caller.post(f"https://hooks.example.org:{port}", b"x", {})


async def test_proxy_of_the_environment_is_not_used(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
    app = web.Application()
    app.router.add_post("/", _answer)
    async with listening(app) as url, Caller(to_allowed(["127.0.0.1"])) as caller:
        assert (await caller.post(url, b"x", {})).status == 200


async def test_server_has_to_be_who_its_name_says(certificates: Certificates) -> None:
    """The address is the one that was checked, and the name is the one that was asked for."""
    app = web.Application()
    app.router.add_post("/", _answer)
    allowed = to_allowed(["127.0.0.1"])
    async with listening(app, tls=certificates.server("push.example.net")) as url:
        port = url.rpartition(":")[2]
        async with Caller(allowed, look_up=Liar("127.0.0.1"), tls=certificates.client()) as caller:
            assert (await caller.post(f"https://push.example.net:{port}/", b"x", {})).status == 200
            with pytest.raises(CallFailed, match="no valid certificate"):
                await caller.post(f"https://other.example.net:{port}/", b"x", {})
        async with Caller(allowed, look_up=Liar("127.0.0.1")) as caller:
            with pytest.raises(CallFailed, match="no valid certificate"):
                await caller.post(f"https://push.example.net:{port}/", b"x", {})


async def test_nothing_is_remembered_of_who_was_called() -> None:
    heard: list[str | None] = []

    async def set_cookie(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "who=you"})

    app = web.Application()
    app.router.add_post("/", set_cookie)
    allowed = to_allowed(["hooks.example.net"])
    async with listening(app) as url, Caller(allowed, look_up=Liar("127.0.0.1")) as caller:
        # By a name: no cookie is kept for an address anyway.
        named = url.replace("127.0.0.1", "hooks.example.net")
        await caller.post(named, b"x", {})
        await caller.post(named, b"x", {})
    assert heard == [None, None]


async def test_address_of_this_machine_is_not_called_though_it_is_public(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No machine of tests has a public address: one of loopback stands for it.
    monkeypatch.setattr("palaver.notify.addresses.is_public", lambda _: True)
    async with unhurried() as caller:
        with pytest.raises(NotAllowed):
            await caller.post(f"https://127.0.0.1:{trap.port}/", b"x", {})
    async with unhurried(look_up=Liar("127.0.0.1")) as caller:
        with pytest.raises(NotAllowed):
            await caller.post(f"https://push.example.org:{trap.port}/", b"x", {})


async def test_resolver_that_never_answers_costs_the_time_limit_and_nobody_else() -> None:
    class Silent(Liar):
        async def find(self, host: str, family: int) -> list[str]:
            if host == "silent.example.org":
                await asyncio.Event().wait()
            return await super().find(host, family)

    app = web.Application()
    app.router.add_post("/", _answer)
    async with listening(app) as url:
        port = url.rpartition(":")[2]
        allowed = to_allowed(["quick.example.org"])
        look_up = Silent("127.0.0.1")
        async with Caller(allowed, look_up=look_up, total_seconds=3600, connect_seconds=3600) as patient:
            waiting = asyncio.create_task(patient.post("https://silent.example.org/", b"x", {}))
            async with asyncio.timeout(60):
                assert (await patient.post(f"http://quick.example.org:{port}", b"x", {})).status == 200
            assert not waiting.done()
            waiting.cancel()
            await asyncio.wait([waiting])
        async with Caller(allowed, look_up=look_up, total_seconds=0.1) as caller:
            with pytest.raises(CallFailed, match="took too long"):
                await caller.post("https://silent.example.org/", b"x", {})


async def _answer(_: web.Request) -> web.Response:
    return web.Response()
