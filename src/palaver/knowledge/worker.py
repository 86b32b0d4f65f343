"""Reads the documents that wait, and makes the vectors that are missing, for as long as the server lives.

Several workers share the work by claiming: a claim is good for some seconds and renewed while its document is read, and
what a worker leaves behind that was ended is claimed again and read from its start. Nothing of a document is searched
before all of it is.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from msgspec import Struct

from palaver.chat.clock import SECOND, Clock, Micros
from palaver.chat.errors import OverQuota
from palaver.chat.knowledge import Claimed, Cut, DocumentId, Embedding, EmbeddingId, Sizes
from palaver.chat.ports import Documents, Passages
from palaver.knowledge.embeddings import HARMLESS, EmbeddingServer, EmbeddingsFailed
from palaver.knowledge.orders import Limits, Order
from palaver.knowledge.reading import read_document
from palaver.knowledge.unreadable import Unreadable

log = logging.getLogger("palaver.knowledge")

LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0

# How late a worker hears of a document that came in by another process, or that another worker has left.
LOOK_SECONDS = 3.0

# A document that ends whoever reads it, or that the database does not take, is not to keep all others waiting for ever.
MOST_ATTEMPTS = 20

# How often it looks for texts without a vector that another worker has left.
LOOK_FOR_TEXTS_SECONDS = 30.0
TEXTS_AT_ONCE = 256
# As long as that batch takes on a slow server; what a worker leaves that was ended is gone on with after it.
EMBEDDING_LEASE_SECONDS = 120.0

# What is left of deleted documents stays so long, and that of one of which nothing has come any more: whoever sends it
# is shut out after a minute, so that its server was ended.
DROP_EVERY_SECONDS = 600.0
UNFINISHED_SECONDS = 3600.0


class WorkRules(Struct, frozen=True):
    sizes: Sizes = Sizes()
    limits: Limits = Limits()
    lease_seconds: float = LEASE_SECONDS
    renew_seconds: float = RENEW_SECONDS
    look_seconds: float = LOOK_SECONDS


class _Lost(Exception):
    """The document is another worker's now, or gone."""


class Worker:
    def __init__(
        self,
        documents: Documents,
        passages: Passages,
        clock: Clock,
        rules: WorkRules,
        embeddings: EmbeddingServer | None = None,
    ) -> None:
        self._documents = documents
        self._passages = passages
        self._clock = clock
        self._rules = rules
        self._embeddings = embeddings
        self._documents_came = asyncio.Event()
        self._texts_came = asyncio.Event()
        self._waits_for: str | None = None

    async def work(self) -> None:
        """Runs until cancelled; a document that is being read then is read by another, or later."""
        server = self._embeddings
        rounds = [
            _repeat("reading documents", self._read_waiting, self._rules.look_seconds, self._documents_came),
            _repeat("dropping what was never finished", self._drop_unfinished, DROP_EVERY_SECONDS, asyncio.Event()),
        ]
        if server is not None:
            embed = partial(self.embed_missing, server)
            rounds.append(_repeat("making vectors", embed, LOOK_FOR_TEXTS_SECONDS, self._texts_came))
        async with asyncio.TaskGroup() as tasks:
            for one in rounds:
                tasks.create_task(one)

    def wake(self) -> None:
        """A document waits to be read: it need not wait for the next look."""
        self._documents_came.set()

    async def read_next(self) -> bool:
        """Reads the document whose turn it is. False where none waits."""
        claimed = await self._claim()
        if claimed is None:
            return False
        reading = asyncio.create_task(self._read(claimed))
        renewing = asyncio.create_task(self._renew(claimed))
        try:
            await asyncio.wait((reading, renewing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, renewing):
                task.cancel()
            await asyncio.wait((reading, renewing))
            if reading.cancelled() or reading.exception() is not None:
                await self._give_back(claimed)
        for task in (reading, renewing):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        self._texts_came.set()
        return True

    async def _claim(self) -> Claimed | None:
        claiming = asyncio.create_task(self._documents.claim(self._lease(), self._clock.now()))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # It may be this worker's already, and would be nobody's for as long as the lease lasts.
            with suppress(OSError):
                claimed = await claiming
                if claimed is not None:
                    await self._give_back(claimed)
            raise

    async def embed_missing(self, server: EmbeddingServer) -> None:
        """Gives every passage that has none a vector of this server's model, and has them searched then. Raises
        `EmbeddingsFailed`."""
        if not await self._passages.can_embed():
            return
        current = await self._passages.embedding()
        if current is not None and not current.yields_to(server.model, self._clock.now()):
            self._say_waits(current, server)
            return
        self._waits_for = None
        embedding: Embedding | None = await self._use(server, current)
        while embedding is not None:
            embedding = await self._embed_for(embedding, server)

    async def _embed_for(self, embedding: Embedding, server: EmbeddingServer) -> Embedding | None:
        """The one to go on with, where another model goes by the same name now."""
        lease = _EmbeddingLease(self._passages, self._clock, embedding.id)
        try:
            while await self._passages.without_vectors(embedding.id, 1):
                if not await lease.take():
                    # Another worker is at it: each text is paid for once.
                    return None
                # Only now: what there was before may have been made by who had the lease.
                missing = await self._passages.without_vectors(embedding.id, TEXTS_AT_ONCE)
                if not missing:
                    break
                vectors = await server.embed_all([text for _, text in missing])
                if len(vectors[0]) != embedding.dimensions:
                    return await self._passages.use_embedding(server.model, len(vectors[0]), self._clock.now())
                pairs = [(digest, vector) for (digest, _), vector in zip(missing, vectors, strict=True)]
                await self._passages.keep_vectors(embedding.id, pairs)
        finally:
            await lease.give_up()
        # Where a document came meanwhile, the next round does it.
        if embedding.is_current or await self._passages.make_current(embedding.id, self._clock.now()):
            await self._passages.drop_old_embeddings(self._clock.now())
        return None

    def _say_waits(self, current: Embedding, server: EmbeddingServer) -> None:
        if self._waits_for != current.model:
            log.error(
                "the vectors of another model (%s) than PALAVER_EMBEDDING_MODEL (%s) are searched: a server is set to "
                "the other one, or was some minutes ago. None of this one are made before that has ended",
                current.model,
                server.model,
            )
        self._waits_for = current.model

    async def _use(self, server: EmbeddingServer, current: Embedding | None) -> Embedding:
        if current is not None and current.model == server.model:
            dimensions = current.dimensions
        else:
            (probe,) = await server.embed_all([HARMLESS])
            dimensions = len(probe)
        return await self._passages.use_embedding(server.model, dimensions, self._clock.now())

    async def _read(self, claimed: Claimed) -> None:
        document = claimed.document
        if claimed.attempt > MOST_ATTEMPTS:
            log.error("document %s cannot be read: it was begun %d times", document.uuid, MOST_ATTEMPTS)
            await self._documents.fail(claimed, "broken", self._clock.now())
            return
        if claimed.attempt > 1:
            await self._documents.forget_passages(claimed)
        sizes = document.sizes or self._rules.sizes
        limits = self._rules.limits.for_size(document.size)
        order = Order(document.name, document.media_type, document.size, sizes, limits)

        async def keep(cuts: Sequence[Cut]) -> None:
            if not await self._documents.add_passages(claimed, cuts):
                raise _Lost

        try:
            await read_document(order, self._parts(document.id), keep)
        except Unreadable as error:
            why = f" ({error.why})" if error.why else ""
            log.info("document %s cannot be read: %s%s", document.uuid, error.problem, why)
            await self._documents.fail(claimed, error.problem, self._clock.now())
        except OverQuota as error:
            log.info("document %s is more than its owner may keep: %d bytes", document.uuid, error.most)
            await self._documents.fail(claimed, "too_large", self._clock.now())
        except _Lost:
            log.info("document %s is read by somebody else, or gone", document.uuid)
        else:
            await self._documents.finish(claimed, self._clock.now())

    async def _parts(self, document_id: DocumentId) -> AsyncIterator[bytes]:
        number = 0
        while (data := await self._documents.part(document_id, number)) is not None:
            yield data
            number += 1

    async def _renew(self, claimed: Claimed) -> None:
        """Returns where it is another's."""
        while True:
            await asyncio.sleep(self._rules.renew_seconds)
            if not await self._documents.renew(claimed, self._lease()):
                log.info("document %s is read by somebody else, or gone", claimed.document.uuid)
                return

    async def _give_back(self, claimed: Claimed) -> None:
        """Whoever looks next claims it. Where it is another's already, that one keeps it."""
        with suppress(OSError):
            await self._documents.renew(claimed, Micros(0))

    def _lease(self) -> Micros:
        return Micros(self._clock.now() + int(self._rules.lease_seconds * SECOND))

    async def _read_waiting(self) -> None:
        while await self.read_next():
            pass

    async def _drop_unfinished(self) -> None:
        await self._documents.drop_unfinished(Micros(self._clock.now() - int(UNFINISHED_SECONDS * SECOND)))


class _EmbeddingLease:
    """Who makes the vectors just now. It is taken again before each batch."""

    def __init__(self, passages: Passages, clock: Clock, embedding_id: EmbeddingId) -> None:
        self._passages = passages
        self._clock = clock
        self._embedding_id = embedding_id
        self._held: Micros | None = None

    async def take(self) -> bool:
        now = self._clock.now()
        until = Micros(now + int(EMBEDDING_LEASE_SECONDS * SECOND))
        if not await self._passages.lease_embedding(self._embedding_id, until, now, self._held):
            return False
        self._held = until
        return True

    async def give_up(self) -> None:
        if self._held is not None:
            with suppress(OSError):
                await self._passages.lease_embedding(self._embedding_id, Micros(0), self._clock.now(), self._held)


async def _repeat(what: str, do: Callable[[], Awaitable[object]], seconds: float, wake: asyncio.Event) -> None:
    """Does it now, whenever it is woken, and after so many seconds."""
    failed = ""
    while True:
        wake.clear()
        try:
            await do()
            failed = ""
        except (OSError, EmbeddingsFailed) as error:
            if str(error) != failed:
                log.warning("%s has to wait: %s", what, error)
            failed = str(error)
        except Exception:
            # A fault in one round must not end all the rounds to come.
            log.exception("%s failed", what)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()
