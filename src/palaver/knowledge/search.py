"""Finding passages: by words and by meaning, and both rankings made one.

Words find names, numbers and what is spelled alike; meaning finds what is said otherwise. Their scores cannot be
compared, their ranks can. Where there is no embedding server, or it is slow or down, words alone serve.
"""

import asyncio
from collections.abc import Iterable, Sequence

from palaver.chat.knowledge import Passage, PassageId
from palaver.chat.ports import Passages
from palaver.chat.user import Reader
from palaver.knowledge.asking import AskedVectors
from palaver.knowledge.likeness import without_repetitions
from palaver.knowledge.reranking import Ask, rerank
from palaver.knowledge.wanted import in_context, to_wanted_words

# Reciprocal rank fusion: with 60, the usual one, the first place of one ranking is worth two places near the top of
# both.
RANK_OFFSET = 60

# Somebody who asks "and in winter?" is understood by what they asked before; somebody who begins another matter is not
# to be held to the old one.
WEIGHT_OF_CONTEXT = 0.5
WEIGHT_OF_QUESTION = 1.0

# Some fall out as repetitions.
FETCHED_FOR_EACH = 3
FETCHED_AT_LEAST = 20

Ranking = tuple[float, Sequence[Passage]]


class Searcher:
    """`vectors` are of questions; `ask` has a model put what was found in order: None, and that is left out."""

    def __init__(self, passages: Passages, vectors: AskedVectors | None = None, ask: Ask | None = None) -> None:
        self._passages = passages
        self._vectors = vectors
        self._ask = ask

    async def search(
        self, reader: Reader, collection: str, question: str, context: Sequence[str], limit: int
    ) -> Sequence[Passage]:
        asked = [question]
        if context:
            asked.append(in_context(question, context))
        weights = (WEIGHT_OF_QUESTION, WEIGHT_OF_CONTEXT)
        vectors = await self._to_vectors(asked)
        many = max(FETCHED_AT_LEAST, FETCHED_FOR_EACH * limit)
        searches = (
            self._rank(reader, collection, text, vector, many, weight)
            for text, vector, weight in zip(asked, vectors, weights, strict=False)
        )
        rankings = [ranking for found in await asyncio.gather(*searches) for ranking in found]
        found = without_repetitions(fuse(rankings), many if self._ask else limit)
        if self._ask is not None:
            found = await rerank(self._ask, question, found)
        return found[:limit]

    async def _to_vectors(self, texts: Sequence[str]) -> Sequence[Sequence[float] | None]:
        if self._vectors is None:
            return [None] * len(texts)
        return await self._vectors.of(texts)

    async def _rank(
        self, reader: Reader, collection: str, text: str, vector: Sequence[float] | None, many: int, weight: float
    ) -> Sequence[Ranking]:
        words = to_wanted_words(text)
        if not words and vector is None:
            return ()
        hits = await self._passages.search(reader, collection, words, vector, many)
        return ((weight, hits.by_words), (weight, hits.by_meaning))


def fuse(rankings: Iterable[Ranking]) -> list[Passage]:
    """All of them, best first: each is worth more the further up it stands, and in the more rankings."""
    worth: dict[PassageId, float] = {}
    passages: dict[PassageId, Passage] = {}
    for weight, ranking in rankings:
        for rank, passage in enumerate(ranking, 1):
            worth[passage.id] = worth.get(passage.id, 0.0) + weight / (RANK_OFFSET + rank)
            passages[passage.id] = passage
    return sorted(passages.values(), key=lambda passage: -worth[passage.id])
