"""Templates, sessions and connections that were made elsewhere: brought once, however often they are sent."""

import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from palaver.chat.clock import Micros
from palaver.chat.conversation import ConversationId, NewConversation, PresetId, to_title
from palaver.chat.moved import (
    Arrived,
    MovedConnection,
    MovedKind,
    MovedMessage,
    MovedSession,
    MovedTemplate,
    Part,
    known_by_key,
)
from palaver.chat.preset import GENERAL, NewPreset, Preset, Rules, keep_slug, to_numbered
from palaver.chat.ranges import NAME_LENGTH
from palaver.chat.user import UserId
from palaver.store.database import Database, Row, Transaction
from palaver.store.locks import LOCK_CONVERSATIONS
from palaver.store.moving.adding import Known, add_messages, find_fresh
from palaver.store.presets import ADD as ADD_PRESET
from palaver.store.presets import BY_ID, BY_SLUG, NO_RULES, RULES
from palaver.store.rows import from_speaking, to_preset
from palaver.store.texts import Texts
from palaver.store.turns import add_conversation, count_use

T = TypeVar("T")

APP = "SELECT id FROM users WHERE kind = 'app' AND name_key = $1"
APP_USER = "SELECT id FROM users WHERE kind = 'app_user' AND app_id = $1 AND name = $2"
ADD_USER = (
    "INSERT INTO users (uuid, kind, name, name_key, app_id, created_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id"
)
MOVED = (
    "SELECT conversation_id, preset_id, exchanges, remembered_to FROM moved "
    "WHERE app_id = $1 AND kind = $2 AND digest = $3"
)
REMEMBER = (
    "INSERT INTO moved (app_id, kind, digest, conversation_id, preset_id, exchanges, remembered_to) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
MADE_HERE = "SELECT id, exchange_count FROM conversations WHERE uuid = $1 AND app_id = $2 AND kind = $3"
MADE_AT = (
    "SELECT c.created_at FROM moved m JOIN conversations c ON c.id = m.conversation_id "
    "WHERE m.app_id = $1 AND m.kind = $2 AND m.digest = $3"
)
MADE_HERE_AT = "SELECT created_at FROM conversations WHERE uuid = $1 AND app_id = $2 AND kind = $3"
TAKEN = "SELECT 1 FROM conversations WHERE uuid = $1"
NAME_TAKEN = "SELECT 1 FROM presets WHERE owner_id = $1 AND name = $2 AND deleted_at IS NULL"
GIVE_SLUG = "UPDATE presets SET slug = $2 WHERE id = $1"
ADD_PAIR = (
    "INSERT INTO conversations (uuid, kind, owner_id, app_id, origin, title, pair_key, created_at, updated_at) "
    "VALUES ($1, 'pair', $2, $3, 'people', '', $4, $5, $5) RETURNING id"
)
COME_IN = "INSERT INTO participants (conversation_id, user_id, joined_at) VALUES ($1, $2, $3)"
ACTIVE_PAIR = "SELECT 1 FROM conversations WHERE pair_key = $1"

OWNER = "SELECT u.name FROM conversations c JOIN users u ON u.id = c.owner_id WHERE c.id = $1 AND c.deleted_at IS NULL"
MEMBERS = (
    "SELECT u.name FROM participants p JOIN users u ON u.id = p.user_id "
    "JOIN conversations c ON c.id = p.conversation_id WHERE p.conversation_id = $1 AND c.deleted_at IS NULL"
)

KINDS = {"session": "bot", "connection": "pair"}

ENDED_FOR_ANOTHER = "the two have another active connection: this one is ended here"
OF_OTHERS = "it is of other users here"
WAITS_FOR_A_REPLY = "a reply is written in it just now: bring it again later"


class _NotKept(Exception):
    """Of a run that is only to tell what it would do."""


class SqlArriving:
    def __init__(self, database: Database, texts: Texts) -> None:
        self._database = database
        self._texts = texts

    async def made_at(self, app: str, kind: MovedKind, key: str) -> Micros | None:
        async def work(tx: Transaction) -> Micros | None:
            row = await tx.one(APP, app.casefold())
            if row is None:
                return None
            found = await tx.one(MADE_AT, row[0], kind, known_by_key(key))
            found = found or await tx.one(MADE_HERE_AT, key.lower(), row[0], KINDS[kind])
            return None if found is None else Micros(found[0])

        return await self._database.read(work)

    async def add_templates(
        self, app: str, templates: Sequence[MovedTemplate], now: Micros, *, dry: bool
    ) -> Sequence[Arrived]:
        async def work(tx: Transaction) -> list[Arrived]:
            app_id = await find_or_add_app(tx, app, now)
            return [await _add_template(tx, app_id, template, now) for template in templates]

        return await self._write(work, dry=dry)

    async def add_parts(self, app: str, parts: Sequence[Part], now: Micros, *, dry: bool) -> Sequence[Arrived]:
        async def work(tx: Transaction) -> list[Arrived]:
            adding = _Adding(tx, self._texts, await find_or_add_app(tx, app, now), now)
            await adding.hold(parts)
            arrived = [await adding.add(part) for part in parts]
            await count_use(tx, adding.made)
            return arrived

        return await self._write(work, dry=dry)

    async def _write(self, work: Callable[[Transaction], Awaitable[T]], *, dry: bool) -> T:
        told: list[T] = []

        async def only_tell(tx: Transaction) -> T:
            told.append(await work(tx))
            raise _NotKept

        if not dry:
            return await self._database.write(work)
        try:
            return await self._database.write(only_tell)
        except _NotKept:
            return told[-1]


async def find_or_add_app(tx: Transaction, name: str, now: Micros) -> UserId:
    row = await tx.one(APP, name.casefold())
    if row is None:
        row = await tx.one(ADD_USER, str(uuid.uuid4()), "app", name, name.casefold(), None, now)
    assert row is not None
    return UserId(row[0])


async def _add_template(tx: Transaction, app_id: UserId, template: MovedTemplate, now: Micros) -> Arrived:
    digest = known_by_key(template.key)
    if await tx.one(MOVED, app_id, "template", digest) is not None:
        return Arrived()
    slug = keep_slug(template.key)
    row = await tx.one(BY_SLUG, slug)
    if row is not None and _says(to_preset(row)) == template.new:
        await tx.run(REMEMBER, app_id, "template", digest, None, row[0], 0, 0)
        return Arrived()
    wanted, number = slug, 2
    while slug and await tx.one(BY_SLUG, slug) is not None:
        slug, number = to_numbered(wanted, number), number + 1
    new = template.new
    name = await _free_name(tx, app_id, new.name)
    added = await tx.one(
        ADD_PRESET, slug, app_id, name, new.title, new.description, new.category, new.prompt, new.welcome,
        json.dumps(new.tags), "public" if new.is_public else "private", new.is_default, now,
        *from_speaking(new.speaking),
    )  # fmt: skip
    assert added is not None
    if not slug:
        slug = f"preset-{added[0]}"
        await tx.run(GIVE_SLUG, added[0], slug)
    await tx.run(REMEMBER, app_id, "template", digest, None, added[0], 0, 0)
    return Arrived(is_new=True, note=None if slug == template.key else f"its id is {slug} here")


def _says(preset: Preset) -> NewPreset:
    return NewPreset(
        preset.name, preset.prompt, preset.speaking, preset.title, preset.description, preset.category, preset.welcome,
        preset.tags, preset.is_public, preset.is_default,
    )  # fmt: skip


async def _free_name(tx: Transaction, owner_id: UserId, name: str) -> str:
    wanted, number = name, 2
    while await tx.one(NAME_TAKEN, owner_id, name) is not None:
        suffix = f" {number}"
        name, number = wanted[: NAME_LENGTH - len(suffix)] + suffix, number + 1
    return name


class _Adding:
    """One transaction. What it has looked up once it does not look up again."""

    def __init__(self, tx: Transaction, texts: Texts, app_id: UserId, now: Micros) -> None:
        self._tx = tx
        self._texts = texts
        self._app_id = app_id
        self._now = now
        self._users: dict[str, UserId] = {}
        self._presets: dict[str, Preset] = {}
        self._rules: Rules | None = None
        self.made: list[NewConversation] = []

    async def hold(self, parts: Sequence[Part]) -> None:
        """See store/locks.py."""
        if not self._tx.lock:
            return
        rows = [await self._tx.one(MOVED, self._app_id, *_key(part)) for part in parts]
        held = [row[0] for row in rows if row is not None and row[0] is not None]
        if held:
            await self._tx.all(LOCK_CONVERSATIONS, held)

    async def add(self, part: Part) -> Arrived:
        row = await self._moved(part)
        if row is None:
            return await self._make(part)
        conversation_id, _, exchanges, remembered_to = row[:4]
        if conversation_id is None:
            # It was deleted here for good.
            return Arrived(unchanged=len(part.messages))
        known = Known(conversation_id, exchanges, remembered_to)
        if await self._names(part, known) not in (set(), _named(part.of)):
            return Arrived(refused=OF_OTHERS)
        fresh = await find_fresh(self._tx, known, part)
        if fresh is None:
            return Arrived(refused=WAITS_FOR_A_REPLY)
        await add_messages(self._tx, known, part, fresh, await self._senders(part.of, fresh))
        return Arrived(added=len(fresh), unchanged=len(part.messages) - len(fresh))

    async def _names(self, part: Part, known: Known) -> set[str]:
        """Whose it is here; nobody's where it was deleted."""
        whose = OWNER if isinstance(part.of, MovedSession) else MEMBERS
        return {row[0] for row in await self._tx.all(whose, known.id)}

    async def _moved(self, part: Part) -> Row | None:
        kind, digest = _key(part)
        row = await self._tx.one(MOVED, self._app_id, kind, digest)
        if row is not None or part.of.uuid is None:
            return row
        found = await self._tx.one(MADE_HERE, part.of.uuid, self._app_id, KINDS[kind])
        if found is None:
            return None
        # It was made here, and comes back as it was taken from here.
        await self._tx.run(REMEMBER, self._app_id, kind, digest, found[0], None, found[1], 0)
        return (found[0], None, found[1], 0)

    async def _make(self, part: Part) -> Arrived:
        of, note, ends = part.of, None, part.of.ended
        if isinstance(of, MovedSession):
            conversation_id = await self._make_session(of, part.messages)
        else:
            conversation_id, is_active = await self._make_pair(of)
            if not is_active and not of.ended:
                ends, note = True, ENDED_FOR_ANOTHER
        kind, digest = _key(part)
        await self._tx.run(REMEMBER, self._app_id, kind, digest, conversation_id, None, 0, 0)
        known = Known(conversation_id, 0, 0, is_new=True, ends=ends)
        await add_messages(self._tx, known, part, part.messages, await self._senders(of, part.messages))
        return Arrived(is_new=True, added=len(part.messages), note=note)

    async def _make_session(self, of: MovedSession, messages: Sequence[MovedMessage]) -> ConversationId:
        preset = await self._preset(of.template)
        prompt = of.prompt
        if prompt is None:
            prompt = (await self._universal_rules()).before(preset.prompt)
        first = next((message.content for message in messages if message.role == "user"), "")
        new = NewConversation(
            uuid=await self._free_uuid(of.uuid),
            owner_id=await self._user(of.user),
            app_id=self._app_id,
            origin="chatify",
            title=to_title(first),
            system_prompt=prompt,
            speaking=preset.speaking,
            preset_id=preset.id,
            preset_slug=preset.slug,
            label=of.user,
        )
        made = await add_conversation(self._tx, self._texts, new, of.created_at)
        self.made.append(new)
        return made.id

    async def _make_pair(self, of: MovedConnection) -> tuple[ConversationId, bool]:
        """And whether it is active: of two people one is."""
        users = [await self._user(of.user1), await self._user(of.user2)]
        key = ":".join(str(user_id) for user_id in sorted(users))
        is_active = not of.ended and await self._tx.one(ACTIVE_PAIR, key) is None
        values = (users[0], self._app_id, key if is_active else None, of.created_at)
        row = await self._tx.one(ADD_PAIR, await self._free_uuid(of.uuid), *values)
        assert row is not None
        await self._tx.run_many(COME_IN, [(row[0], user_id, of.created_at) for user_id in users])
        return ConversationId(row[0]), is_active

    async def _senders(self, of: MovedSession | MovedConnection, messages: Sequence[MovedMessage]) -> dict[str, UserId]:
        if isinstance(of, MovedSession):
            return {"": await self._user(of.user)} if messages else {}
        return {name: await self._user(name) for name in (of.user1, of.user2)} if messages else {}

    async def _user(self, name: str) -> UserId:
        known = self._users.get(name)
        if known is None:
            row = await self._tx.one(APP_USER, self._app_id, name)
            if row is None:
                values = (str(uuid.uuid4()), "app_user", name, name.casefold(), self._app_id, self._now)
                row = await self._tx.one(ADD_USER, *values)
            assert row is not None
            known = self._users[name] = UserId(row[0])
        return known

    async def _preset(self, template: str) -> Preset:
        known = self._presets.get(template)
        if known is None:
            known = self._presets[template] = await self._find_preset(template)
        return known

    async def _find_preset(self, template: str) -> Preset:
        """One that was brought by that name; else one that everybody may use; else `general`."""
        moved = await self._tx.one(MOVED, self._app_id, "template", known_by_key(template))
        row = None
        if moved is not None and moved[1] is not None:
            row = await self._tx.one(BY_ID, PresetId(moved[1]))
        row = row or await self._tx.one(BY_SLUG, template)
        preset = None if row is None else to_preset(row)
        if preset is None or not (preset.is_public or preset.owner_id == self._app_id):
            row = await self._tx.one(BY_SLUG, GENERAL)
            assert row is not None, "the built-in preset cannot be deleted"
            preset = to_preset(row)
        return preset

    async def _universal_rules(self) -> Rules:
        if self._rules is None:
            row = await self._tx.one(RULES)
            self._rules = NO_RULES if row is None else msgspec.json.decode(row[0], type=Rules)
        return self._rules

    async def _free_uuid(self, wanted: str | None) -> str:
        """The wanted one, unless another application has it."""
        if wanted is None or await self._tx.one(TAKEN, wanted) is not None:
            return str(uuid.uuid4())
        return wanted


def _key(part: Part) -> tuple[MovedKind, bytes]:
    return "session" if isinstance(part.of, MovedSession) else "connection", known_by_key(part.of.key)


def _named(of: MovedSession | MovedConnection) -> set[str]:
    return {of.user} if isinstance(of, MovedSession) else {of.user1, of.user2}
