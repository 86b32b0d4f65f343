"""The store as the core knows it, opened over one of the two engines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import apsw
from msgspec import Struct

from palaver.chat.errors import StoreUnavailable
from palaver.store.accounts import SqlAccounts
from palaver.store.answers import SqlAnswers
from palaver.store.branches import SqlBranches
from palaver.store.conversations import SqlConversations
from palaver.store.database import Database, ForGood
from palaver.store.events import SqlEvents
from palaver.store.knowledge import (
    Clearing,
    Embeddings,
    PostgresVectors,
    PostgresWords,
    Reading,
    SqlCollections,
    SqlDocuments,
    SqliteVectors,
    SqliteWords,
    SqlPassages,
    Vectors,
    Words,
)
from palaver.store.ledger import SqlLedger
from palaver.store.limits import SqlLimits
from palaver.store.models import SqlModels
from palaver.store.moving import SqlArriving, SqlLeaving, SqlReadingIn, SqlWritingOut
from palaver.store.outbox import SqlOutbox
from palaver.store.people.connections import SqlConnections
from palaver.store.postgres import open_postgres
from palaver.store.presets import SqlPresets
from palaver.store.prices import Prices
from palaver.store.search import SqlSearch
from palaver.store.servers import SqlServers
from palaver.store.sqlite import SqliteDatabase
from palaver.store.summaries import SqlSummaries
from palaver.store.targets import SqlTargets
from palaver.store.texts import Texts
from palaver.store.turns import SqlTurns

COUNT_WAITING = "SELECT count(*) FROM messages WHERE status = 'queued'"


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
        texts, prices = Texts(database), Prices()
        for_good = ForGood(database)
        self.words: Words = SqliteWords() if engine == "sqlite" else PostgresWords()
        self.vectors: Vectors = SqliteVectors(database) if engine == "sqlite" else PostgresVectors(database)
        self.clearing = Clearing(for_good, self.words, self.vectors)
        self.engine = engine
        self.database = database
        self.accounts = SqlAccounts(database, self.clearing)
        self.conversations = SqlConversations(database, texts)
        self.connections = SqlConnections(database, texts, prices)
        self.turns = SqlTurns(database, texts, prices)
        self.branches = SqlBranches(database)
        self.events = SqlEvents(database)
        self.search = SqlSearch(database, engine)
        self.presets = SqlPresets(database)
        self.models = SqlModels(database)
        self.answers = SqlAnswers(database)
        self.summaries = SqlSummaries(database)
        self.limits = SqlLimits(database)
        self.servers = SqlServers(database)
        self.arriving = SqlArriving(database, texts)
        self.leaving = SqlLeaving(database)
        self.writing_out = SqlWritingOut(database)
        self.reading_in = SqlReadingIn(database, texts)
        self.ledger = SqlLedger(database, prices)
        self.outbox = SqlOutbox(database)
        self.targets = SqlTargets(database)
        self.collections = SqlCollections(for_good, self.clearing)
        self.documents = SqlDocuments(for_good, self.clearing, Reading(for_good, self.words, self.clearing))
        self.passages = SqlPassages(
            database, self.words, self.vectors, Embeddings(for_good, self.vectors, self.clearing)
        )

    @property
    def broken_off(self) -> int:
        return self.database.broken_off

    async def check(self) -> None:
        await self.database.read(lambda tx: tx.one("SELECT 1"))

    async def count_waiting(self) -> int:
        row = await self.database.read(lambda tx: tx.one(COUNT_WAITING))
        return 0 if row is None else int(row[0])


@asynccontextmanager
async def open_store(options: StoreOptions) -> AsyncIterator[SqlStore]:
    """The store, whatever its schema. Raises `StoreUnavailable` where it cannot be opened."""
    database = await _open(options)
    store = SqlStore(database, options.engine)
    try:
        yield store
    finally:
        await store.search.close()
        await store.clearing.close()
        await database.close()


async def _open(options: StoreOptions) -> Database:
    if options.database_url:
        return await open_postgres(options.database_url, options.connections)
    try:
        options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return SqliteDatabase(options.data_dir / "palaver.sqlite3")
    except (OSError, apsw.Error) as error:
        raise StoreUnavailable(f"the data folder {options.data_dir} cannot be used: {error}") from error
