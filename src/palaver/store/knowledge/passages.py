"""Finding passages. Who may search them stands in the same query."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.knowledge import CollectionId, Embedding, EmbeddingId, Hits, Passage, PassageId, Source
from palaver.chat.user import Reader
from palaver.chat.words import to_stem
from palaver.store.database import Database, Transaction
from palaver.store.knowledge.collections import find_row
from palaver.store.knowledge.embeddings import CURRENT, Embeddings
from palaver.store.knowledge.rows import PASSAGE, SEARCHABLE, to_embedding, to_passage
from palaver.store.knowledge.searched import Searched, to_searched
from palaver.store.knowledge.vectors import MOST_NEAR, EmbeddingGone, Vectors
from palaver.store.knowledge.words import MOST_HITS, Words

# Whatever an index says: only of a document that can be searched, in this collection, by this reader.
GET = (
    f"SELECT {PASSAGE} FROM passages p JOIN documents d ON d.id = p.document_id "
    "JOIN collections c ON c.id = d.collection_id "
    f"WHERE p.id = $3 AND d.status = 'ready' AND c.id = $2 AND {SEARCHABLE}"
)
CITE = (
    "SELECT d.uuid, p.number, d.name, p.page, p.heading FROM documents d JOIN collections c ON c.id = d.collection_id "
    "JOIN passages p ON p.document_id = d.id "
    f"WHERE d.uuid = $2 AND p.number = $3 AND d.status = 'ready' AND {SEARCHABLE}"
)

# An index also holds what is not searched (yet, or any more): so many times the wanted number is asked of it, and all
# that it has where that was not enough.
SPARE = 3


class SqlPassages:
    def __init__(self, database: Database, words: Words, vectors: Vectors, embeddings: Embeddings) -> None:
        self._database = database
        self._words = words
        self._vectors = vectors
        self._embeddings = embeddings

    async def search(
        self, reader: Reader, collection: str, words: Sequence[str], vector: Sequence[float] | None, limit: int
    ) -> Hits:
        stems = list(dict.fromkeys(to_stem(word) for word in words))

        async def work(tx: Transaction) -> Hits:
            found = await find_row(tx, reader, collection)
            if found is None:
                return Hits()
            *_, changed_at, passages = found
            where = _Where(reader, await to_searched(tx, CollectionId(found[0]), passages, changed_at))
            by_words = await self._by_words(tx, where, stems, limit) if stems else []
            by_meaning = await self._by_meaning(tx, where, vector, limit) if vector is not None else []
            return Hits(tuple(by_words), tuple(by_meaning))

        if vector is not None and not await self._vectors.can_embed():
            vector = None
        try:
            return await self._database.read(work, one_state=True)
        except EmbeddingGone:
            return await self._database.read(work, one_state=True)

    async def _by_words(self, tx: Transaction, where: "_Where", stems: Sequence[str], limit: int) -> list[Passage]:
        for most in (limit * SPARE, MOST_HITS):
            ranked = await self._words.rank(tx, where.searched, stems, most)
            found = await _get(tx, where, ranked, limit)
            if len(found) == limit or len(ranked) < most:
                break
        return found

    async def _by_meaning(self, tx: Transaction, where: "_Where", vector: Sequence[float], limit: int) -> list[Passage]:
        row = await tx.one(CURRENT)
        if row is None or len(vector) != to_embedding(row).dimensions:
            return []
        embedding_id = to_embedding(row).id
        for most in (limit * SPARE, MOST_NEAR):
            ranked = await self._vectors.nearest(tx, embedding_id, where.searched, vector, most)
            found = await _get(tx, where, ranked, limit)
            # Of those that are asked for some may have been left out, and others stand behind them.
            if len(found) == limit or (len(ranked) < most and not where.searched.left_out):
                break
        return found

    async def cite(self, reader: Reader, sources: Sequence[Source]) -> Sequence[Source]:
        if not sources:
            return []
        wanted = [(reader.user_id, source.document, source.passage) for source in sources]
        rows = await self._database.read(lambda tx: tx.all_many(CITE, wanted))
        seen = {(uuid, number): told for uuid, number, *told in map(tuple, rows)}
        return [_tell(source, *seen.get((source.document, source.passage), ("", None, ""))) for source in sources]

    async def can_embed(self) -> bool:
        return await self._vectors.can_embed()

    async def embedding(self) -> Embedding | None:
        return await self._embeddings.current()

    async def use_embedding(self, model: str, dimensions: int, now: Micros) -> Embedding:
        return await self._embeddings.use(model, dimensions, now)

    async def lease_embedding(
        self, embedding_id: EmbeddingId, until: Micros, now: Micros, held: Micros | None = None
    ) -> bool:
        return await self._embeddings.lease(embedding_id, until, now, held)

    async def without_vectors(self, embedding_id: EmbeddingId, limit: int) -> Sequence[tuple[bytes, str]]:
        return await self._embeddings.without_vectors(embedding_id, limit)

    async def keep_vectors(self, embedding_id: EmbeddingId, vectors: Sequence[tuple[bytes, Sequence[float]]]) -> None:
        await self._embeddings.keep(embedding_id, vectors)

    async def make_current(self, embedding_id: EmbeddingId, now: Micros) -> bool:
        return await self._embeddings.make_current(embedding_id, now)

    async def drop_old_embeddings(self, now: Micros) -> None:
        await self._embeddings.drop_old(now)


class _Where(Struct, frozen=True):
    """What is searched, and by whom."""

    reader: Reader
    searched: Searched


async def _get(tx: Transaction, where: _Where, ranked: Sequence[PassageId], limit: int) -> list[Passage]:
    """The first of them that the reader may find."""
    found: list[Passage] = []
    for start in range(0, len(ranked), limit):
        some = [(where.reader.user_id, where.searched.collection_id, id_) for id_ in ranked[start : start + limit]]
        found += [to_passage(row) for row in await tx.all_many(GET, some)]
        if len(found) >= limit:
            break
    return found[:limit]


def _tell(source: Source, name: str, page: int | None, heading: str) -> Source:
    return replace(source, name=name, page=page, heading=heading)
