"""What passages are found by when their meaning is looked for: sqlite-vec on SQLite, pgvector on PostgreSQL.

Each embedding has tables of its own, as vectors of one size can be compared alone. Where the engine cannot do it,
words serve alone.
"""

from array import array
from collections.abc import Sequence
from heapq import nsmallest
from typing import Protocol

import apsw
import asyncpg

from palaver.chat.errors import StoreUnavailable
from palaver.chat.knowledge import CollectionId, EmbeddingId, PassageId
from palaver.store.database import Database, Row, Transaction

# In a collection of so many passages all are compared; in a larger one at most so many that look alike, by the signs
# of their numbers, which takes a thirtieth of the reading.
COMPARED = 1000
LOOK_ALIKE = 300
# More sqlite-vec does not give.
MOST_NEAR = 4096

# sqlite-vec goes through what it has once for each that is wanted: 40 ms for the 200 nearest of 100,000. So what comes
# to a large collection is dealt out to several heaps, and a few of each are wanted: 8 ms for hardly ever any others.
HEAPS = 16
OF_THE_FIRST = 96
OF_ANOTHER = 20
ONE_HEAP = 4000

ROWS_AT_ONCE = 200
EMBEDDINGS = "SELECT id FROM embeddings"
DROPPED = "SELECT 1 FROM embeddings WHERE id = $1 AND is_dropped"


class EmbeddingGone(Exception):
    """Another one has just become current; the next look finds it."""


class Vectors(Protocol):
    async def can_embed(self) -> bool: ...
    async def make(self, tx: Transaction, embedding_id: EmbeddingId, dimensions: int) -> None: ...
    async def add(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        vectors: Sequence[tuple[PassageId, CollectionId, Sequence[float]]],
    ) -> None: ...
    async def copy(
        self, tx: Transaction, embedding_id: EmbeddingId, passages: Sequence[tuple[PassageId, CollectionId, PassageId]]
    ) -> None:
        """The vector of the last named passage is that of the first, too."""
        ...

    async def remove(self, tx: Transaction, passages: Sequence[PassageId]) -> None:
        """Of all embeddings."""
        ...

    async def nearest(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        collection_id: CollectionId,
        vector: Sequence[float],
        passages: int,
        limit: int,
    ) -> Sequence[PassageId]:
        """The nearest first; `passages` is how many the collection has. Raises `EmbeddingGone`."""
        ...

    async def drop_some(self, tx: Transaction, embedding_id: EmbeddingId) -> bool:
        """A step of taking an embedding's tables away. False where nothing is left of them."""
        ...

    async def tidy_some(self, tx: Transaction) -> bool:
        """A step of taking away what could not be reached when it was removed. Whether there was any."""
        ...


class SqliteVectors:
    """vec0 holds the signs alone; what looks alike is compared by the numbers, which a table of ours has."""

    MAKE = "CREATE TABLE vectors_{id} (passage_id INTEGER PRIMARY KEY, vector BLOB NOT NULL)"
    # A collection has at least one chunk: small ones, so that a small collection takes little.
    MAKE_BITS = (
        "CREATE VIRTUAL TABLE bits_{id} USING vec0(passage_id INTEGER PRIMARY KEY, "
        "heap INTEGER PARTITION KEY, bits bit[{dimensions}], chunk_size=256)"
    )
    ADD = "INSERT INTO vectors_{id} (passage_id, vector) VALUES ($1, $2)"
    ADD_BITS = "INSERT INTO bits_{id} (passage_id, heap, bits) VALUES ($1, $2, vec_quantize_binary($3))"
    COPY = "SELECT $1, $2, vector FROM vectors_{id} WHERE passage_id = $3"
    HAVE = "SELECT passage_id FROM vectors_{id} WHERE passage_id = $1"
    REMOVE = "DELETE FROM vectors_{id} WHERE passage_id = $1"
    REMOVE_BITS = "DELETE FROM bits_{id} WHERE passage_id = $1"
    LEAVE_BITS = "INSERT INTO bits_left (embedding_id, passage_id) VALUES ($1, $2)"
    LEFT = "SELECT embedding_id, passage_id FROM bits_left LIMIT $1"
    LOOK_ALIKE = (
        "SELECT passage_id, distance FROM bits_{id} WHERE bits MATCH vec_quantize_binary($1) AND k = $2 AND heap = $3"
    )
    DISTANCE = "SELECT passage_id, vec_distance_cosine(vector, $1) FROM vectors_{id} WHERE passage_id = $2"
    SIZE = "SELECT passage_count FROM collections WHERE id = $1"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_loaded: bool | None = None

    async def can_embed(self) -> bool:
        return await self._database.read(self._can_embed)

    async def make(self, tx: Transaction, embedding_id: EmbeddingId, dimensions: int) -> None:
        await tx.run(self.MAKE.format(id=embedding_id))
        await tx.run(self.MAKE_BITS.format(id=embedding_id, dimensions=_to_eights(dimensions)))

    async def add(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        vectors: Sequence[tuple[PassageId, CollectionId, Sequence[float]]],
    ) -> None:
        await self._add(tx, embedding_id, [(id_, where, _to_blob(vector)) for id_, where, vector in vectors])

    async def copy(
        self, tx: Transaction, embedding_id: EmbeddingId, passages: Sequence[tuple[PassageId, CollectionId, PassageId]]
    ) -> None:
        await self._add(tx, embedding_id, await tx.all_many(self.COPY.format(id=embedding_id), passages))

    async def remove(self, tx: Transaction, passages: Sequence[PassageId]) -> None:
        for (embedding_id,) in await tx.all(EMBEDDINGS):
            ids = await tx.all_many(self.HAVE.format(id=embedding_id), [(id_,) for id_ in passages])
            if not ids:
                continue
            await tx.run_many(self.REMOVE.format(id=embedding_id), ids)
            if await self._can_embed(tx):
                await tx.run_many(self.REMOVE_BITS.format(id=embedding_id), ids)
            else:
                await tx.run_many(self.LEAVE_BITS, [(embedding_id, row[0]) for row in ids])

    async def nearest(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        collection_id: CollectionId,
        vector: Sequence[float],
        passages: int,
        limit: int,
    ) -> Sequence[PassageId]:
        blob = _to_blob(vector)
        first = min(max(COMPARED if passages <= COMPARED else OF_THE_FIRST, limit), MOST_NEAR)
        another = max(OF_ANOTHER, limit // 4)
        heaps = [(blob, another if number else first, collection_id * HEAPS + number) for number in range(HEAPS)]
        alike = await tx.all_many(self.LOOK_ALIKE.format(id=embedding_id), heaps)
        chosen = nsmallest(max(first, LOOK_ALIKE), alike, key=lambda row: (row[1], row[0]))
        rows = await tx.all_many(self.DISTANCE.format(id=embedding_id), [(blob, row[0]) for row in chosen])
        # Of nothing but zeros there is no distance.
        nearest = nsmallest(limit, rows, key=lambda row: (row[1] is None, row[1], row[0]))
        return [PassageId(row[0]) for row in nearest]

    async def drop_some(self, tx: Transaction, embedding_id: EmbeddingId) -> bool:
        # Another process may have been faster.
        if await tx.one(DROPPED, embedding_id) is None or not await self._can_embed(tx):
            return False
        sql = f"SELECT passage_id FROM vectors_{embedding_id} LIMIT {ROWS_AT_ONCE}"
        if ids := await tx.all(sql):
            await tx.run_many(self.REMOVE.format(id=embedding_id), ids)
            await tx.run_many(self.REMOVE_BITS.format(id=embedding_id), ids)
            return True
        await tx.run("DELETE FROM bits_left WHERE embedding_id = $1", embedding_id)
        await tx.run(f"DROP TABLE bits_{embedding_id}")
        await tx.run(f"DROP TABLE vectors_{embedding_id}")
        await tx.run("DELETE FROM embeddings WHERE id = $1", embedding_id)
        return False

    async def tidy_some(self, tx: Transaction) -> bool:
        left = await tx.all(self.LEFT, ROWS_AT_ONCE)
        if not left or not await self._can_embed(tx):
            return False
        for embedding_id, passage_id in left:
            await tx.run(self.REMOVE_BITS.format(id=embedding_id), passage_id)
        await tx.run_many("DELETE FROM bits_left WHERE embedding_id = $1 AND passage_id = $2", left)
        return True

    async def _add(self, tx: Transaction, embedding_id: EmbeddingId, rows: Sequence[Row]) -> None:
        await tx.run_many(self.ADD.format(id=embedding_id), [(id_, vector) for id_, _, vector in rows])
        sizes = await tx.all_many(self.SIZE, [(where,) for _, where, _ in rows])
        placed = [
            (id_, where * HEAPS + (id_ % HEAPS if size > ONE_HEAP else 0), vector)
            for (id_, where, vector), (size,) in zip(rows, sizes, strict=True)
        ]
        await tx.run_many(self.ADD_BITS.format(id=embedding_id), placed)

    async def _can_embed(self, tx: Transaction) -> bool:
        """Whether sqlite-vec was loaded: by every connection, or by none."""
        if self._is_loaded is None:
            try:
                await tx.one("SELECT vec_version()")
            except apsw.SQLError:
                self._is_loaded = False
            else:
                self._is_loaded = True
        return self._is_loaded


class PostgresVectors:
    """A collection's vectors are all compared: an index of everybody's would give those of others, and then too few."""

    MAKE = (
        "CREATE TABLE vectors_{id} (passage_id BIGINT PRIMARY KEY REFERENCES passages (id), "
        "collection_id BIGINT NOT NULL, vector vector({dimensions}) NOT NULL)"
    )
    MAKE_INDEX = "CREATE INDEX vectors_{id}_by_collection ON vectors_{id} (collection_id)"
    ADD = "INSERT INTO vectors_{id} (passage_id, collection_id, vector) VALUES ($1, $2, CAST($3 AS TEXT)::vector)"
    COPY = (
        "INSERT INTO vectors_{id} (passage_id, collection_id, vector) "
        "SELECT $1, $2, vector FROM vectors_{id} WHERE passage_id = $3"
    )
    REMOVE = "DELETE FROM vectors_{id} WHERE passage_id = $1"
    NEAREST = (
        "SELECT passage_id FROM vectors_{id} WHERE collection_id = $1 "
        "ORDER BY vector <=> CAST($2 AS TEXT)::vector, passage_id LIMIT $3"
    )
    INSTALLED = "SELECT 1 FROM pg_extension WHERE extname = 'vector'"
    INSTALLABLE = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
    INSTALL = "CREATE EXTENSION IF NOT EXISTS vector"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_installed: bool | None = None

    async def can_embed(self) -> bool:
        """Whether pgvector is there, or let itself be installed when this process first asked."""
        if self._is_installed is None:
            self._is_installed = await self._install()
        return self._is_installed

    async def make(self, tx: Transaction, embedding_id: EmbeddingId, dimensions: int) -> None:
        await tx.run(self.MAKE.format(id=embedding_id, dimensions=dimensions))
        await tx.run(self.MAKE_INDEX.format(id=embedding_id))

    async def add(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        vectors: Sequence[tuple[PassageId, CollectionId, Sequence[float]]],
    ) -> None:
        rows = [(id_, where, _to_text(vector)) for id_, where, vector in vectors]
        await tx.run_many(self.ADD.format(id=embedding_id), rows)

    async def copy(
        self, tx: Transaction, embedding_id: EmbeddingId, passages: Sequence[tuple[PassageId, CollectionId, PassageId]]
    ) -> None:
        await tx.run_many(self.COPY.format(id=embedding_id), passages)

    async def remove(self, tx: Transaction, passages: Sequence[PassageId]) -> None:
        # Held, so that none of their tables goes meanwhile.
        for (embedding_id,) in await tx.all(f"{EMBEDDINGS} FOR KEY SHARE"):
            await tx.run_many(self.REMOVE.format(id=embedding_id), [(id_,) for id_ in passages])

    async def nearest(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        collection_id: CollectionId,
        vector: Sequence[float],
        passages: int,  # noqa: ARG002 (however many they are)
        limit: int,
    ) -> Sequence[PassageId]:
        try:
            rows = await tx.all(self.NEAREST.format(id=embedding_id), collection_id, _to_text(vector), limit)
        except asyncpg.UndefinedTableError as error:
            raise EmbeddingGone from error
        return [PassageId(row[0]) for row in rows]

    async def drop_some(self, tx: Transaction, embedding_id: EmbeddingId) -> bool:
        await tx.run("DELETE FROM embeddings WHERE id = $1", embedding_id)
        await tx.run(f"DROP TABLE IF EXISTS vectors_{embedding_id}")
        return False

    async def tidy_some(self, tx: Transaction) -> bool:  # noqa: ARG002 (here all can always be reached)
        return False

    async def _install(self) -> bool:
        if await self._database.read(lambda tx: tx.one(self.INSTALLED)) is not None:
            return True
        if await self._database.read(lambda tx: tx.one(self.INSTALLABLE)) is None:
            return False
        try:
            await self._database.write(lambda tx: tx.run(self.INSTALL))
        except StoreUnavailable:
            raise
        except asyncpg.PostgresError:
            # This role may not. Another process may just have done it.
            return await self._database.read(lambda tx: tx.one(self.INSTALLED)) is not None
        return True


def _to_eights(dimensions: int) -> int:
    return -(-dimensions // 8) * 8


def _to_blob(vector: Sequence[float]) -> bytes:
    """As sqlite-vec reads it; signs are kept by eights."""
    return array("f", [*vector, *[0.0] * (_to_eights(len(vector)) - len(vector))]).tobytes()


def _to_text(vector: Sequence[float]) -> str:
    return f"[{','.join(map(repr, map(float, vector)))}]"
