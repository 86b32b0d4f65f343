"""Vectors on SQLite, by sqlite-vec."""

from array import array
from collections.abc import Sequence
from heapq import nsmallest

import apsw

from palaver.chat.knowledge import CollectionId, EmbeddingId, PassageId
from palaver.store.database import Database, Row, Transaction
from palaver.store.knowledge.rows import IDS_OF_A_DOCUMENT
from palaver.store.knowledge.searched import Searched
from palaver.store.knowledge.vectors import EMBEDDINGS, MOST_NEAR

# In a collection of so many passages all are compared; in a larger one at most so many that look alike, by the signs
# of their numbers, which takes a thirtieth of the reading.
ALL_COMPARED = 1000
COMPARED = 300

# sqlite-vec goes through what it has once for each that is wanted: 40 ms for the 200 nearest of 100,000. So what comes
# to a large collection is dealt out to several heaps, and a few of each are wanted: 8 ms for hardly ever any others.
HEAPS = 16
OF_THE_FIRST = 96
OF_ANOTHER = 20
ONE_HEAP = 4000

ROWS_AT_ONCE = 200
DROPPED = "SELECT 1 FROM embeddings WHERE id = $1 AND is_dropped"


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

    async def hold(self, tx: Transaction) -> Sequence[EmbeddingId]:
        return [EmbeddingId(row[0]) for row in await tx.all(EMBEDDINGS)]

    async def remove(self, tx: Transaction, embeddings: Sequence[EmbeddingId], passages: Sequence[PassageId]) -> None:
        for embedding_id in embeddings:
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
        searched: Searched,
        vector: Sequence[float],
        limit: int,
    ) -> Sequence[PassageId]:
        blob = _to_blob(vector)
        first = min(max(ALL_COMPARED if searched.passages <= ALL_COMPARED else OF_THE_FIRST, limit), MOST_NEAR)
        another = max(OF_ANOTHER, limit // 4)
        start = searched.collection_id * HEAPS
        heaps = [(blob, another if number else first, start + number) for number in range(HEAPS)]
        found = await tx.all_many(self.LOOK_ALIKE.format(id=embedding_id), heaps)
        alike = [row for row in found if not searched.leaves_out(row[0])]
        chosen = nsmallest(max(first, COMPARED), alike, key=lambda row: (row[1], row[0]))
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
            (id_, where * HEAPS + (_to_heap(id_) if size > ONE_HEAP else 0), vector)
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


def _to_heap(passage: int) -> int:
    # Of many short documents each begins with another heap.
    return (passage // IDS_OF_A_DOCUMENT + passage) % HEAPS


def _to_eights(dimensions: int) -> int:
    return -(-dimensions // 8) * 8


def _to_blob(vector: Sequence[float]) -> bytes:
    """As sqlite-vec reads it; signs are kept by eights."""
    return array("f", [*vector, *[0.0] * (_to_eights(len(vector)) - len(vector))]).tobytes()
