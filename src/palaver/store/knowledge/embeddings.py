"""Which model the vectors are of, which passages still have none, and when another model takes over."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from palaver.chat.clock import MINUTE, SECOND, Micros
from palaver.chat.errors import Invalid, NotFound
from palaver.chat.knowledge import UNWANTED_SECONDS, CollectionId, DocumentId, Embedding, EmbeddingId, PassageId
from palaver.store.database import Database, Transaction
from palaver.store.knowledge.clearing import Clearing
from palaver.store.knowledge.rows import EMBEDDING, to_embedding
from palaver.store.knowledge.vectors import Vectors

CURRENT = f"SELECT {EMBEDDING} FROM embeddings e WHERE e.is_current"
BY_MODEL = f"SELECT {EMBEDDING} FROM embeddings e WHERE e.model = $1 AND e.dimensions = $2 AND NOT e.is_dropped"
HOLD = f"SELECT {EMBEDDING} FROM embeddings e WHERE e.id = $1 AND NOT e.is_dropped"
WANT = "UPDATE embeddings SET wanted_at = $2 WHERE id = $1"
ADD = "INSERT INTO embeddings (model, dimensions, created_at, wanted_at) VALUES ($1, $2, $3, $3) RETURNING id"
LEASE = (
    "UPDATE embeddings SET lease_until = $2, wanted_at = $3 "
    "WHERE id = $1 AND (lease_until IS NULL OR lease_until < $3 OR lease_until = $4) RETURNING id"
)
# Each part is read by the index; a document that all is known of is not looked at again.
LACKING = (
    "SELECT id FROM documents WHERE status = 'ready' AND embedding_id IS NULL UNION ALL "
    "SELECT id FROM documents WHERE status = 'ready' AND embedding_id < $1 UNION ALL "
    "SELECT id FROM documents WHERE status = 'ready' AND embedding_id > $1 LIMIT $2"
)
RETIRE = "UPDATE embeddings SET is_current = FALSE, wanted_at = $2 WHERE id <> $1 AND is_current"
MAKE_CURRENT = "UPDATE embeddings SET is_current = TRUE, wanted_at = $2 WHERE id = $1"
_IS_OLD = "NOT is_current AND NOT is_dropped AND wanted_at < $1"
OLD = f"SELECT id FROM embeddings WHERE {_IS_OLD} LIMIT 1"
DROP_OLD = f"UPDATE embeddings SET is_dropped = TRUE WHERE {_IS_OLD}"
HAS_ALL = "UPDATE documents SET embedding_id = $2 WHERE id = $1 AND status = 'ready'"
_NONE_YET = "NOT EXISTS (SELECT 1 FROM vectors_{id} v WHERE v.passage_id = p.id)"
# Each with another passage of the same content that has a vector, if there is one.
TEXTS = (
    "SELECT p.id, p.digest, p.text, (SELECT q.id FROM passages q JOIN vectors_{id} w ON w.passage_id = q.id "
    "WHERE q.digest = p.digest LIMIT 1) FROM passages p "
    f"WHERE p.document_id = $1 AND {_NONE_YET} ORDER BY p.number LIMIT $2"
)
STILL_TWINS = (
    "SELECT p.id, d.collection_id, w.passage_id FROM passages p JOIN documents d ON d.id = p.document_id "
    f"JOIN vectors_{{id}} w ON w.passage_id = $2 WHERE p.id = $1 AND d.status = 'ready' AND {_NONE_YET}"
)
WITH_CONTENT = (
    "SELECT p.id, d.collection_id, p.digest FROM passages p JOIN documents d ON d.id = p.document_id "
    f"WHERE p.digest = $1 AND d.status = 'ready' AND {_NONE_YET}"
)

# So often it is noted that a server is set to one.
NOTED_EVERY = MINUTE

# More no known model has; sqlite-vec takes no more.
MOST_DIMENSIONS = 8192

# What is written in one transaction; long vectors take long to be written down.
VECTORS_AT_ONCE = 50
NUMBERS_AT_ONCE = 20_000


class Embeddings:
    def __init__(self, database: Database, vectors: Vectors, clearing: Clearing) -> None:
        self._database = database
        self._vectors = vectors
        self._clearing = clearing

    async def current(self) -> Embedding | None:
        row = await self._database.read(lambda tx: tx.one(CURRENT))
        return None if row is None else to_embedding(row)

    async def use(self, model: str, dimensions: int, now: Micros) -> Embedding:
        if not await self._vectors.can_embed():
            raise NotFound
        if not 0 < dimensions <= MOST_DIMENSIONS:
            raise Invalid("dimensions", "range")

        async def work(tx: Transaction) -> Embedding:
            row = await tx.one(BY_MODEL, model, dimensions)
            if row is not None:
                await tx.run(WANT, row[0], now)
                return replace(to_embedding(row), wanted_at=now)
            added = await tx.one(ADD, model, dimensions, now)
            assert added is not None
            await self._vectors.make(tx, EmbeddingId(added[0]), dimensions)
            return Embedding(EmbeddingId(added[0]), model, dimensions, False, now)

        known = await self._database.read(lambda tx: tx.one(BY_MODEL, model, dimensions))
        if known is not None and now < to_embedding(known).wanted_at + NOTED_EVERY:
            return to_embedding(known)
        return await self._database.write(work)

    async def lease(self, embedding_id: EmbeddingId, until: Micros, now: Micros, held: Micros | None) -> bool:
        return await self._database.write(lambda tx: tx.one(LEASE, embedding_id, until, now, held or -1)) is not None

    async def without_vectors(self, embedding_id: EmbeddingId, limit: int) -> Sequence[tuple[bytes, str]]:
        found: dict[bytes, str] = {}
        # Those that turn out to lack nothing are not among the next ones.
        while not found and (documents := await self._lacking(embedding_id, limit)):
            for document_id in documents:
                found |= await self._texts_of(embedding_id, document_id, limit)
                if len(found) >= limit:
                    break
        return list(found.items())[:limit]

    async def keep(self, embedding_id: EmbeddingId, vectors: Sequence[tuple[bytes, Sequence[float]]]) -> None:
        longest = max((len(vector) for _, vector in vectors), default=1)
        at_once = min(max(NUMBERS_AT_ONCE // longest, 1), VECTORS_AT_ONCE)
        for start in range(0, len(vectors), at_once):
            await self._keep_some(embedding_id, dict(vectors[start : start + at_once]))

    async def make_current(self, embedding_id: EmbeddingId, now: Micros) -> bool:
        async def work(tx: Transaction) -> bool:
            row = await tx.one(HOLD + tx.lock, embedding_id)
            current = await tx.one(CURRENT + tx.lock)
            if row is None or await tx.all(LACKING, embedding_id, 1):
                return False
            if current is not None and not to_embedding(current).yields_to(to_embedding(row).model, now):
                return False
            await tx.run(RETIRE, embedding_id, now)
            await tx.run(MAKE_CURRENT, embedding_id, now)
            return True

        # What has the same content as another one gets its vector, and what has all is known to.
        if await self.without_vectors(embedding_id, 1):
            return False
        return await self._database.write(work)

    async def drop_old(self, now: Micros) -> None:
        before = now - UNWANTED_SECONDS * SECOND
        if await self._database.read(lambda tx: tx.one(OLD, before)) is not None:
            await self._database.write(lambda tx: tx.run(DROP_OLD, before))
            self._clearing.begin()

    async def _lacking(self, embedding_id: EmbeddingId, limit: int) -> Sequence[DocumentId]:
        async def work(tx: Transaction) -> Sequence[DocumentId]:
            if await tx.one(HOLD, embedding_id) is None:
                return []
            return [DocumentId(row[0]) for row in await tx.all(LACKING, embedding_id, limit)]

        return await self._database.read(work)

    async def _texts_of(self, embedding_id: EmbeddingId, document_id: DocumentId, limit: int) -> dict[bytes, str]:
        """Some that need a vector; none where it has all."""
        sql = TEXTS.format(id=embedding_id)
        while rows := await self._database.read(lambda tx: tx.all(sql, document_id, limit)):
            twins = [(id_, twin) for id_, _, _, twin in rows if twin is not None]
            for start in range(0, len(twins), VECTORS_AT_ONCE):
                await self._copy_some(embedding_id, twins[start : start + VECTORS_AT_ONCE])
            if texts := {bytes(digest): text for _, digest, text, twin in rows if twin is None}:
                return texts
        await self._database.write(lambda tx: tx.run(HAS_ALL, document_id, embedding_id))
        return {}

    async def _copy_some(self, embedding_id: EmbeddingId, twins: Sequence[tuple[int, int]]) -> None:
        async def work(tx: Transaction) -> None:
            if await tx.one(HOLD + tx.lock, embedding_id) is None:
                return
            rows = await tx.all_many(STILL_TWINS.format(id=embedding_id) + _hold_passages(tx), twins)
            if rows:
                copied = [(PassageId(id_), CollectionId(where), PassageId(twin)) for id_, where, twin in rows]
                await self._vectors.copy(tx, embedding_id, copied)

        await self._database.write(work)

    async def _keep_some(self, embedding_id: EmbeddingId, vectors: Mapping[bytes, Sequence[float]]) -> None:
        async def work(tx: Transaction) -> None:
            if await tx.one(HOLD + tx.lock, embedding_id) is None:
                return
            sql = WITH_CONTENT.format(id=embedding_id) + _hold_passages(tx)
            rows = await tx.all_many(sql, [(digest,) for digest in vectors])
            wanted = [(PassageId(id_), CollectionId(where), vectors[bytes(digest)]) for id_, where, digest in rows]
            if wanted:
                await self._vectors.add(tx, embedding_id, wanted)

        await self._database.write(work)


def _hold_passages(tx: Transaction) -> str:
    # One that is just being deleted is waited for, and not there then.
    return f"{tx.lock} OF p" if tx.lock else ""
