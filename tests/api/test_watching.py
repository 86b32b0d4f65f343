"""Who may read the numbers."""

from typing import cast

import pytest

from palaver.api.call import Call, Site
from palaver.api.watching import check_may_read
from palaver.chat.accounts import Accounts, WrongCredentials
from palaver.chat.errors import NotFound
from palaver.chat.flow import Chat
from palaver.chat.models import Models
from palaver.chat.ports import Finding
from palaver.chat.servers import Servers
from palaver.chat.stays import Stays

HOST = (b"host", b"127.0.0.1:8000")
TOKEN = (b"authorization", b"Bearer s3cret")
WRONG = (b"authorization", b"Bearer secret")


def call(
    *headers: tuple[bytes, bytes], address: str = "127.0.0.1", version: str = "1.1", behind_proxy: bool = False
) -> Call:
    # None of them is looked at.
    chat, accounts = cast(Chat, None), cast(Accounts, None)
    stays, models = cast(Stays, None), cast(Models, None)
    site = Site(chat, accounts, stays, models, "1", cast(Servers, None), cast(Finding, None), behind_proxy=behind_proxy)
    scope = {"client": (address, 1), "http_version": version, "headers": [*headers]}
    return Call(site, scope, "id", "en")


def settle(asked: Call, metrics: str, token: str | None = None) -> Call:
    from msgspec.structs import replace

    asked.site = replace(asked.site, metrics=metrics, metrics_token=token)
    return asked


LOCAL = [
    call(HOST),
    call(HOST, address="127.0.0.2"),
    call((b"host", b"localhost")),
    call((b"host", b"[::1]:8000"), address="::1"),
]
FROM_ELSEWHERE = [
    call(HOST, address="203.0.113.9"),
    call(HOST, address="2001:db8::1"),
    call(HOST, address=""),
    call(HOST, version="1.0"),
    call(HOST, behind_proxy=True),
    call(),
    call((b"host", b"chat.example.org")),
    call((b"host", b"[")),
    call(HOST, (b"x-forwarded-for", b"127.0.0.1")),
    call(HOST, (b"forwarded", b"for=127.0.0.1")),
    call(HOST, (b"x-real-ip", b"127.0.0.1")),
    call(HOST, (b"via", b"1.1 proxy")),
]


@pytest.mark.parametrize("asked", LOCAL)
def test_this_machine_may_read_them_by_itself(asked: Call) -> None:
    check_may_read(settle(asked, "local"))
    check_may_read(settle(asked, "local", "s3cret"))


@pytest.mark.parametrize("asked", FROM_ELSEWHERE)
def test_whoever_may_come_from_elsewhere_needs_the_token(asked: Call) -> None:
    with pytest.raises(NotFound):
        check_may_read(settle(asked, "local"))
    with pytest.raises(WrongCredentials):
        check_may_read(settle(asked, "local", "s3cret"))
    asked.scope["headers"].append(TOKEN)
    check_may_read(settle(asked, "local", "s3cret"))


def test_on_is_for_all_unless_there_is_a_token() -> None:
    check_may_read(settle(call(HOST, address="203.0.113.9"), "on"))
    for asked in (call(HOST), call(HOST, WRONG), call(HOST, (b"authorization", b"Token s3cret"))):
        with pytest.raises(WrongCredentials):
            check_may_read(settle(asked, "on", "s3cret"))
    check_may_read(settle(call(HOST, TOKEN, address="203.0.113.9"), "on", "s3cret"))


def test_off_is_off() -> None:
    with pytest.raises(NotFound):
        check_may_read(settle(call(HOST, TOKEN), "off", "s3cret"))
