"""What every answer tells a browser, so that it makes nothing more of it than it is, and keeps nothing of it.

An answer that has one of these headers of its own, as the web app's page and its files do, keeps it.
"""

from collections.abc import Sequence

Header = tuple[bytes, bytes]

DAY_SECONDS = 86_400

GUARDS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    # An answer of the API is no page. Whoever opens one as such gets nothing that runs, loads or can be framed.
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    # Most answers are one person's, and none is dear to ask for again.
    (b"cache-control", b"no-store"),
)
HSTS = b"strict-transport-security"
NAMES = frozenset([HSTS, *(name for name, _ in GUARDS)])


def all_guards(public_url: str | None, hsts_days: int) -> tuple[Header, ...]:
    """Those of a server that people reach at this address: by https, they are not to come without it again."""
    if not hsts_days or not (public_url or "").startswith("https://"):
        return GUARDS
    return (*GUARDS, (HSTS, f"max-age={hsts_days * DAY_SECONDS}".encode()))


def missing(guards: Sequence[Header], headers: Sequence[Header]) -> Sequence[Header]:
    """The guards that an answer with these headers has none of its own for."""
    own = [name for name, _ in headers]
    # Nearly always all of them.
    return guards if NAMES.isdisjoint(own) else [guard for guard in guards if guard[0] not in own]
