"""A collection and a worker that reads its documents, as tests use them."""

import asyncio
import hashlib
from collections.abc import Sequence

from palaver.chat.clock import Clock, SystemClock
from palaver.chat.knowledge import Collection, Document, Passage, Quota, Sizes
from palaver.chat.user import Reader, User
from palaver.knowledge.embeddings import EmbeddingServer
from palaver.knowledge.orders import Limits
from palaver.knowledge.worker import Worker, WorkRules
from palaver.store import SqlStore

PART = 500_000
ANY = Quota()


class Library:
    def __init__(self, store: SqlStore, owner: User, collection: Collection) -> None:
        self.store = store
        self.owner = owner
        self.collection = collection
        self.reader = Reader(owner.id)
        self.clock: Clock = SystemClock()
        """By which workers tell the time."""

    def worker(
        self, embeddings: EmbeddingServer | None = None, limits: Limits | None = None, lease: float = 30.0
    ) -> Worker:
        rules = WorkRules(limits=limits or Limits(), lease_seconds=lease, renew_seconds=lease / 3, look_seconds=0.02)
        return Worker(self.store.documents, self.store.passages, self.clock, rules, embeddings)

    async def put(self, name: str, data: bytes | str, sizes: Sizes | None = None, quota: Quota = ANY) -> Document:
        """It waits to be read then."""
        content = data.encode() if isinstance(data, str) else data
        documents, now = self.store.documents, SystemClock().now()
        begun = await documents.begin(self.collection.id, name, "text/plain", now, sizes)
        for number, place in enumerate(range(0, len(content), PART)):
            await documents.add_part(begun.id, number, content[place : place + PART], quota, now)
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).digest())
        document, _ = await documents.arrive(begun.id, digest, now, quota)
        return document

    async def get(self, document: Document) -> Document:
        return (await self.store.documents.access(self.reader, document.uuid))[0]

    async def until_ready(self, documents: Sequence[Document]) -> None:
        for document in documents:
            while (now := await self.get(document)).status != "ready":
                assert now.status != "failed", now.problem

    async def find(self, words: list[str]) -> list[Passage]:
        hits = await self.store.passages.search(self.reader, "papers", words, None, 50)
        return list(hits.by_words)

    async def text(self, document: Document) -> str:
        """All of it, put together from its passages."""
        text = ""
        first = 0
        while some := await self.store.documents.passages(document.id, first=first, limit=200):
            for one in some:
                text += one.text[len(text) - one.start :]
            first += len(some)
        return text
