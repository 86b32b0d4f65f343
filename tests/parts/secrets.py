"""Every secret that the tests have used, so that each server's log and files are searched for them when it ends.

Whoever makes one or sends one notes it here: the client, the command line, the settings of a server. What a server
makes for itself is read from its database.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

# Shorter ones stand in a text by chance.
_LEAST = 12
# What random ones are made of: a log is cut into such pieces once, however many secrets there are.
_PIECE = re.compile(rb"[A-Za-z0-9_-]{12,}")
_SPELLED_SO = re.compile(r"[A-Za-z0-9_-]+")

# Fields of bodies, either way, that hold one, and cookies that are one. Only a hash of these is ever stored.
_HASHED = frozenset({"password", "old_password", "new_password", "token", "accessToken", "access_token"})
_COOKIES = frozenset({"palaver_session"})
# These have to be stored as they are: docs/security.md says why.
_KEPT = frozenset({"secret", "key"})
_LINK = re.compile(r"/sign-in/([A-Za-z0-9_-]{12,})")

_SETTINGS = (
    "PALAVER_METRICS_TOKEN",
    "DB_PASSWORD",
    "PALAVER_LLM_SERVER_KEY",
    "OPENAI_API_KEY",
    "PALAVER_EMBEDDING_KEY",
    "PALAVER_SMTP_PASSWORD",
)
# What a server without people prints for its operator, and for nobody else.
_FOR_THE_OPERATOR = re.compile(r"^Sign in as admin .*$", re.MULTILINE)


@dataclass(frozen=True)
class Secret:
    what: str
    url: str
    """Of the server that knows it; "" where that is any."""
    hashed: bool


_NOTED: dict[str, Secret] = {}


class Leaked(AssertionError):
    """A secret stands where it may not."""


def note(secret: str, what: str, *, url: str = "", hashed: bool = False) -> None:
    if len(secret) >= _LEAST:
        _NOTED.setdefault(secret, Secret(what, url, hashed))


def note_settings(environment: Mapping[str, str]) -> None:
    for name in _SETTINGS:
        note(environment.get(name, ""), name)
    for server in json.loads(environment.get("PALAVER_LLM_SERVERS") or "[]"):
        note(server.get("key") or "", "the key of an LLM server")


def note_printed(arguments: Iterable[str], printed: str, *, url: str) -> None:
    """What a command has printed: tokens, and links that sign in."""
    for code in _LINK.findall(printed):
        note(code, "a sign-in link", url=url, hashed=True)
    if list(arguments)[:2] == ["token", "create"]:
        for line in printed.splitlines():
            note(line if " " not in line else "", "a token", url=url, hashed=True)


def note_sent(body: object, *, url: str) -> None:
    for name, value in _fields(body):
        if name in _HASHED or name in _KEPT:
            note(value, f"`{name}` of a request", url=url, hashed=name in _HASHED)


def note_answered(content: bytes, cookies: Iterable[str], *, url: str) -> None:
    for name, morsel in SimpleCookie("\r\n".join(cookies)).items():
        if name in _COOKIES:
            note(morsel.value, f"the cookie {name}", url=url, hashed=True)
    # Most answers hold none: they are read no further.
    if any(f'"{name}":'.encode() in content for name in _HASHED | {"secret", "sign_in_link"}):
        for name, value in _fields(json.loads(content)):
            if name in _HASHED or name == "secret":
                note(value, f"`{name}` of an answer", url=url, hashed=name in _HASHED)
        for code in _LINK.findall(content.decode()):
            note(code, "a sign-in link", url=url, hashed=True)


def _fields(body: object) -> Iterator[tuple[str, str]]:
    """All fields of a body whose values are texts, however deep."""
    match body:
        case dict():
            for name, value in body.items():
                if isinstance(value, str):
                    yield name, value
                else:
                    yield from _fields(value)
        case list():
            for value in body:
                yield from _fields(value)


def check_nothing_leaked(log: str, data: Path, *, url: str) -> None:
    """Raises `Leaked`, naming what, where a secret is in a server's log, or one that is to be hashed in its files."""
    own = dict.fromkeys(_kept_by(data), "what the server keeps for itself")
    found = set(_in_text(_FOR_THE_OPERATOR.sub("", log), own))
    hashed = [secret for secret, noted in _NOTED.items() if noted.hashed and noted.url == url]
    for file in sorted(data.rglob("*")) if data.is_dir() else ():
        found |= {f"{_NOTED[secret].what} in {file.name}" for secret in _in_file(file, hashed)}
    if found:
        raise Leaked(f"A server has let out: {', '.join(sorted(found))}")


def _in_text(log: str, own: Mapping[str, str]) -> Iterator[str]:
    pieces = {piece.decode() for piece in _PIECE.findall(log.encode())}
    for secret, noted in _NOTED.items():
        if secret in pieces if _SPELLED_SO.fullmatch(secret) else secret in log:
            yield f"{noted.what} in the log"
    for secret, what in own.items():
        if secret in log:
            yield f"{what} in the log"


def _in_file(file: Path, secrets: Iterable[str]) -> list[str]:
    if not file.is_file():
        return []
    content = file.read_bytes()
    return [secret for secret in secrets if secret.encode() in content]


def _kept_by(data: Path) -> list[str]:
    """Its own keys: what cookies of guests are signed with, and what tells push services who it is."""
    file = data / "palaver.sqlite3"
    if not file.exists():
        return []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        try:
            rows: list[tuple[Any, ...]] = database.execute("SELECT value FROM server").fetchall()
        except sqlite3.DatabaseError:
            # A test has left no database there.
            return []
    return [line for (value,) in rows for line in str(value).splitlines() if len(line) > _LEAST and " " not in line]
