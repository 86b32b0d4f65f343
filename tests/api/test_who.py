"""Which pages are ours: a cookie works for them alone."""

from typing import cast

import pytest

from palaver.api.call import Site
from palaver.api.who import is_ours
from palaver.chat.accounts import Accounts
from palaver.chat.flow import Chat
from palaver.chat.models import Models
from palaver.chat.ports import Finding
from palaver.chat.servers import Servers
from palaver.chat.stays import Stays

HOST = "127.0.0.1:8000"
ALLOWED = "https://app.example.org"


def site(public_url: str | None = None) -> Site:
    # None of them is looked at.
    chat, accounts = cast(Chat, None), cast(Accounts, None)
    stays, models = cast(Stays, None), cast(Models, None)
    return Site(
        chat,
        accounts,
        stays,
        models,
        "1",
        cast(Servers, None),
        cast(Finding, None),
        public_url=public_url,
        cors_origins=frozenset([ALLOWED]),
    )


@pytest.mark.parametrize("public_url", [None, "https://chat.example.org"])
@pytest.mark.parametrize("origin", ["http://[", "https://[::1", "http://a]b", "null", "", "http://", "ftp://" + HOST])
def test_origin_that_is_no_address_is_not_ours(origin: str, public_url: str | None) -> None:
    assert not is_ours(site(public_url), origin, HOST)


@pytest.mark.parametrize(
    ("origin", "ours"),
    [
        ("https://chat.example.org", True),
        ("https://chat.example.org/sub?x=1", True),
        ("http://chat.example.org", False),
        ("https://chat.example.org:8443", False),
        (f"http://{HOST}", True),
        (ALLOWED, True),
        ("http://app.example.org", False),
    ],
)
@pytest.mark.parametrize("host", [HOST, "chat.example.org"])
def test_public_url_counts_with_its_scheme(origin: str, host: str, ours: bool) -> None:
    expected = ours and not (HOST in origin and host != HOST)
    assert is_ours(site("https://chat.example.org"), origin, host) == expected


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_a_public_url_the_host_alone_counts(scheme: str) -> None:
    assert is_ours(site(), f"{scheme}://{HOST}", HOST)
    assert not is_ours(site(), f"{scheme}://evil.example.org", HOST)
