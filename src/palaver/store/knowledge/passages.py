"""Finding passages. Who may search them stands in the same query."""

from collections.abc import Sequence

from msgspec.structs import replace

from palaver.chat.knowledge import CollectionId, Hits, Passage, PassageId, Source
from palaver.chat.user import Reader
from palaver.chat.words import to_stem
from palaver.store.database import Database, Transaction
from palaver.store.knowledge.collections import FIND
from palaver.store.knowledge.rows import PASSAGE, SEARCHABLE, to_passage
from palaver.store.knowledge.words import MOST_HITS, Words

# Whatever an index says: only of a document that can be searched, in this collection, by this reader.
GET = (
    f"SELECT {PASSAGE} FROM passages p JOIN documents d ON d.id = p.document_id "
    "JOIN collections c ON c.id = d.collection_id "
    f"WHERE p.id = $3 AND d.status = 'ready' AND c.id = $2 AND {SEARCHABLE}"
)
CITE = (
    "SELECT d.uuid, p.number, d.name, p.page, p.heading FROM documents d JOIN collections c ON c.id = d.collection_id "
    f"JOIN passages p ON p.document_id = d.id WHERE d.uuid = $2 AND p.number = $3 AND d.status = 'ready' AND {SEARCHABLE}"
)

# An index also holds what is not searched (yet, or any more): so many times the wanted number is asked of it, and all
# that it has where that was not enough.
SPARE = 3


class SqlPassages:
    def __init__(self, database: Database, words: Words) -> None:
        self._database = database
        self._words = words

    async def search(
        self, reader: Reader, collection: str, words: Sequence[str], vector: Sequence[float] | None, limit: int
    ) -> Hits:
        stems = list(dict.fromkeys(to_stem(word) for word in words))

        async def work(tx: Transaction) -> Hits:
            found = await tx.one(FIND, reader.user_id, collection)
            if found is None:
                return Hits()
            collection_id, passages = CollectionId(found[0]), found[-1]
            by_words: list[Passage] = []
            if stems:
                for most in (limit * SPARE, MOST_HITS):
                    ranked = await self._words.rank(tx, collection_id, stems, passages, most)
                    by_words = await _get(tx, reader, collection_id, ranked, limit)
                    if len(by_words) == limit or len(ranked) < most:
                        break
            return Hits(tuple(by_words))

        return await self._database.read(work, one_state=True)

    async def cite(self, reader: Reader, sources: Sequence[Source]) -> Sequence[Source]:
        if not sources:
            return []
        wanted = [(reader.user_id, source.document, source.passage) for source in sources]
        rows = await self._database.read(lambda tx: tx.all_many(CITE, wanted))
        seen = {(uuid, number): told for uuid, number, *told in map(tuple, rows)}
        return [_tell(source, *seen.get((source.document, source.passage), ("", None, ""))) for source in sources]


async def _get(
    tx: Transaction, reader: Reader, collection_id: CollectionId, ranked: Sequence[PassageId], limit: int
) -> list[Passage]:
    """The first of them that the reader may find."""
    found: list[Passage] = []
    for start in range(0, len(ranked), limit):
        some = [(reader.user_id, collection_id, id_) for id_ in ranked[start : start + limit]]
        found += [to_passage(row) for row in await tx.all_many(GET, some)]
        if len(found) >= limit:
            break
    return found[:limit]


def _tell(source: Source, name: str, page: int | None, heading: str) -> Source:
    return replace(source, name=name, page=page, heading=heading)
