"""The models that were ever offered here, in the database."""

from collections.abc import Sequence

from palaver.chat.clock import Micros
from palaver.chat.model import KnownModel, ModelId, ModelSync, OfferedModel, choose_default
from palaver.store.database import Database, Row, Transaction

MODEL = (
    "id, name, display_name, description, size, parameter_count, context_length, is_available, is_default, "
    "created_at, updated_at"
)
LIST = f"SELECT {MODEL} FROM models ORDER BY id"
BY_ID = f"SELECT {MODEL} FROM models WHERE id = $1"
DEFAULT = "SELECT name FROM models WHERE is_default AND is_available"
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

    async def default(self) -> str | None:
        row = await self._database.read(lambda tx: tx.one(DEFAULT))
        return None if row is None else str(row[0])

    async def sync(self, sync: ModelSync) -> None:
        async def work(tx: Transaction) -> None:
            before = [_to_model(row) for row in await tx.all(LIST + tx.lock)]
            known = {model.name: model for model in before}
            offered = {model.name: model for model in sync.offered}
            new = [_new_row(model, sync.now) for name, model in offered.items() if name not in known]
            changed = [_changed_row(model, offered.get(model.name), sync.now) for model in before]
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
     updated) = row  # fmt: skip
    return KnownModel(
        id_, name, display_name, description, size, parameter_count, context_length, bool(available), bool(default),
        created, updated,
    )  # fmt: skip
