"""Vectors on PostgreSQL, by pgvector."""

from collections.abc import Sequence

import asyncpg

from palaver.chat.errors import StoreUnavailable
from palaver.chat.knowledge import CollectionId, EmbeddingId, PassageId
from palaver.store.database import Database, Transaction
from palaver.store.knowledge.searched import Searched, left_out
from palaver.store.knowledge.vectors import EMBEDDINGS, EmbeddingGone


class PostgresVectors:
    """A collection's vectors are all compared: an index of everybody's would give those of others, and then too few."""

    # Without a reference to the passages: to make or drop it would hold up all who read or write them.
    MAKE = (
        "CREATE TABLE vectors_{id} "
        "(passage_id BIGINT PRIMARY KEY, collection_id BIGINT NOT NULL, vector vector({dimensions}) NOT NULL)"
    )
    MAKE_INDEX = "CREATE INDEX vectors_{id}_by_collection ON vectors_{id} (collection_id)"
    ADD = "INSERT INTO vectors_{id} (passage_id, collection_id, vector) VALUES ($1, $2, CAST($3 AS TEXT)::vector)"
    COPY = (
        "INSERT INTO vectors_{id} (passage_id, collection_id, vector) "
        "SELECT $1, $2, vector FROM vectors_{id} WHERE passage_id = $3"
    )
    REMOVE = "DELETE FROM vectors_{id} WHERE passage_id = $1"
    NEAREST = (
        "SELECT passage_id FROM vectors_{id} WHERE collection_id = $1{out} "
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

    async def hold(self, tx: Transaction) -> Sequence[EmbeddingId]:
        return [EmbeddingId(row[0]) for row in await tx.all(f"{EMBEDDINGS} FOR KEY SHARE")]

    async def remove(self, tx: Transaction, embeddings: Sequence[EmbeddingId], passages: Sequence[PassageId]) -> None:
        for embedding_id in embeddings:
            await tx.run_many(self.REMOVE.format(id=embedding_id), [(id_,) for id_ in passages])

    async def nearest(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        searched: Searched,
        vector: Sequence[float],
        limit: int,
    ) -> Sequence[PassageId]:
        try:
            sql = self.NEAREST.format(id=embedding_id, out=left_out(searched, "passage_id"))
            rows = await tx.all(sql, searched.collection_id, _to_text(vector), limit)
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


def _to_text(vector: Sequence[float]) -> str:
    return f"[{','.join(map(repr, map(float, vector)))}]"
