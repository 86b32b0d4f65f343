"""Rows out of one database in one state, and into another one in one transaction.

Each engine's own index of words is made anew where they arrive; vectors are taken along, since they were paid for.
"""

import hashlib
from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from palaver import __version__
from palaver.chat.clock import Micros
from palaver.chat.knowledge import CollectionId, EmbeddingId, PassageId
from palaver.chat.words import to_terms
from palaver.store.backup.archive import Damaged
from palaver.store.backup.catalogue import Shape, last_id, shape_of, table_names
from palaver.store.backup.frames import Frame, Head, Put, Rows, Table, Vectors
from palaver.store.database import Row, Transaction
from palaver.store.knowledge.rows import IDS_OF_A_DOCUMENT
from palaver.store.migrate import SchemaTooNew, migrate, newest_version, schema_version
from palaver.store.store import SqlStore

ROWS_AT_ONCE = 200
# Some hold a piece of a file each, of up to a megabyte.
LARGE_ROWS = {"document_parts": 8}

FLOAT_BYTES = 4

SET_LAST_ID = {
    "sqlite": (
        "DELETE FROM sqlite_sequence WHERE name = $1",
        "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)",
    ),
    "postgres": ("SELECT setval(pg_get_serial_sequence($1, 'id'), $2)",),
}
# The search over messages begins from nothing, and reads what is read late anew.
ANEW = {"conversations": {"searched_event": -1, "searched_title": None}}
# The tables of an embedding that is just being taken away stay behind.
ONLY = {"embeddings": "NOT is_dropped"}
WITHOUT_VECTORS = ("DELETE FROM embeddings", "UPDATE documents SET embedding_id = NULL")
CURRENT_EMBEDDINGS = "SELECT id, dimensions FROM embeddings WHERE NOT is_dropped ORDER BY id"

_encode = msgspec.msgpack.Encoder().encode


class NotEmpty(Exception):
    """Somebody has been in that database: nothing is written over."""


class NotNew(Exception):
    """Its schema is newer than the backup's: what the steps between them do to rows could not be done any more."""


class Tally(Struct, frozen=True):
    """Of each table how many rows there are, and a digest of all of them that is the same on both engines."""

    tables: Mapping[str, tuple[int, str]]
    vectors: int = 0

    @property
    def rows(self) -> int:
        return sum(count for count, _ in self.tables.values())


class _Counting:
    def __init__(self, put: Put) -> None:
        self._put = put
        self._counts: dict[str, int] = {}
        self._digests: dict[str, Any] = {}
        self._table = ""
        self._vectors = 0

    def __call__(self, frame: Frame) -> None:
        match frame:
            case Table():
                self._table = frame.name
                self._counts[frame.name] = 0
                self._digests[frame.name] = hashlib.sha256()
            case Rows():
                self._counts[self._table] += len(frame.rows)
                for row in frame.rows:
                    self._digests[self._table].update(_encode(row))
            case Vectors():
                self._vectors += len(frame.passages)
        self._put(frame)

    def tally(self) -> Tally:
        tables = {name: (count, self._digests[name].hexdigest()) for name, count in self._counts.items()}
        return Tally(tables, self._vectors)


async def copy_out(store: SqlStore, put: Put, now: Micros) -> Tally:
    """Puts all that is committed at this moment; whoever writes meanwhile is not held up. `put` must not wait for the
    database."""
    schema = await schema_version(store.database, store.engine)
    # There were none before there were documents.
    has_vectors = "embeddings" in table_names(schema) and await store.passages.can_embed()

    async def work(tx: Transaction) -> Tally:
        counting = _Counting(put)
        counting(Head(schema, now, __version__, has_vectors))
        for name in table_names(schema):
            await _table_out(tx, store.engine, name, counting)
        if has_vectors:
            await _vectors_out(tx, store.engine, counting)
        return counting.tally()

    tally = await store.database.read(work, one_state=True)
    put(None)
    return tally


async def _table_out(tx: Transaction, engine: str, name: str, put: Callable[[Frame], None]) -> None:
    shape = await shape_of(tx, engine, name)
    put(Table(name, shape.columns, await last_id(tx, engine, shape)))
    async for rows in _pages(tx, shape):
        put(Rows([_to_values(row, shape) for row in rows]))


async def _pages(tx: Transaction, shape: Shape) -> AsyncIterator[Sequence[Row]]:
    most = LARGE_ROWS.get(shape.name, ROWS_AT_ONCE)
    columns = ", ".join(shape.columns)
    places = ", ".join(f"${number}" for number in range(1, len(shape.key) + 1))
    ends = f"ORDER BY {shape.order} LIMIT {most}"
    select = f"SELECT {columns} FROM {shape.name} WHERE {ONLY.get(shape.name, 'TRUE')}"
    rows = await tx.all(f"{select} {ends}")
    while rows:
        yield rows
        key = [rows[-1][place] for place in shape.places]
        rows = await tx.all(f"{select} AND ({shape.order}) > ({places}) {ends}", *key)


def _to_values(row: Row, shape: Shape) -> list[Any]:
    values = list(row)
    for place in shape.booleans:
        # SQLite gives numbers.
        values[place] = None if values[place] is None else bool(values[place])
    for column, value in ANEW.get(shape.name, {}).items():
        if column in shape.columns:
            values[shape.columns.index(column)] = value
    return values


async def _vectors_out(tx: Transaction, engine: str, put: Callable[[Frame], None]) -> None:
    for embedding_id, dimensions in await tx.all(CURRENT_EMBEDDINGS):
        column = "vector" if engine == "sqlite" else "CAST(vector AS TEXT)"
        select = f"SELECT passage_id, {column} FROM vectors_{embedding_id} WHERE passage_id > $1 ORDER BY passage_id"
        rows: Sequence[Row] = ()
        last = -1
        while rows := await tx.all(f"{select} LIMIT {ROWS_AT_ONCE}", last):
            put(Vectors(embedding_id, [row[0] for row in rows], [_to_floats(row[1], dimensions) for row in rows]))
            last = rows[-1][0]


def _to_floats(kept: bytes | str, dimensions: int) -> bytes:
    if isinstance(kept, bytes):
        return kept[: dimensions * FLOAT_BYTES]
    return array("f", map(float, kept.strip("[]").split(","))).tobytes()


async def copy_in(store: SqlStore, frames: Callable[[], Iterator[Frame]]) -> Tally:
    """All of it, or nothing; then the schema is brought to today's. Raises `NotEmpty`, `NotNew`, `SchemaTooNew`,
    and whatever `frames` raises."""
    head = _read_through(frames())
    if head.schema > newest_version():
        raise SchemaTooNew(head.schema, newest_version())
    if await schema_version(store.database, store.engine) > head.schema:
        raise NotNew
    await migrate(store.database, store.engine, up_to=head.schema)
    has_vectors = head.has_vectors and await store.passages.can_embed()
    tally = await store.database.write(lambda tx: _Arriving(store, tx, head.schema, has_vectors).take(frames()))
    await migrate(store.database, store.engine)
    return tally


def _read_through(frames: Iterator[Frame]) -> Head:
    """What is damaged at its end would have been half restored before that is seen."""
    head = next(frames, None)
    if not isinstance(head, Head):
        raise Damaged
    for _ in frames:
        pass
    return head


class _Arriving:
    def __init__(self, store: SqlStore, tx: Transaction, schema: int, has_vectors: bool) -> None:
        self._store = store
        self._tx = tx
        self._schema = schema
        self._has_vectors = has_vectors
        self._insert = ""
        self._shape: Shape | None = None
        self._collections: dict[int, CollectionId] = {}
        self._columns: list[str] = []

    async def take(self, frames: Iterator[Frame]) -> Tally:
        await self._clear()
        counting = _Counting(_nowhere)
        for frame in frames:
            counting(frame)
            match frame:
                case Table():
                    await self._begin_table(frame)
                case Rows():
                    await self._add_rows(frame.rows)
                case Vectors():
                    await self._add_vectors(frame)
        if not self._has_vectors:
            for statement in WITHOUT_VECTORS:
                await self._tx.run(statement)
        return counting.tally()

    async def _clear(self) -> None:
        """Of what the migrations themselves have put there. Raises `NotEmpty`."""
        if await self._tx.one("SELECT 1 FROM users") is not None:
            raise NotEmpty
        for table in reversed(table_names(self._schema)):
            await self._tx.run(f"DELETE FROM {table}")

    async def _begin_table(self, table: Table) -> None:
        self._shape = await shape_of(self._tx, self._store.engine, table.name)
        if sorted(self._shape.columns) != sorted(table.columns):
            raise Damaged
        places = ", ".join(f"${number}" for number in range(1, len(table.columns) + 1))
        self._insert = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"
        self._columns = table.columns
        if table.last_id is not None:
            first, *others = SET_LAST_ID[self._store.engine]
            values = (table.name,) if others else (table.name, table.last_id)
            await self._tx.all(first, *values)
            for statement in others:
                await self._tx.run(statement, table.name, table.last_id)

    async def _add_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        assert self._shape is not None, "rows come behind the head of their table"
        await self._tx.run_many(self._insert, rows)
        if self._shape.name == "documents":
            self._collections |= {row[self._at("id")]: row[self._at("collection_id")] for row in rows}
        elif self._shape.name == "embeddings" and self._has_vectors:
            await self._make_vectors(rows)
        elif self._shape.name == "passages":
            await self._add_words(rows)

    def _at(self, column: str) -> int:
        return self._columns.index(column)

    async def _add_words(self, rows: Sequence[Sequence[Any]]) -> None:
        words = self._store.words
        entries = [
            (
                PassageId(row[self._at("id")]),
                words.to_entry(
                    self._collections[row[self._at("document_id")]],
                    to_terms(f"{row[self._at('heading')]} {row[self._at('text')]}"),
                ),
            )
            for row in rows
        ]
        await words.add(self._tx, entries)

    async def _make_vectors(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            await self._store.vectors.make(self._tx, EmbeddingId(row[self._at("id")]), row[self._at("dimensions")])

    async def _add_vectors(self, frame: Vectors) -> None:
        if not self._has_vectors:
            return
        added = [
            (PassageId(passage), self._collections[passage // IDS_OF_A_DOCUMENT], array("f", kept))
            for passage, kept in zip(frame.passages, frame.vectors, strict=True)
        ]
        await self._store.vectors.add(self._tx, EmbeddingId(frame.embedding_id), added)


def _nowhere(_frame: Frame | None) -> None:
    """What is only counted goes nowhere."""
