"""Finding passages: by words and by meaning, and both rankings made one.

Words find names, numbers and what is spelled alike; meaning finds what is said otherwise. Their scores cannot be
compared, their ranks can. Where there is no embedding server, or it is slow or down, words alone serve.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from palaver.chat.knowledge import Hits, Passage, PassageId
from palaver.chat.user import Reader
from palaver.chat.words import count_held, to_stem
from palaver.knowledge.asking import AskedVectors
from palaver.knowledge.likeness import without_repetitions
from palaver.knowledge.reranking import Ask, rerank
from palaver.knowledge.wanted import LOOKED_AT, in_context, to_rare_words, to_wanted_words

# Reciprocal rank fusion. With 60, the usual one, the tenth place of a ranking is worth almost as much as its first, and
# what stands somewhere in both goes before what one of them is sure of (bench/retrieval.py: 68 in place of 75).
RANK_OFFSET = 10

# Somebody who asks "and in winter?" is understood by what they asked before; somebody who begins another matter is not
# to be held to the old one. The first needs few words, the second more: two of its own weigh as much as the context.
WORDS_OF_A_FOLLOW_UP = 2
MOST_OF_CONTEXT = 2.0

# Some fall out as repetitions.
FETCHED_FOR_EACH = 3
FETCHED_AT_LEAST = 20

# Of a passage; one of the usual size has 1,600 characters.
MOST_LOOKED_AT = 4_000


class Ranking(Struct, frozen=True):
    """Best first. `stems` are the words they were found by: what holds few of them counts for as much less."""

    passages: Sequence[Passage]
    weight: float = 1.0
    stems: Sequence[str] = ()


class Finds(Protocol):
    async def search(
        self, reader: Reader, collection: str, words: Sequence[str], vector: Sequence[float] | None, limit: int, /
    ) -> Hits: ...


class Searcher:
    """`vectors` are of questions; `ask` has a model put what was found in order: None, and that is left out."""

    def __init__(self, passages: Finds, vectors: AskedVectors | None = None, ask: Ask | None = None) -> None:
        self._passages = passages
        self._vectors = vectors
        self._ask = ask

    async def search(
        self, reader: Reader, collection: str, question: str, context: Sequence[str], limit: int
    ) -> Sequence[Passage]:
        asked = to_asked(question, context)
        ask = None if reader.is_guest else self._ask
        vectors = await self._to_vectors(reader, [text for text, _ in asked])
        many = max(FETCHED_AT_LEAST, FETCHED_FOR_EACH * limit)
        searches = (
            self._rank(reader, collection, text, vector, many, weight)
            for (text, weight), vector in zip(asked, vectors, strict=True)
        )
        rankings = [ranking for found in await asyncio.gather(*searches) for ranking in found]
        # Many long passages take their time: the loop is not to wait for it.
        found = await asyncio.to_thread(_to_found, rankings, many if ask else limit)
        if ask is not None:
            found = await rerank(ask, reader, question, found)
        return found[:limit]

    async def _to_vectors(self, reader: Reader, texts: Sequence[str]) -> Sequence[Sequence[float] | None]:
        if self._vectors is None or reader.is_guest:
            return [None] * len(texts)
        return await self._vectors.of(texts)

    async def _rank(
        self, reader: Reader, collection: str, text: str, vector: Sequence[float] | None, many: int, weight: float
    ) -> Sequence[Ranking]:
        words = to_wanted_words(text)
        if not words and vector is None:
            return ()
        hits = await self._passages.search(reader, collection, words, vector, many)
        stems = tuple(dict.fromkeys(to_stem(word) for word in words))
        return (Ranking(hits.by_words, weight, stems), Ranking(hits.by_meaning, weight))


def to_asked(question: str, context: Sequence[str]) -> list[tuple[str, float]]:
    """What is looked for, and what each of it weighs: the question, and the question in its context."""
    asked = [(question[:LOOKED_AT], 1.0)]
    if context:
        own = max(1, len(to_rare_words(question)))
        asked.append((in_context(question, context), min(MOST_OF_CONTEXT, WORDS_OF_A_FOLLOW_UP / own)))
    return asked


def _to_found(rankings: Sequence[Ranking], most: int) -> list[Passage]:
    return without_repetitions(fuse(rankings), most)


def fuse(rankings: Iterable[Ranking]) -> list[Passage]:
    """All of them, best first: each is worth more the further up it stands, and in the more rankings."""
    worth: dict[PassageId, float] = {}
    passages: dict[PassageId, Passage] = {}
    for ranking in rankings:
        for rank, passage in enumerate(ranking.passages, 1):
            weight = ranking.weight * _share_held(passage, ranking.stems)
            worth[passage.id] = worth.get(passage.id, 0.0) + weight / (RANK_OFFSET + rank)
            passages[passage.id] = passage
    return sorted(passages.values(), key=lambda passage: -worth[passage.id])


def _share_held(passage: Passage, stems: Sequence[str]) -> float:
    if not stems:
        return 1.0
    return count_held(f"{passage.heading} {passage.text[:MOST_LOOKED_AT]}", stems) / len(stems)
