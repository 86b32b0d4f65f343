"""How well a question's passage is found: what `bench/retrieval.py` measures.

The store, the cutting and the search are the ones that serve; the reader's child process, which changes nothing of what
is found, is left out.
"""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

from msgspec import Struct

from bench.question_set import Document, Question
from palaver.chat.clock import SECOND, Clock, Micros, SystemClock
from palaver.chat.knowledge import HELD_SECONDS, CollectionId, NewCollection, Passage, Quota, Sizes
from palaver.chat.user import NOT_STORED, Reader, User
from palaver.knowledge.asking import AskedVectors
from palaver.knowledge.cutting import cut
from palaver.knowledge.embeddings import EmbeddingServer
from palaver.knowledge.formats.kinds import find_reader
from palaver.knowledge.search import Ranking, Searcher, fuse, to_asked
from palaver.knowledge.worker import Worker, WorkRules
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import migrate

MEDIA_TYPE = "text/markdown"
LEASE_SECONDS = 3600

# What waits together is synced to the disk together.
AT_ONCE = 30

# The reciprocal of a rank further down is taken to be nothing.
RANKS = 10
NEAR_THE_TOP = 5

FETCHED = 30


class Way(StrEnum):
    WORDS = "full text alone"
    MEANING = "vectors alone"
    BOTH = "both"


class Found(Struct, frozen=True):
    """The rank of the first passage that answers; None where it is not among the first ten."""

    question: Question
    rank: int | None


class Figures(Struct, frozen=True):
    questions: int
    recall: float
    """How many have an answer among the first five."""
    mrr: float
    """The mean of 1, 1/2, 1/3, … for an answer in the first, second, third place."""


def to_figures(found: Sequence[Found]) -> Figures:
    ranks = [one.rank for one in found if one.rank is not None]
    return Figures(
        len(found),
        sum(rank <= NEAR_THE_TOP for rank in ranks) / len(found),
        sum(1 / rank for rank in ranks) / len(found),
    )


class _Later:
    """A clock that is put forward: nobody waits here until the servers with the embedding before are surely gone."""

    def __init__(self) -> None:
        self._ahead = 0

    def put_forward(self) -> None:
        self._ahead += HELD_SECONDS * SECOND

    def now(self) -> Micros:
        return Micros(SystemClock().now() + self._ahead)


class Library:
    """A collection with the documents, and a person who searches it."""

    def __init__(self, store: SqlStore, reader: Reader, collection: str) -> None:
        self._store = store
        self._reader = reader
        self._collection = collection
        self._clock = _Later()

    async def ask(self, questions: Sequence[Question], way: Way, vectors: AskedVectors | None = None) -> list[Found]:
        """Of those that have an answer, where it was found."""
        answered = [question for question in questions if question.document]
        if way is Way.MEANING:
            assert vectors is not None
            return [to_found(one, await self._find_by_meaning(one, vectors)) for one in answered]
        searcher = Searcher(self._store.passages, None if way is Way.WORDS else vectors)
        return [to_found(one, await self._find(one, searcher)) for one in answered]

    async def embed(self, server: EmbeddingServer, questions: Sequence[Question]) -> AskedVectors:
        """Gives all passages vectors of that server, and returns those of the questions."""
        self._clock.put_forward()
        worker = Worker(self._store.documents, self._store.passages, self._clock, WorkRules(), server)
        await worker.embed_missing(server)
        current = await self._store.passages.embedding()
        if current is None or current.model != server.model:
            raise RuntimeError(f"The vectors of {server.model} are not searched.")
        texts = [text for question in questions for text, _ in _asked(question)]
        known = dict(zip(texts, await server.embed_all(texts), strict=True))
        return AskedVectors(self._store.passages, _Known(known))

    async def _find(self, question: Question, searcher: Searcher) -> Sequence[Passage]:
        return await searcher.search(self._reader, self._collection, question.text, _context(question), RANKS)

    async def _find_by_meaning(self, question: Question, vectors: AskedVectors) -> Sequence[Passage]:
        """As the search does, but for the words."""
        rankings = []
        asked = _asked(question)
        for (_, weight), vector in zip(asked, await vectors.of([text for text, _ in asked]), strict=True):
            hits = await self._store.passages.search(self._reader, self._collection, (), vector, FETCHED)
            rankings.append(Ranking(hits.by_meaning, weight))
        return fuse(rankings)[:RANKS]


def to_found(question: Question, passages: Sequence[Passage]) -> Found:
    names = [passage.name for passage in passages]
    wanted = _to_file(question.document)
    return Found(question, names.index(wanted) + 1 if wanted in names else None)


@asynccontextmanager
async def open_library(options: StoreOptions, documents: Sequence[Document]) -> AsyncIterator[Library]:
    """In a new database."""
    clock = SystemClock()
    async with open_store(options) as store:
        await migrate(store.database, store.engine)
        user = User(NOT_STORED, str(uuid.uuid4()), "person", "alice", created_at=clock.now())
        alice = await store.accounts.add_user(user)
        collection = await store.collections.add(alice, NewCollection("handbook"), clock.now(), Quota())
        await _gather(AT_ONCE, [_bring(store, collection.id, document, clock) for document in documents])
        await _gather(AT_ONCE, [_read(store, clock) for _ in documents])
        yield Library(store, Reader(alice.id), collection.uuid)


async def _bring(store: SqlStore, collection_id: CollectionId, document: Document, clock: Clock) -> None:
    data = document.text.encode()
    begun = await store.documents.begin(collection_id, _to_file(document.name), MEDIA_TYPE, clock.now())
    await store.documents.add_part(begun.id, 0, data, Quota(), clock.now())
    await store.documents.arrive(begun.id, hashlib.sha256(data).digest(), clock.now(), Quota())


async def _read(store: SqlStore, clock: Clock) -> None:
    """The document that has waited longest."""
    claimed = await store.documents.claim(Micros(clock.now() + LEASE_SECONDS * SECOND), clock.now())
    assert claimed is not None
    data = await store.documents.part(claimed.document.id, 0)
    assert data is not None
    cuts = list(cut(find_reader(data, claimed.document.name, MEDIA_TYPE)(data), Sizes()))
    await store.documents.add_passages(claimed, cuts)
    await store.documents.finish(claimed, clock.now())


async def _gather(at_once: int, work: Sequence[Coroutine[None, None, None]]) -> None:
    for place in range(0, len(work), at_once):
        await asyncio.gather(*work[place : place + at_once])


def _to_file(name: str) -> str:
    return f"{name}.md"


def _asked(question: Question) -> Sequence[tuple[str, float]]:
    return to_asked(question.text, _context(question))


def _context(question: Question) -> Sequence[str]:
    return [question.after] if question.after else []


class _Known:
    """Vectors that were made before: nothing is measured of how long a server takes."""

    def __init__(self, vectors: Mapping[str, Sequence[float]]) -> None:
        self._vectors = vectors

    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:  # noqa: ARG002
        return [self._vectors[text] for text in texts]
