"""The LLM servers that admins have added, in the database. Whoever reads the table reads the keys."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from palaver.chat.clock import Micros
from palaver.chat.errors import NotFound, Taken
from palaver.chat.server import NamedServer, ServerChange
from palaver.store.database import Database, Row, Transaction

LIST = "SELECT name, url, api_key, models, weight, most_at_once FROM llm_servers ORDER BY name"
ADD = (
    "INSERT INTO llm_servers (name, url, api_key, models, weight, most_at_once, created_at, updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $7)"
)
BY_NAME = "SELECT id FROM llm_servers WHERE name = $1"
# Its row is held until the change is committed, so that changes come one after the other.
CHANGED = "UPDATE server SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'llm_server_changes'"


class SqlServers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> Sequence[NamedServer]:
        return [_to_server(row) for row in await self._database.read(lambda tx: tx.all(LIST))]

    async def add(self, server: NamedServer, now: Micros) -> None:
        async def work(tx: Transaction) -> None:
            await tx.run(CHANGED)
            if await tx.one(BY_NAME, server.name) is not None:
                raise Taken("name")
            models = msgspec.json.encode(server.models).decode()
            row = (server.name, server.url, server.key, models, server.weight, server.most_at_once, now)
            await tx.run(ADD, *row)

        await self._database.write(work)

    async def change(self, name: str, change: ServerChange, now: Micros) -> None:
        async def work(tx: Transaction) -> None:
            server_id = await _hold(tx, name)
            for column, value in _columns(change).items():
                await tx.run(f"UPDATE llm_servers SET {column} = $2 WHERE id = $1", server_id, value)
            await tx.run("UPDATE llm_servers SET updated_at = $2 WHERE id = $1", server_id, now)

        await self._database.write(work)

    async def remove(self, name: str) -> None:
        async def work(tx: Transaction) -> None:
            await tx.run("DELETE FROM llm_servers WHERE id = $1", await _hold(tx, name))

        await self._database.write(work)


async def _hold(tx: Transaction, name: str) -> int:
    await tx.run(CHANGED)
    row = await tx.one(BY_NAME, name)
    if row is None:
        raise NotFound
    return int(row[0])


def _columns(change: ServerChange) -> dict[str, object]:
    columns: dict[str, object] = {
        "url": change.url,
        "api_key": change.key,
        "weight": change.weight,
        "most_at_once": change.most_at_once,
    }
    if change.models is not UNSET:
        columns["models"] = msgspec.json.encode(change.models).decode()
    return {column: value for column, value in columns.items() if value is not UNSET}


def _to_server(row: Row) -> NamedServer:
    name, url, key, models, weight, most_at_once = row
    return NamedServer(name, url, key, msgspec.json.decode(models, type=tuple[str, ...]), weight, most_at_once)
