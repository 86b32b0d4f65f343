"""The store as the core knows it, opened over one of the two engines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import apsw
from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import Usage
from palaver.chat.errors import StoreUnavailable
from palaver.chat.user import UserId
from palaver.store.accounts import SqlAccounts
from palaver.store.branches import SqlBranches
from palaver.store.conversations import SqlConversations
from palaver.store.database import Database
from palaver.store.events import SqlEvents
from palaver.store.models import SqlModels
from palaver.store.postgres import open_postgres
from palaver.store.presets import SqlPresets
from palaver.store.sqlite import SqliteDatabase
from palaver.store.texts import Texts
from palaver.store.turns import SqlTurns

COUNT_WAITING = "SELECT count(*) FROM messages WHERE status = 'queued'"
ADD_USAGE = (
    "INSERT INTO usage (at, user_id, message_id, model, prompt_tokens, completion_tokens, cached_tokens) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)"
)


class StoreOptions(Struct, frozen=True):
    """Where things are kept: a PostgreSQL address, else a file in `data_dir`. The address can hold a password."""

    data_dir: Path
    database_url: str | None = None
    connections: int = 10

    def __repr__(self) -> str:
        return f"StoreOptions({self.engine})"

    @property
    def engine(self) -> Literal["sqlite", "postgres"]:
        return "postgres" if self.database_url else "sqlite"


class SqlStore:
    def __init__(self, database: Database, engine: Literal["sqlite", "postgres"]) -> None:
        texts = Texts(database)
        self.engine = engine
        self.database = database
        self.accounts = SqlAccounts(database)
        self.conversations = SqlConversations(database, texts)
        self.turns = SqlTurns(database, texts)
        self.branches = SqlBranches(database)
        self.events = SqlEvents(database)
        self.presets = SqlPresets(database)
        self.models = SqlModels(database)

    async def check(self) -> None:
        await self.database.read(lambda tx: tx.one("SELECT 1"))

    async def count_waiting(self) -> int:
        row = await self.database.read(lambda tx: tx.one(COUNT_WAITING))
        return 0 if row is None else int(row[0])

    async def add_usage(self, user_id: UserId, model: str | None, usage: Usage, now: Micros) -> None:
        row = (now, user_id, None, model, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        await self.database.write(lambda tx: tx.run(ADD_USAGE, *row))


@asynccontextmanager
async def open_store(options: StoreOptions) -> AsyncIterator[SqlStore]:
    """The store, whatever its schema. Raises `StoreUnavailable` where it cannot be opened."""
    database = await _open(options)
    try:
        yield SqlStore(database, options.engine)
    finally:
        await database.close()


async def _open(options: StoreOptions) -> Database:
    if options.database_url:
        return await open_postgres(options.database_url, options.connections)
    try:
        options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return SqliteDatabase(options.data_dir / "palaver.sqlite3")
    except (OSError, apsw.Error) as error:
        raise StoreUnavailable(f"the data folder {options.data_dir} cannot be used: {error}") from error
