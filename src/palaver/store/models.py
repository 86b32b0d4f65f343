"""The models that were ever offered here, in the database."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from palaver.chat.clock import Micros
from palaver.chat.errors import NotFound
from palaver.chat.model import (
    KnownModel,
    ModelChange,
    ModelId,
    ModelNews,
    ModelSync,
    OfferedModel,
    choose_default,
)
from palaver.store.database import Database, Row, Transaction

MODEL = (
    "id, name, display_name, description, size, parameter_count, {context_length}, is_available, is_default, "
    "created_at, updated_at, capabilities, is_hidden"
)
# What an admin has said goes before what servers tell.
AS_SAID = MODEL.format(context_length="COALESCE(own_context_length, context_length)")
LIST = f"SELECT {AS_SAID} FROM models ORDER BY id"
BY_ID = f"SELECT {AS_SAID} FROM models WHERE id = $1"
BY_NAME = "SELECT 1 FROM models WHERE name = $1"
AS_TOLD = f"SELECT {MODEL.format(context_length='context_length')} FROM models ORDER BY id"
# One row is about the servers, all others are models.
NEWS = (
    "SELECT CAST(NULL AS TEXT), CAST(NULL AS BIGINT), FALSE, (SELECT value FROM server WHERE name = "
    "'llm_server_changes') UNION ALL SELECT name, own_context_length, is_default AND is_available, NULL FROM models "
    "WHERE (is_default AND is_available) OR own_context_length IS NOT NULL"
)
ADD = (
    "INSERT INTO models (name, display_name, size, parameter_count, context_length, created_at, updated_at) "
    "VALUES ($1, $1, $2, $3, $4, $5, $5)"
)
CHANGE = (
    "UPDATE models SET is_available = $2, size = $3, parameter_count = $4, context_length = $5, updated_at = $6 "
    "WHERE id = $1"
)
# In this order: there is at most one default at any time.
CLEAR_DEFAULT = "UPDATE models SET is_default = FALSE, updated_at = $2 WHERE is_default AND name <> $1"
SET_DEFAULT = "UPDATE models SET is_default = TRUE, updated_at = $2 WHERE name = $1 AND NOT is_default"


class SqlModels:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> Sequence[KnownModel]:
        return [_to_model(row) for row in await self._database.read(lambda tx: tx.all(LIST))]

    async def get(self, model_id: ModelId) -> KnownModel | None:
        row = await self._database.read(lambda tx: tx.one(BY_ID, model_id))
        return None if row is None else _to_model(row)

    async def has(self, name: str) -> bool:
        return await self._database.read(lambda tx: tx.one(BY_NAME, name)) is not None

    async def news(self) -> ModelNews:
        rows = await self._database.read(lambda tx: tx.all(NEWS))
        [servers] = [row[3] for row in rows if row[0] is None]
        default = next((row[0] for row in rows if row[2]), None)
        return ModelNews(default, servers, {row[0]: row[1] for row in rows if row[1] is not None})

    async def change(self, model_id: ModelId, change: ModelChange, now: Micros) -> KnownModel:
        async def work(tx: Transaction) -> KnownModel:
            # All of them, as a sync does: there is one default, and never a moment with two.
            models = {model.id: model for model in map(_to_model, await tx.all(LIST + tx.lock))}
            if model_id not in models:
                raise NotFound
            columns = _columns(change)
            for column, value in columns.items():
                await tx.run(f"UPDATE models SET {column} = $2 WHERE id = $1", model_id, value)
            if columns:
                await tx.run("UPDATE models SET updated_at = $2 WHERE id = $1", model_id, now)
            if change.is_default is True:
                await tx.run(CLEAR_DEFAULT, models[model_id].name, now)
                await tx.run(SET_DEFAULT, models[model_id].name, now)
            row = await tx.one(BY_ID, model_id)
            assert row is not None
            return _to_model(row)

        return await self._database.write(work)

    async def sync(self, sync: ModelSync) -> None:
        async def work(tx: Transaction) -> None:
            before = [_to_model(row) for row in await tx.all(AS_TOLD + tx.lock)]
            known = {model.name: model for model in before}
            offered = {model.name: model for model in sync.offered}
            new = [_new_row(model, sync.now) for name, model in offered.items() if name not in known]
            changed = [
                _changed_row(model, offered.get(model.name), sync.now)
                for model in before
                if sync.whole or model.name in offered
            ]
            if new:
                await tx.run_many(ADD, new)
            for row in changed:
                if row is not None:
                    await tx.run(CHANGE, *row)
            default = choose_default(before, sync)
            if default is not None:
                await tx.run(CLEAR_DEFAULT, default, sync.now)
                await tx.run(SET_DEFAULT, default, sync.now)

        await self._database.write(work)


def _new_row(model: OfferedModel, now: Micros) -> tuple[object, ...]:
    return (model.name, model.size, model.parameter_count, model.context_length, now)


def _changed_row(known: KnownModel, offered: OfferedModel | None, now: Micros) -> tuple[object, ...] | None:
    """What is kept of it from now on; None where that is what is kept already. Where the server tells nothing, what was
    known stays."""
    told = offered or OfferedModel(known.name)
    kept = (known.is_available, known.size, known.parameter_count, known.context_length)
    now_known = (
        offered is not None,
        known.size if told.size is None else told.size,
        told.parameter_count or known.parameter_count,
        known.context_length if told.context_length is None else told.context_length,
    )
    return None if now_known == kept else (known.id, *now_known, now)


def _to_model(row: Row) -> KnownModel:
    (id_, name, display_name, description, size, parameter_count, context_length, available, default, created,
     updated, capabilities, hidden) = row  # fmt: skip
    return KnownModel(
        id_, name, display_name, description, size, parameter_count, context_length, bool(available), bool(default),
        created, updated, msgspec.json.decode(capabilities, type=tuple[str, ...]), bool(hidden),
    )  # fmt: skip


def _columns(change: ModelChange) -> dict[str, object]:
    columns: dict[str, object] = {
        "display_name": change.display_name,
        "description": change.description,
        "own_context_length": change.context_length,
        "is_hidden": change.is_hidden,
    }
    if change.capabilities is not UNSET:
        columns["capabilities"] = msgspec.json.encode(change.capabilities).decode()
    return {column: value for column, value in columns.items() if value is not UNSET}
