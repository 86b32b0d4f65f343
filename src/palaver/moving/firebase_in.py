"""`palaver import firebase`: what a Firebase export tells, made conversations, presets and messages here."""

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

from palaver.chat.clock import Clock, Micros
from palaver.chat.conversation import Speaking
from palaver.chat.moved import (
    Arrived,
    MovedConnection,
    MovedMessage,
    MovedRole,
    MovedSession,
    MovedTemplate,
    Part,
    known_among_alike,
    known_by_id,
    known_by_words,
)
from palaver.chat.ports.moving import Arriving
from palaver.chat.preset import GENERAL, NewPreset
from palaver.chat.ranges import MAX_TOKENS, MODEL_LENGTH, NAME_LENGTH, PENALTY, PROMPT_LENGTH, TEMPERATURE, Range
from palaver.moving.alike import Alike
from palaver.moving.firebase_file import (
    CONNECTIONS,
    HISTORY,
    MESSAGES,
    SESSIONS,
    TEMPLATES,
    Entry,
    Fields,
    Found,
    Skipped,
    list_sections,
    read,
)
from palaver.moving.json_stream import Odd, Scalar
from palaver.moving.report import Report
from palaver.moving.spool import Spool
from palaver.moving.values import to_count, to_line, to_micros, to_name, to_number, to_text, to_truth, to_uuid

KINDS = (TEMPLATES, SESSIONS, HISTORY, CONNECTIONS, MESSAGES)
ELSEWHERE = "top level"

USER_LENGTH = 255

# As templates made over chatify's own API have it where they say nothing.
TEMPERATURE_OF_MOST, TOKENS_OF_MOST, WINDOW = 0.9, 150, 10
TAGS, TAG_LENGTH = 20, 50

Makes = Callable[[Scalar | Odd], object]

# What is taken as if it were not there where it makes no sense; whoever reads the report hears of it.
TIME, TRUTH, COUNT = "it is no time", "it is neither true nor false", "it is no whole number"
SENSE: Mapping[str, tuple[Makes, str]] = {
    "temperature": (lambda value: _within(TEMPERATURE, value), "it is no number from 0 to 2"),
    "maxTokens": (lambda value: _within(MAX_TOKENS, value), "it is no number of tokens"),
    "max_tokens": (lambda value: _within(MAX_TOKENS, value), "it is no number of tokens"),
    "presencePenalty": (lambda value: _within(PENALTY, value), "it is no number from -2 to 2"),
    "frequencyPenalty": (lambda value: _within(PENALTY, value), "it is no number from -2 to 2"),
    "isPublic": (to_truth, f"{TRUTH}: it stays private"),
    "isDefault": (to_truth, TRUTH),
    "created_at": (to_micros, TIME),
    "createdAt": (to_micros, TIME),
    "last_activity": (to_micros, TIME),
    "ended_at": (to_micros, TIME),
    "message_count": (to_count, COUNT),
}

# One transaction: a server beside this one waits for it, a quarter of a second at the most.
MOST_MESSAGES, MOST_CHARACTERS = 10_000, 8_000_000
# Short conversations share one.
ENOUGH_MESSAGES, ENOUGH_PARTS = 2_000, 100

ROLES: dict[str, MovedRole] = {"user": "user", "assistant": "assistant", "system": "system"}


class _Waiting(NamedTuple):
    """To be brought with others. `is_rest`: the conversation itself was told of with its first part."""

    path: str
    part: Part
    is_rest: bool


class FirebaseImport:
    """Brings one file into one application. `report` tells what came of it."""

    def __init__(self, arriving: Arriving, clock: Clock, app: str, report: Report, *, dry: bool = False) -> None:
        self._arriving = arriving
        self._clock = clock
        self._app = app
        self._report = report
        self._dry = dry
        self._waiting: list[_Waiting] = []
        self._weight = 0

    async def run(self, file: BinaryIO) -> None:
        """Raises `Unreadable` before anything is brought where the file is no whole JSON object."""
        sections = list_sections(file)
        for key in sections:
            if key not in (TEMPLATES, SESSIONS, CONNECTIONS):
                self._report.skip(ELSEWHERE, key, "unknown top-level key")
        wanted = frozenset({TEMPLATES, SESSIONS, CONNECTIONS})
        if SESSIONS in sections and TEMPLATES in sections[sections.index(SESSIONS) :]:
            # A session takes its settings from its template, which has to be there first.
            await self._bring(file, frozenset({TEMPLATES}))
            wanted -= {TEMPLATES}
        await self._bring(file, wanted)

    async def _bring(self, file: BinaryIO, sections: frozenset[str]) -> None:
        for found in read(file, sections):
            match found:
                case Skipped():
                    self._report.skip(found.kind, found.path, found.reason)
                case Found():
                    self._note_senseless(found)
                    await self._bring_one(found)
        await self._flush()

    def _note_senseless(self, found: Found) -> None:
        for field, value in found.fields.items():
            makes, why_not = SENSE.get(field, (None, ""))
            if makes is not None and value is not None and makes(value) is None:
                self._report.note(f"{found.path}/{field}", f"{why_not}; the rest is taken")

    async def _bring_one(self, found: Found) -> None:
        match found.section:
            case "templates":
                await self._bring_template(found)
            case "userSessions":
                await self._bring_session(found)
            case _:
                await self._bring_connection(found)

    async def _bring_template(self, found: Found) -> None:
        prompt = to_text(found.fields.get("personalityPrompt")) or to_text(found.fields.get("systemPrompt"))
        if not prompt:
            self._report.skip(TEMPLATES, found.path, "no prompt")
        elif len(prompt) > PROMPT_LENGTH:
            self._report.skip(TEMPLATES, found.path, f"its prompt has more than {PROMPT_LENGTH} characters")
        else:
            template = MovedTemplate(found.key, _to_preset(found, prompt))
            [arrived] = await self._arriving.add_templates(self._app, [template], self._clock.now(), dry=self._dry)
            self._count(TEMPLATES, found.path, arrived)

    async def _bring_session(self, found: Found) -> None:
        fields = found.fields
        user = to_name(fields.get("user_id"))
        if why_not := _why_no_user(user, "user_id"):
            self._report.skip(SESSIONS, found.path, why_not)
            return
        assert user is not None
        created_at = to_micros(fields.get("created_at"))
        last_activity = to_micros(fields.get("last_activity"))
        if created_at is None:
            created_at = await self._arriving.made_at(self._app, "session", found.key)
        if created_at is None:
            created_at = _first_time(found.entries)
        if created_at is None:
            created_at = self._clock.now() if last_activity is None else last_activity
        session = MovedSession(
            key=found.key,
            uuid=to_uuid(found.key),
            user=user,
            template=to_name(fields.get("template_id")) or GENERAL,
            prompt=to_text(fields.get("system_prompt")),
            ended=fields.get("status") != "active",
            created_at=created_at,
            last_activity=last_activity,
            ended_at=to_micros(fields.get("ended_at")),
            exchanges=to_count(fields.get("message_count")),
        )
        await self._bring_parts(found.path, session, self._to_history(found, created_at))

    def _to_history(self, found: Found, created_at: Micros) -> Iterator[MovedMessage]:
        alike, at = Alike(), created_at
        for _, entry in found.entries:
            at = at if entry.at is None else entry.at
            role = ROLES.get(entry.role or "")
            why_not = entry.why_not or (None if role else "unknown role")
            if why_not or role is None or entry.content is None:
                self._report.skip(HISTORY, f"{found.path}/{HISTORY}/{entry.key}", why_not or "no content")
                continue
            by_words = known_by_words(role, entry.content, at)
            yield MovedMessage(known_among_alike(by_words, alike.count(by_words, at)), role, entry.content, at)

    async def _bring_connection(self, found: Found) -> None:
        fields = found.fields
        users = to_name(fields.get("user1Id")), to_name(fields.get("user2Id"))
        why_not = _why_no_user(users[0], "user1Id") or _why_no_user(users[1], "user2Id")
        if why_not is None and users[0] == users[1]:
            why_not = "a connection of a user with itself"
        if why_not is not None or users[0] is None or users[1] is None:
            self._report.skip(CONNECTIONS, found.path, why_not or "no user")
            return
        created_at = to_micros(fields.get("createdAt"))
        if created_at is None:
            created_at = await self._arriving.made_at(self._app, "connection", found.key)
        if created_at is None:
            created_at = min(_times(found.entries), default=self._clock.now())
        connection = MovedConnection(
            key=found.key,
            uuid=to_uuid(found.key) or to_uuid(to_name(fields.get("connectionId")) or ""),
            user1=users[0],
            user2=users[1],
            ended=fields.get("status") != "active",
            created_at=created_at,
        )
        with Spool(Entry) as by_time:
            at = created_at
            for _, entry in found.entries:
                at = at if entry.at is None else entry.at
                by_time.add(at, entry, len(entry.content or ""))
            await self._bring_parts(found.path, connection, self._to_messages(found.path, users, by_time))

    def _to_messages(
        self, path: str, users: tuple[str | None, str | None], by_time: Spool[Entry]
    ) -> Iterator[MovedMessage]:
        for at, entry in by_time:
            why_not = entry.why_not or (
                None if entry.sender in users and entry.sender else "its sender is not of the pair"
            )
            if why_not or entry.content is None:
                self._report.skip(MESSAGES, f"{path}/{MESSAGES}/{entry.key}", why_not or "no content")
                continue
            called = entry.id or entry.key
            yield MovedMessage(known_by_id(called), "user", entry.content, Micros(int(at)), entry.sender, called)

    async def _bring_parts(
        self, path: str, of: MovedSession | MovedConnection, messages: Iterator[MovedMessage]
    ) -> None:
        part: list[MovedMessage] = []
        weight, is_long = 0, False
        for message in messages:
            part.append(message)
            weight += len(message.content)
            if len(part) >= MOST_MESSAGES or weight >= MOST_CHARACTERS:
                # What it waits for comes first, so that what is told of it is told once.
                self._add(path, Part(of, part), weight, is_rest=is_long)
                if not await self._flush():
                    # What comes next would stand before it, once it is brought again.
                    return
                part, weight, is_long = [], 0, True
        if part or not is_long:
            self._add(path, Part(of, part), weight, is_rest=is_long)
            if self._weight >= ENOUGH_MESSAGES or len(self._waiting) >= ENOUGH_PARTS:
                await self._flush()

    def _add(self, path: str, part: Part, weight: int, *, is_rest: bool) -> None:
        self._waiting.append(_Waiting(path, part, is_rest))
        self._weight += len(part.messages) + weight * ENOUGH_MESSAGES // MOST_CHARACTERS

    async def _flush(self) -> bool:
        """Whether the last of those that waited was taken, where any did."""
        waiting, self._waiting, self._weight = self._waiting, [], 0
        if not waiting:
            return True
        parts = [one.part for one in waiting]
        arrived = await self._arriving.add_parts(self._app, parts, self._clock.now(), dry=self._dry)
        for waited, came in zip(waiting, arrived, strict=True):
            self._tell(waited, came)
        return arrived[-1].refused is None

    def _tell(self, waited: _Waiting, came: Arrived) -> None:
        is_session = isinstance(waited.part.of, MovedSession)
        kind = HISTORY if is_session else MESSAGES
        if not waited.is_rest:
            self._count(SESSIONS if is_session else CONNECTIONS, waited.path, came)
        elif came.refused is not None:
            self._report.skip(kind, f"{waited.path}/{kind}", f"the rest: {came.refused}")
        if came.refused is None:
            self._report.added[kind] += came.added
            self._report.unchanged[kind] += came.unchanged

    def _count(self, kind: str, path: str, arrived: Arrived) -> None:
        if arrived.refused is not None:
            self._report.skip(kind, path, arrived.refused)
            return
        (self._report.added if arrived.is_new else self._report.unchanged)[kind] += 1
        if arrived.note is not None:
            self._report.note(path, arrived.note)


def _why_no_user(name: str | None, field: str) -> str | None:
    if name is None:
        return f"no {field}"
    return f"its {field} has more than {USER_LENGTH} characters" if len(name) > USER_LENGTH else None


def _times(entries: Spool[Entry]) -> Iterator[Micros]:
    return (entry.at for _, entry in entries if entry.at is not None)


def _first_time(entries: Spool[Entry]) -> Micros | None:
    return next(_times(entries), None)


def _to_preset(found: Found, prompt: str) -> NewPreset:
    fields = found.fields
    name = to_line(fields.get("name"), NAME_LENGTH) or to_line(found.key, NAME_LENGTH)
    is_public = fields.get("isPublic")
    return NewPreset(
        name=name,
        prompt=prompt,
        title=to_line(fields.get("title"), 200) or name,
        description=to_line(fields.get("description"), 500),
        category=to_line(fields.get("category"), 100) or "general",
        welcome=to_line(fields.get("welcomeMessage"), 1000),
        speaking=_to_speaking(fields),
        tags=tuple(to_line(tag, TAG_LENGTH) for tag in found.tags[:TAGS] if to_text(tag)),
        # Whoever wrote something else than a yes did not mean everybody.
        is_public=is_public is None or to_truth(is_public) is True,
        is_default=to_truth(fields.get("isDefault")) is True,
    )


def _to_speaking(fields: Fields) -> Speaking:
    tokens = fields.get("maxTokens")
    most = _within(MAX_TOKENS, fields.get("max_tokens") if tokens is None else tokens)
    temperature = _within(TEMPERATURE, fields.get("temperature"))
    return Speaking(
        model=to_line(fields.get("model"), MODEL_LENGTH) or None,
        temperature=TEMPERATURE_OF_MOST if temperature is None else temperature,
        max_tokens=TOKENS_OF_MOST if most is None else int(most),
        presence_penalty=_within(PENALTY, fields.get("presencePenalty")),
        frequency_penalty=_within(PENALTY, fields.get("frequencyPenalty")),
        window=WINDOW,
        slides=True,
    )


def _within(allowed: Range, value: Scalar | Odd) -> float | None:
    """What makes no sense is as if it were not there."""
    number = to_number(value)
    return number if number is not None and allowed.holds(number) else None
