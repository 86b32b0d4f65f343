"""An LLM server: where it is and what it may be asked, and how it does just now."""

from typing import Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Struct, UnsetType

from palaver.chat.errors import Invalid

# settings: named in the environment. admin: added by an admin and kept in the store. found: on this very machine.
Origin = Literal["settings", "admin", "found"]


class NamedServer(Struct, frozen=True):
    """`models`: all that it offers; where there are none, it is asked for them. `weight`: how many replies it makes
    where another makes one. `most_at_once`: how many replies each worker lets it make at the same time."""

    name: str
    url: str
    key: str | None = None
    models: tuple[str, ...] = ()
    weight: float = 1.0
    most_at_once: int | None = None

    def __repr__(self) -> str:
        """Without the key, and without a URL that may hold one."""
        return f"NamedServer({self.name!r})"


class ServerChange(Struct, frozen=True):
    """What to change; `UNSET` stays as it is, `None` is a value."""

    url: str | UnsetType = UNSET
    key: str | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    weight: float | UnsetType = UNSET
    most_at_once: int | UnsetType | None = UNSET

    def __repr__(self) -> str:
        return "ServerChange(…)"


class ServerState(Struct, frozen=True):
    """A server as this worker knows it. `tells`: whether it answered when it was last asked for its models; None where
    it was not asked. `breaker`: whether it is asked for replies. `url` holds no secret."""

    named: NamedServer
    origin: Origin
    url: str
    tells: bool | None
    breaker: Literal["closed", "open", "half_open"]
    running: int
    offers: tuple[str, ...]


class ServerTrial(Struct, frozen=True):
    """What came of asking a server for its models just now. `problem`: it did not answer in time, it did not like the
    key, or it answered something else than its models; None where it told them."""

    problem: Literal["unavailable", "key", "refused"] | None
    milliseconds: int
    models: tuple[str, ...] = ()


def check_url(url: str) -> None:
    """Raises `Invalid` for what is no address of a server. A name and a password in it would be shown to admins."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url or "@" in parts.netloc or parts.query or parts.fragment:
        raise Invalid("url", "server_url")
