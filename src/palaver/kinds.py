"""What a setting may be: in words, and as code that reads it."""

import ipaddress
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

# Control characters, and what stands for bytes that are no UTF-8.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class WrongPart(ValueError):
    """Which part of a value cannot work, in words that go on from a colon and tell nothing of the value."""


class Kind(Struct, frozen=True):
    """What a setting may be: in words that go on from "has to be", and as code that raises `ValueError` otherwise."""

    wants: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str


def hide_passwords(text: str) -> str:
    """The text without what stands before the @ of an address."""
    return re.sub(r"//\S*@", "//***@", text)


def whole(least: int, most: int | None = None) -> Kind:
    def parse(text: str) -> int:
        # Eighteen digits fit wherever a number goes, a database's bigint included.
        value = int(text) if re.fullmatch("[0-9]{1,18}", text) else -1
        if value < least or (most is not None and value > most):
            raise ValueError
        return value

    return Kind(f"a whole number, {least} or more" if most is None else f"a whole number from {least} to {most}", parse)


def number(least: int, most: int, *, above: bool = False) -> Kind:
    """From `least` to `most`; with `above`, `least` itself will not do."""

    def parse(text: str) -> float:
        value = float(text) if re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", text) else math.nan
        if not least <= value <= most or (above and value == least):
            raise ValueError
        return value

    wants = f"a number above {least}, at most {most}" if above else f"a number from {least} to {most}"
    return Kind(wants, parse, "{:.12g}".format)


def switch(off: str, on: str) -> Kind:
    def parse(text: str) -> bool:
        match text.lower():
            case "off" | "false" | "no" | "0":
                return False
            case "on" | "true" | "yes" | "1":
                return True
        raise ValueError

    return Kind(f"{off} or {on}", parse, lambda value: on if value else off)


def one_of(*words: str) -> Kind:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError
        return text.lower()

    return Kind(f"{', '.join(words[:-1])} or {words[-1]}", parse)


def matching(pattern: str, wants: str) -> Kind:
    def parse(text: str) -> str:
        if UNPRINTABLE.search(text) or not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return Kind(wants, parse)


def list_of(parse_one: Callable[[str], Any], wants: str) -> Kind:
    def parse(text: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(parse_one(part.strip()) for part in _split(text)))

    return Kind(wants, parse, lambda values: ",".join(str(value) for value in values))


def _split(text: str) -> Sequence[str]:
    """The parts of a list that is divided by commas or written as JSON."""
    if not text.startswith("["):
        return [part for part in text.split(",") if part.strip()]
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError as error:
        raise ValueError from error


def _to_folder(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError from error


def _to_web_address(text: str) -> str:
    parts = urlsplit(text)
    if UNPRINTABLE.search(text) or " " in text or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    if parts.query or parts.fragment or parts.port == 0:
        raise ValueError
    return text.rstrip("/")


def _to_database_url(text: str) -> str:
    scheme, _, rest = text.partition("://")
    parts = urlsplit(text)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if UNPRINTABLE.search(text) or scheme not in ("postgresql", "postgres") or not rest or parts.fragment:
        raise ValueError
    # A second @, one further on, or a port that is none: a character of the password has cut the address in two.
    if (
        text.count("@") > 1
        or "@" in parts.path + parts.query
        or not all(re.fullmatch(r"(\[[^]]+\]|[^:]*)(:[0-9]+)?", host) for host in hosts)
    ):
        raise ValueError
    return text


def _to_redis_url(text: str) -> str:
    parts = urlsplit(text)
    if UNPRINTABLE.search(text) or " " in text or parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError
    if not (parts.path if parts.scheme == "unix" else parts.hostname) or parts.port == 0 or "@" in parts.path:
        raise ValueError
    return text


def _to_origin(text: str) -> str:
    """As browsers send it: in small letters, without a slash at its end."""
    origin = text.lower().removesuffix("/")
    if not re.fullmatch(r"\*|[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]*]+)(:[0-9]{1,5})?", origin):
        raise ValueError
    return origin


def _to_network(text: str) -> str:
    if text != "*":
        ipaddress.ip_network(text, strict=False)
    return text


def _to_allowed(text: str) -> str:
    """A network in its usual spelling, or the name of a host in small letters."""
    try:
        return str(ipaddress.ip_network(text.strip("[]"), strict=False))
    except ValueError:
        name = text.lower().removesuffix(".")
        # What ends in digits alone would be an address that is spelled wrong.
        if not re.fullmatch(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z_](?:[a-z0-9_-]*[a-z0-9_])?", name):
            raise
        return name


def is_mail_address(text: str) -> bool:
    """What an address in a header may be, without a name before it."""
    return bool(re.fullmatch(r"[!#-'*+/-9=?A-Z^-~.-]{1,64}@[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,252}[a-zA-Z0-9])?", text))


def _to_mail_address(text: str) -> str:
    if not is_mail_address(text):
        raise ValueError
    return text


def _to_contact(text: str) -> str:
    if text.startswith("https://"):
        return _to_web_address(text)
    return f"mailto:{_to_mail_address(text.removeprefix('mailto:'))}"


def _to_proxies(text: str) -> str:
    return ",".join(_to_network(part.strip()) for part in _split(text))


class LlmServer(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of PALAVER_LLM_SERVERS."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,49}$")]
    url: str
    key: Annotated[str, Meta(pattern="^[!-~]+$")] | None = None
    models: tuple[Annotated[str, Meta(pattern=r"^[^\x00-\x1f]{1,200}$")], ...] = ()
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    most_at_once: Annotated[int, Meta(ge=1, le=100_000)] | None = None

    def __repr__(self) -> str:
        return f"LlmServer({self.name!r})"


def _to_llm_servers(text: str) -> tuple[LlmServer, ...]:
    try:
        servers = msgspec.json.decode(text, type=tuple[LlmServer, ...])
    except msgspec.DecodeError as error:
        raise WrongPart(_find_part(str(error))) from error
    names: set[str] = set()
    for place, server in enumerate(servers, 1):
        if server.name in names:
            raise WrongPart(f"entry {place} has the `name` of one before it")
        names.add(server.name)
    return tuple(_to_llm_server(server, place) for place, server in enumerate(servers, 1))


def _to_llm_server(server: LlmServer, place: int) -> LlmServer:
    try:
        return replace(server, url=_to_web_address(server.url))
    except ValueError as error:
        raise WrongPart(f"`url` of entry {place} is no address") from error


def _find_part(said: str) -> str:
    """The entry and the field that msgspec complains of."""
    place = re.search(r"at `\$\[([0-9]+)\](?:\.([a-z_]+))?", said)
    if place is None:
        return "it is no JSON list of objects"
    entry = int(place[1]) + 1
    if place[2]:
        return f"`{place[2]}` of entry {entry} cannot be used"
    # A name with other characters may be a key that has slipped.
    unknown = re.search("unknown field `([a-z_]{1,30})`", said)
    if unknown is not None:
        return f"entry {entry} has `{unknown[1]}`, which is no field of a server"
    missing = re.search("missing required field `([a-z_]+)`", said)
    return f"entry {entry} lacks `{missing[1]}`" if missing else f"entry {entry} cannot be used"


PORT = whole(1, 65535)
# The time of each message is kept for a minute.
LIMIT = whole(0, 100_000)
BUDGET = whole(0)
MONEY = number(0, 1_000_000_000)
TEMPERATURE = number(0, 2)
OFF_ON = switch("off", "on")
TEXT = matching(".+", "text on one line")
HOST = matching(r"[^\s\[\]]+", "a host name or IP address, without a port or brackets")
PASSWORD = matching(".+", "text on one line")
KEY = matching("[!-~]+", "a key without blanks")
FOLDER = Kind("a folder", _to_folder)
WEB = Kind("an address like http://localhost:8001 or https://chat.example.org/v1", _to_web_address)
DATABASE = Kind(
    "postgresql://USER:PASSWORD@HOST:PORT/NAME, with the characters @ : / ? # of the password written as "
    "%40 %3A %2F %3F %23",
    _to_database_url,
)
REDIS = Kind("redis://HOST:PORT, rediss://HOST:PORT or unix://PATH", _to_redis_url)
LLM_SERVERS = Kind(
    'a JSON list like [{"name": "gpu1", "url": "http://10.0.0.5:8000", "key": "…", "models": ["qwen3:8b"], '
    '"weight": 2, "most_at_once": 16}], of which name (1 to 50 of a-z 0-9 . _ -, each once) and url are needed',
    _to_llm_servers,
)
ORIGINS = list_of(
    _to_origin, "* or origins like https://chat.example.org and http://localhost:3000, divided by commas or as JSON"
)
PORTS = list_of(PORT.parse, "ports from 1 to 65535, divided by commas; set to nothing it looks for none")
ALLOWED = list_of(_to_allowed, "names of hosts, IP addresses and networks, divided by commas")
FILE = Kind("a file", _to_folder)
MAIL = Kind("an address like palaver@example.org", _to_mail_address)
CONTACT = Kind("an address like mailto:admin@example.org or https://chat.example.org", _to_contact)
PROXIES = Kind("* or IP addresses and networks, divided by commas", _to_proxies)
