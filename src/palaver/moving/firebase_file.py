"""A Firebase export, read: its templates, sessions and connections one after the other, with their paths in it."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final, Literal

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.moving.json_stream import Event, JsonStream, Odd, Scalar, Unreadable
from palaver.moving.spool import Spool
from palaver.moving.values import to_micros, to_place, to_text

TEMPLATES: Final = "templates"
SESSIONS: Final = "userSessions"
CONNECTIONS: Final = "connections"
HISTORY, MESSAGES = "conversation_history", "messages"

BOM = b"\xef\xbb\xbf"

TEMPLATE_FIELDS = frozenset({
    "name", "personalityPrompt", "systemPrompt", "title", "description", "category", "welcomeMessage", "model",
    "temperature", "maxTokens", "max_tokens", "presencePenalty", "frequencyPenalty", "isPublic", "isDefault",
})  # fmt: skip
SESSION_FIELDS = frozenset({
    "user_id", "template_id", "system_prompt", "status", "created_at", "last_activity", "ended_at", "message_count",
})  # fmt: skip
CONNECTION_FIELDS = frozenset({"connectionId", "user1Id", "user2Id", "status", "createdAt"})
ENTRY_FIELDS = frozenset({"role", "content", "timestamp", "messageId", "senderId"})

Fields = Mapping[str, Scalar | Odd]


class Entry(Struct, frozen=True, array_like=True):
    """Of a list of messages, as it stands there. What is None is missing, or not what it should be; `why_not` is why it
    cannot be brought."""

    key: str
    role: str | None
    content: str | None
    at: Micros | None
    sender: str | None
    id: str | None
    why_not: str | None = None


class Found(Struct, frozen=True):
    """Something with a path: a template, session or connection. `entries` is good until the next one is asked for."""

    section: Literal["templates", "userSessions", "connections"]
    key: str
    fields: Fields
    tags: tuple[Scalar | Odd, ...]
    entries: Spool[Entry]

    @property
    def path(self) -> str:
        return f"{self.section}/{self.key}"


class Skipped(Struct, frozen=True):
    path: str
    kind: str
    reason: str


def list_sections(file: BinaryIO) -> list[str]:
    """The keys at the top, in their order, of a file that was read to its end. Raises `Unreadable`."""
    stream = _open(file)
    first = stream.next()
    if first[0] != "start_map":
        raise Unreadable("it is no object")
    keys = []
    for key, value in stream.items(first):
        keys.append(key)
        stream.skip(value)
    stream.check_end()
    return keys


def read(file: BinaryIO, sections: frozenset[str]) -> Iterator[Found | Skipped]:
    """All that stands in these sections."""
    stream = _open(file)
    for section, value in stream.items(stream.next()):
        if section not in sections:
            stream.skip(value)
        elif section == TEMPLATES:
            yield from _read_section(stream, value, TEMPLATES, TEMPLATE_FIELDS, None)
        elif section == SESSIONS:
            yield from _read_section(stream, value, SESSIONS, SESSION_FIELDS, HISTORY)
        elif section == CONNECTIONS:
            yield from _read_section(stream, value, CONNECTIONS, CONNECTION_FIELDS, MESSAGES)


def _open(file: BinaryIO) -> JsonStream:
    file.seek(0)
    if file.read(len(BOM)) != BOM:
        file.seek(0)
    return JsonStream(file)


def _read_section(
    stream: JsonStream,
    value: Event,
    section: Literal["templates", "userSessions", "connections"],
    fields: frozenset[str],
    entries: str | None,
) -> Iterator[Found | Skipped]:
    if value[0] not in ("start_map", "start_array", "null"):
        yield Skipped(section, section, "it is neither an object nor a list")
    for key, first in stream.items(value):
        if first[0] == "null":
            continue
        if first[0] != "start_map":
            stream.skip(first)
            yield Skipped(f"{section}/{key}", section, "it is no object")
            continue
        with Spool(Entry) as spool:
            yield _read_one(stream, first, Found(section, key, {}, (), spool), fields, entries)


def _read_one(stream: JsonStream, first: Event, found: Found, fields: frozenset[str], entries: str | None) -> Found:
    held: dict[str, Scalar | Odd] = {}
    tags: tuple[Scalar | Odd, ...] = ()
    for key, value in stream.items(first):
        if key in fields:
            held[key] = stream.scalar(value)
        elif key == entries:
            _read_entries(stream, value, found.entries)
        elif key == "tags":
            tags = tuple(stream.scalar(tag) for _, tag in stream.items(value))
        else:
            stream.skip(value)
    return Found(found.section, found.key, held, tags, found.entries)


def _read_entries(stream: JsonStream, value: Event, spool: Spool[Entry]) -> None:
    for key, first in stream.items(value):
        if first[0] == "null":
            continue
        if first[0] == "start_map":
            held = {name: stream.scalar(one) for name, one in _wanted(stream, first)}
            entry = _to_entry(key, held)
        else:
            stream.skip(first)
            entry = Entry(key, None, None, None, None, None, "it is no object")
        spool.add(to_place(key), entry, len(entry.content or ""))


def _wanted(stream: JsonStream, first: Event) -> Iterator[tuple[str, Event]]:
    for name, value in stream.items(first):
        if name in ENTRY_FIELDS:
            yield name, value
        else:
            stream.skip(value)


def _to_entry(key: str, held: Fields) -> Entry:
    content = to_text(held.get("content"))
    why_not = None
    if content is None:
        holds = isinstance(held.get("content"), str)
        why_not = "its content holds a character that cannot be kept" if holds else "no content"
    return Entry(
        key,
        _to_word(held.get("role")),
        content,
        to_micros(held.get("timestamp")),
        _to_word(held.get("senderId")),
        _to_word(held.get("messageId")),
        why_not,
    )


def _to_word(value: Scalar | Odd) -> str | None:
    if isinstance(value, bool) or value is None or isinstance(value, Odd):
        return None
    return to_text(str(value))
