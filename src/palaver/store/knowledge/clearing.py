"""Takes away what was deleted, a little at a time.

Deleting hides; that is one short transaction. The parts, passages, words and vectors then go in steps so small that
those who talk do not feel them. What a process that died has left of it goes with the next `clear`.
"""

import asyncio
import logging
from collections.abc import Sequence

from palaver.chat.knowledge import CollectionId, DocumentId, EmbeddingId, PassageId
from palaver.chat.user import UserId
from palaver.store.database import Database, Transaction
from palaver.store.knowledge.vectors import Vectors
from palaver.store.knowledge.words import Words

log = logging.getLogger("palaver.store")

_HIDE = "UPDATE collections SET is_deleted = TRUE, is_public = FALSE, name = '', description = ''"
HIDE_COLLECTION = f"{_HIDE} WHERE id = $1"
FORGET_SHARES = "DELETE FROM collection_shares WHERE collection_id = $1"
DELETED_COLLECTIONS = "SELECT id FROM collections WHERE is_deleted ORDER BY id LIMIT 100"
_OF_USER = "owner_id IN (SELECT u.id FROM users u WHERE u.id = $1 OR u.app_id = $1)"
# Of a user, and of those that an application has brought.
HIDE_COLLECTIONS_OF_USER = f"{_HIDE}, owner_id = NULL WHERE {_OF_USER}"

HIDE_DOCUMENTS = (
    "UPDATE documents SET status = 'deleted', name = '', digest = NULL, lease_until = NULL WHERE id IN "
    "(SELECT id FROM documents WHERE collection_id = $1 AND status <> 'deleted' LIMIT $2) RETURNING id"
)
DOCUMENTS_OF = "SELECT id FROM documents WHERE collection_id = $1 LIMIT $2"
DELETED_DOCUMENTS = "SELECT id FROM documents WHERE status = 'deleted' ORDER BY updated_at, id LIMIT $1"
HOLD_DOCUMENT = "SELECT collection_id, status, size, passage_count, text_size FROM documents WHERE id = $1"
HIDE_DOCUMENT = "UPDATE documents SET status = 'deleted', name = '', digest = NULL, lease_until = NULL WHERE id = $1"
UNCOUNT = (
    "UPDATE collections SET document_count = document_count - $2, size = size - $3, "
    "arriving_size = arriving_size - $4, passage_count = passage_count - $5, text_size = text_size - $6 "
    "WHERE id = $1"
)

SOME_PASSAGES = "SELECT id FROM passages WHERE document_id = $1 ORDER BY number LIMIT $2"
SOME_PARTS = "SELECT number FROM document_parts WHERE document_id = $1 ORDER BY number LIMIT 1"

DROPPED_EMBEDDINGS = "SELECT id FROM embeddings WHERE is_dropped ORDER BY id"

# Some ten milliseconds.
PASSAGES_AT_ONCE = 20
DOCUMENTS_AT_ONCE = 200
CALM_SECONDS = 5
# FTS5 counts what it writes as it brings its index in order, and not what it leaves out: of much that was removed it
# would make one long step.
STEPS_BEFORE_A_PURGE = 150

# Where somebody reads or writes just as the log is to go, it is tried again; in the end, by the next sweep.
LOG_TRIES = 20
LOG_SECONDS = 0.5


class Clearing:
    def __init__(self, database: Database, words: Words, vectors: Vectors) -> None:
        self._database = database
        self._words = words
        self._vectors = vectors
        self._clearing: asyncio.Task[None] | None = None
        self._is_more = False
        self._steps = 0
        # Two that clear the same would hold the writer twice as long.
        self._alone = asyncio.Lock()

    def begin(self) -> None:
        """Clears in the background."""
        self._is_more = True
        if self._clearing is None or self._clearing.done():
            self._clearing = asyncio.create_task(self._clear())

    async def close(self) -> None:
        """Stops; the next `clear` goes on with it."""
        if self._clearing is not None:
            self._clearing.cancel()
            await asyncio.gather(self._clearing, return_exceptions=True)

    async def clear(self) -> None:
        """Returns when nothing is left of all that was deleted before."""
        async with self._alone:
            await self._clear_rows()
            await self._finish()

    async def _finish(self) -> None:
        """Takes what was cleared out of the words' index and the log of writes."""
        await self._words.purge(self._database)
        for _ in range(LOG_TRIES):
            if await self._database.drop_log():
                break
            await asyncio.sleep(LOG_SECONDS)

    async def _clear_rows(self) -> None:
        while ids := await self._ids(DELETED_COLLECTIONS):
            for collection_id in ids:
                await self._clear_collection(CollectionId(collection_id))
        while ids := await self._ids(DELETED_DOCUMENTS, DOCUMENTS_AT_ONCE):
            for document_id in ids:
                await self._clear_document(DocumentId(document_id))
        for embedding_id in await self._ids(DROPPED_EMBEDDINGS):
            await self._clear_embedding(EmbeddingId(embedding_id))
        while await self._database.write(self._vectors.tidy_some):
            pass

    async def forget_some(self, tx: Transaction, document_id: DocumentId) -> bool:
        """A step of taking away its passages. Whether there were any."""
        ids = [PassageId(row[0]) for row in await tx.all(SOME_PASSAGES, document_id, PASSAGES_AT_ONCE)]
        if ids:
            embeddings = await self._vectors.hold(tx)
            await self._words.remove(tx, ids)
            await tx.run_many("DELETE FROM passages WHERE id = $1", [(id_,) for id_ in ids])
            await self._vectors.remove(tx, embeddings, ids)
        return bool(ids)

    async def _clear(self) -> None:
        try:
            while self._is_more:
                self._is_more = False
                async with self._alone:
                    await self._clear_rows()
                # The words' index is brought in order once for many deletions.
                await asyncio.sleep(CALM_SECONDS)
                if not self._is_more:
                    async with self._alone:
                        await self._finish()
        except OSError as error:
            log.warning("what was deleted cannot be taken away just now: %s", error)
        except Exception:
            # The task's outer edge: nobody waits for it, and the next sweep tries again.
            log.exception("what was deleted cannot be taken away")

    async def _clear_collection(self, collection_id: CollectionId) -> None:
        while await self._database.write(lambda tx: tx.all(HIDE_DOCUMENTS, collection_id, DOCUMENTS_AT_ONCE)):
            pass
        while ids := await self._ids(DOCUMENTS_OF, collection_id, DOCUMENTS_AT_ONCE):
            for document_id in ids:
                await self._clear_document(DocumentId(document_id))
        await self._database.write(lambda tx: _forget_collection(tx, collection_id))

    async def _clear_document(self, document_id: DocumentId) -> None:
        while await self._database.write(lambda tx: self.forget_some(tx, document_id)):
            self._steps += 1
            if self._steps % STEPS_BEFORE_A_PURGE == 0:
                await self._words.purge(self._database)
        while await self._database.write(lambda tx: _forget_part(tx, document_id)):
            pass
        await self._database.write(lambda tx: tx.run("DELETE FROM documents WHERE id = $1", document_id))

    async def _clear_embedding(self, embedding_id: EmbeddingId) -> None:
        while await self._database.write(lambda tx: self._vectors.drop_some(tx, embedding_id)):
            pass

    async def _ids(self, sql: str, *values: object) -> Sequence[int]:
        return [row[0] for row in await self._database.read(lambda tx: tx.all(sql, *values))]


async def hide_collection(tx: Transaction, collection_id: CollectionId) -> None:
    await tx.run(HIDE_COLLECTION, collection_id)
    await tx.run(FORGET_SHARES, collection_id)


async def hide_collections_of(tx: Transaction, user_id: UserId) -> None:
    """They are nobody's from now on, and what is in them is cleared: their owner can be erased before."""
    await tx.run(HIDE_COLLECTIONS_OF_USER, user_id)


async def hide_document(tx: Transaction, document_id: DocumentId) -> None:
    """Nobody finds it from this transaction on. Its collection's row is held already, if it is there."""
    row = await tx.one(HOLD_DOCUMENT + tx.lock, document_id)
    if row is None or row[1] == "deleted":
        return
    collection_id, status, size, *read = row
    arriving = status == "arriving"
    counts = (0 if arriving else 1, 0 if arriving else size, size if arriving else 0)
    await tx.run(UNCOUNT, collection_id, *counts, *(read if status == "ready" else (0, 0)))
    await tx.run(HIDE_DOCUMENT, document_id)


async def _forget_part(tx: Transaction, document_id: DocumentId) -> bool:
    row = await tx.one(SOME_PARTS, document_id)
    if row is not None:
        await tx.run("DELETE FROM document_parts WHERE document_id = $1 AND number = $2", document_id, row[0])
    return row is not None


async def _forget_collection(tx: Transaction, collection_id: CollectionId) -> None:
    await tx.run(FORGET_SHARES, collection_id)
    await tx.run("DELETE FROM collections WHERE id = $1", collection_id)
