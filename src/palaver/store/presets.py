"""Presets and the universal rules in the database."""

import json
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.conversation import PresetId
from palaver.chat.errors import Invalid, NotFound, Taken
from palaver.chat.preset import (
    DOMAIN,
    DomainSettings,
    NewPreset,
    Preset,
    PresetChange,
    PresetContent,
    PresetVersion,
    Rules,
    RulesChange,
    VersionListed,
    to_content,
    to_numbered,
    to_slug,
)
from palaver.chat.user import Reader, User, UserId
from palaver.store.database import Database, Transaction
from palaver.store.rows import PRESET, SPEAKING, from_speaking, to_preset

# $1 the reader, $2 whether the reader is an admin.
VISIBLE = (
    "p.deleted_at IS NULL AND (p.visibility = 'public' OR p.owner_id = $1 OR $2 "
    "OR EXISTS (SELECT 1 FROM preset_shares s WHERE s.preset_id = p.id AND s.user_id = $1))"
)
LIST = f"SELECT {PRESET} FROM presets p WHERE {VISIBLE} ORDER BY p.id"
BY_ID = f"SELECT {PRESET} FROM presets p WHERE p.id = $1 AND p.deleted_at IS NULL"
VISIBLE_BY_ID = f"SELECT {PRESET} FROM presets p WHERE p.id = $3 AND {VISIBLE}"
VISIBLE_BY_SLUG = f"SELECT {PRESET} FROM presets p WHERE p.slug = $3 AND {VISIBLE}"
BY_SLUG = f"SELECT {PRESET} FROM presets p WHERE p.slug = $1 AND p.deleted_at IS NULL"
ADD = (
    "INSERT INTO presets (slug, owner_id, name, title, description, category, prompt, welcome, tags, visibility, "
    f"is_default, created_at, updated_at, changed_by, {SPEAKING}) VALUES "
    "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $2, "
    "$13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24) RETURNING id"
)
CHANGED = "UPDATE presets SET updated_at = $2, changed_by = $3, version = version + 1 WHERE id = $1"
KEEP_VERSION = (
    "INSERT INTO preset_versions (preset_id, number, changed_at, changed_by, content) VALUES ($1, $2, $3, $4, $5)"
)
VERSIONS = (
    "SELECT version, updated_at, changed_by FROM presets WHERE id = $1 AND deleted_at IS NULL UNION ALL "
    "SELECT number, changed_at, changed_by FROM preset_versions WHERE preset_id = $1 "
    "ORDER BY 1 DESC LIMIT $2 OFFSET $3"
)
VERSION = "SELECT number, changed_at, changed_by, content FROM preset_versions WHERE preset_id = $1 AND number = $2"
SHARED_WITH = (
    "SELECT u.name FROM preset_shares s JOIN users u ON u.id = s.user_id WHERE s.preset_id = $1 ORDER BY u.name_key"
)
PERSON = "SELECT id FROM users WHERE kind = 'person' AND name_key = $1"
EVERYTHING = 1 << 62
RULES = "SELECT value FROM server WHERE name = 'rules'"
ADD_RULES = "INSERT INTO server (name, value) VALUES ('rules', $1) ON CONFLICT (name) DO NOTHING"
FOLLOWED = "SELECT value FROM server WHERE name = 'domain_settings'"
FOLLOW = "INSERT INTO server (name, value) VALUES ('domain_settings', $1) ON CONFLICT (name) DO UPDATE SET value = $1"
NO_RULES = Rules("", "1.0", True, Micros(0))

# The fields of a change, and the columns they are kept in where the names differ.
COLUMNS = {"window": "history_window"}


class _Followed(Struct, frozen=True):
    """The settings that `domain` has followed, without what an admin has made another: that is followed no more."""

    model: str | UnsetType = UNSET
    temperature: float | UnsetType = UNSET


BUILT_IN = _Followed(DomainSettings().model, DomainSettings().temperature)


class SqlPresets:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def visible(self, reader: Reader) -> Sequence[Preset]:
        rows = await self._database.read(lambda tx: tx.all(LIST, reader.user_id, reader.is_admin))
        return [to_preset(row) for row in rows]

    async def get(self, preset_id: PresetId) -> Preset | None:
        return await self._database.read(lambda tx: _get(tx, preset_id))

    async def find(self, slug: str) -> Preset | None:
        row = await self._database.read(lambda tx: tx.one(BY_SLUG, slug))
        return None if row is None else to_preset(row)

    async def access(self, reader: Reader, preset: PresetId | str) -> Preset:
        sql = VISIBLE_BY_SLUG if isinstance(preset, str) else VISIBLE_BY_ID
        row = await self._database.read(lambda tx: tx.one(sql, reader.user_id, reader.is_admin, preset))
        if row is None:
            raise NotFound
        return to_preset(row)

    async def add(self, owner: User, new: NewPreset, now: Micros, *, refuse_taken: Reader | None) -> Preset:
        async def work(tx: Transaction) -> Preset:
            await _check_name(tx, owner.id, new.name)
            slug = await _free_slug(tx, new.slug or to_slug(new.name), refuse_taken)
            row = await tx.one(
                ADD, slug, owner.id, new.name, new.title or new.name, new.description, new.category, new.prompt,
                new.welcome, json.dumps(new.tags), "public" if new.is_public else "private", new.is_default, now,
                *from_speaking(new.speaking),
            )  # fmt: skip
            assert row is not None
            if not slug:
                slug = await _free_slug(tx, f"preset-{row[0]}", None)
                await tx.run("UPDATE presets SET slug = $2 WHERE id = $1", row[0], slug)
            return await _must_get(tx, PresetId(row[0]))

        return await self._database.write(work)

    async def change(
        self, preset_id: PresetId, change: PresetChange, now: Micros, *, by: UserId | None = None
    ) -> Preset:
        async def work(tx: Transaction) -> Preset:
            # Held from here on: two changes at once would keep one and the same version, and lose one of them.
            preset = await _must_get(tx, preset_id, tx.lock)
            if change.name is not UNSET and change.name != preset.name:
                await _check_name(tx, preset.owner_id, change.name)
            changed = await _changed(tx, preset_id, _columns(change))
            if not changed:
                return preset
            content = msgspec.json.encode(to_content(preset)).decode()
            await tx.run(KEEP_VERSION, preset_id, preset.version, preset.updated_at, preset.changed_by, content)
            for column, value in changed.items():
                await tx.run(f"UPDATE presets SET {column} = $2 WHERE id = $1", preset_id, value)
            await tx.run(CHANGED, preset_id, now, by)
            return await _must_get(tx, preset_id)

        return await self._database.write(work)

    async def follow_settings(self, settings: DomainSettings) -> None:
        """Gives `domain` the model and the temperature that the operator's settings name, but for what an admin has
        made another. That is no change of the preset: its time and its version stay.
        """

        async def work(tx: Transaction) -> None:
            # Held: of servers that start at once, each sees what the one before it has followed.
            row = await tx.one(BY_SLUG + tx.lock, DOMAIN)
            assert row is not None, "the built-in preset cannot be deleted"
            domain = to_preset(row)
            kept = await tx.one(FOLLOWED)
            before = BUILT_IN if kept is None else msgspec.json.decode(kept[0], type=_Followed)
            model, temperature = domain.speaking.model, domain.speaking.temperature
            now = _Followed(
                settings.model if model == before.model or not domain.is_changed else UNSET,
                settings.temperature if temperature == before.temperature or not domain.is_changed else UNSET,
            )
            if now.model is not UNSET and now.model != model:
                await tx.run("UPDATE presets SET model = $2 WHERE id = $1", domain.id, now.model)
            if now.temperature is not UNSET and now.temperature != temperature:
                await tx.run("UPDATE presets SET temperature = $2 WHERE id = $1", domain.id, now.temperature)
            if now != before:
                await tx.run(FOLLOW, msgspec.json.encode(now).decode())

        await self._database.write(work)

    async def delete(self, preset_id: PresetId, now: Micros) -> None:
        sql = "UPDATE presets SET deleted_at = $2 WHERE id = $1"
        await self._database.write(lambda tx: tx.run(sql, preset_id, now))

    async def versions(self, preset_id: PresetId, *, limit: int | None, offset: int) -> Sequence[VersionListed]:
        values = (preset_id, min(limit or EVERYTHING, EVERYTHING), offset)
        rows = await self._database.read(lambda tx: tx.all(VERSIONS, *values))
        return [VersionListed(*row) for row in rows]

    async def version(self, preset_id: PresetId, number: int) -> PresetVersion:
        async def work(tx: Transaction) -> PresetVersion:
            # What it is now comes first: a change meanwhile moves it to where is looked next.
            preset = await _must_get(tx, preset_id)
            if preset.version == number:
                return PresetVersion(number, preset.updated_at, preset.changed_by, content=to_content(preset))
            row = await tx.one(VERSION, preset_id, number)
            if row is None:
                raise NotFound
            return PresetVersion(row[0], row[1], row[2], content=msgspec.json.decode(row[3], type=PresetContent))

        return await self._database.read(work)

    async def shared_with(self, preset_id: PresetId) -> Sequence[str]:
        rows = await self._database.read(lambda tx: tx.all(SHARED_WITH, preset_id))
        return [row[0] for row in rows]

    async def count_shares(self) -> Mapping[PresetId, int]:
        sql = "SELECT preset_id, COUNT(*) FROM preset_shares GROUP BY preset_id"
        return {PresetId(row[0]): row[1] for row in await self._database.read(lambda tx: tx.all(sql))}

    async def share(self, preset_id: PresetId, names: Sequence[str]) -> Sequence[str]:
        keys = sorted({name.casefold() for name in names})

        async def work(tx: Transaction) -> list[str]:
            # Held: of two lists at once the one that comes last stands, whole.
            preset = await _must_get(tx, preset_id, tx.lock)
            found = [row[0] for row in await tx.all_many(PERSON, [(key,) for key in keys])] if keys else []
            if len(found) < len(keys):
                raise Invalid("usernames", "user_unknown")
            await tx.run("DELETE FROM preset_shares WHERE preset_id = $1", preset_id)
            shares = [(preset_id, user_id) for user_id in found if user_id != preset.owner_id]
            if shares:
                await tx.run_many("INSERT INTO preset_shares (preset_id, user_id) VALUES ($1, $2)", shares)
            return [row[0] for row in await tx.all(SHARED_WITH, preset_id)]

        return await self._database.write(work)

    async def rules(self) -> Rules:
        row = await self._database.read(lambda tx: tx.one(RULES))
        return NO_RULES if row is None else msgspec.json.decode(row[0], type=Rules)

    async def change_rules(self, change: RulesChange, now: Micros) -> Rules:
        async def work(tx: Transaction) -> Rules:
            # The row is there before it is locked: two changes at once must not lose one of them.
            await tx.run(ADD_RULES, msgspec.json.encode(NO_RULES).decode())
            row = await tx.one(f"{RULES}{tx.lock}")
            assert row is not None
            new = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
            rules = replace(msgspec.json.decode(row[0], type=Rules), **new, updated_at=now)
            await tx.run("UPDATE server SET value = $1 WHERE name = 'rules'", msgspec.json.encode(rules).decode())
            return rules

        return await self._database.write(work)


async def _get(tx: Transaction, preset_id: PresetId) -> Preset | None:
    row = await tx.one(BY_ID, preset_id)
    return None if row is None else to_preset(row)


async def _must_get(tx: Transaction, preset_id: PresetId, lock: str = "") -> Preset:
    row = await tx.one(BY_ID + lock, preset_id)
    if row is None:
        raise NotFound
    return to_preset(row)


async def _check_name(tx: Transaction, owner_id: UserId | None, name: str) -> None:
    sql = "SELECT 1 FROM presets WHERE owner_id = $1 AND name = $2 AND deleted_at IS NULL"
    if await tx.one(sql, owner_id, name) is not None:
        raise Taken("name")


async def _free_slug(tx: Transaction, slug: str, refuse_taken: Reader | None) -> str:
    if not slug:
        return ""
    if await tx.one(BY_SLUG, slug) is None:
        return slug
    if refuse_taken is not None:
        seen = await tx.one(VISIBLE_BY_SLUG, refuse_taken.user_id, refuse_taken.is_admin, slug)
        if seen is not None:
            raise Taken("id")
    number = 2
    while await tx.one(BY_SLUG, to_numbered(slug, number)) is not None:
        number += 1
    return to_numbered(slug, number)


async def _changed(tx: Transaction, preset_id: PresetId, columns: dict[str, object]) -> dict[str, object]:
    """Of these columns those whose value is another now."""
    if not columns:
        return {}
    row = await tx.one(f"SELECT {', '.join(columns)} FROM presets WHERE id = $1", preset_id)
    assert row is not None
    return {column: value for (column, value), kept in zip(columns.items(), row, strict=True) if value != kept}


def _columns(change: PresetChange) -> dict[str, object]:
    columns: dict[str, object] = {}
    for name in change.__struct_fields__:
        value = getattr(change, name)
        if value is UNSET:
            continue
        if name == "is_public":
            columns["visibility"] = "public" if value else "private"
        elif name == "tags":
            columns["tags"] = json.dumps(value)
        else:
            columns[COLUMNS.get(name, name)] = value
    return columns
