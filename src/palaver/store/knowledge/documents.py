"""Documents in the database: how they arrive, are listed, and go. How they are read stands in `reading.py`."""

import uuid
from collections.abc import Sequence

from palaver.chat.clock import Micros
from palaver.chat.errors import NotFound
from palaver.chat.knowledge import (
    Claimed,
    Collection,
    CollectionId,
    Cut,
    Document,
    DocumentId,
    Passage,
    Problem,
    Quota,
    Sizes,
)
from palaver.chat.user import Reader, UserId
from palaver.store.database import Database, Row, Transaction
from palaver.store.knowledge.clearing import Clearing, hide_document
from palaver.store.knowledge.quotas import check_quota, hold_owner
from palaver.store.knowledge.reading import Reading
from palaver.store.knowledge.rows import (
    COLLECTION,
    COLLECTION_COLUMNS,
    DOCUMENT,
    PASSAGE,
    VISIBLE,
    from_sizes,
    to_collection,
    to_document,
    to_passage,
)

ARRIVED = "d.status NOT IN ('arriving', 'deleted')"
LIST = f"SELECT {DOCUMENT} FROM documents d WHERE d.collection_id = $1 AND {ARRIVED} ORDER BY d.name, d.id"
TOTAL = f"SELECT COUNT(*) FROM documents d WHERE d.collection_id = $1 AND {ARRIVED}"
ACCESS = (
    f"SELECT {COLLECTION}, {DOCUMENT} FROM documents d JOIN collections c ON c.id = d.collection_id "
    f"JOIN users u ON u.id = c.owner_id WHERE d.uuid = $3 AND {ARRIVED} AND {VISIBLE}"
)
BY_ID = f"SELECT {DOCUMENT} FROM documents d WHERE d.id = $1"
# The one that will be found, or is: what waits to be read takes the place of what is ready.
NEWEST = (
    f"SELECT {DOCUMENT}, d.digest FROM documents d WHERE d.collection_id = $1 AND d.name = $2 AND d.id <> $3 "
    "AND d.status IN ('waiting', 'reading', 'ready') ORDER BY d.status = 'ready', d.id DESC LIMIT 1"
)
OTHERS = (
    "SELECT d.id, d.status FROM documents d WHERE d.collection_id = $1 AND d.name = $2 AND d.id <> $3 "
    f"AND {ARRIVED} ORDER BY d.id"
)
HOLD_COLLECTION = "SELECT owner_id FROM collections WHERE id = $1 AND NOT is_deleted"
BEGIN = (
    "INSERT INTO documents (uuid, collection_id, name, media_type, created_at, updated_at, sizes) "
    "VALUES ($1, $2, $3, $4, $5, $5, $6) RETURNING id"
)
WHOSE = (
    "SELECT c.owner_id, c.id FROM documents d JOIN collections c ON c.id = d.collection_id "
    "WHERE d.id = $1 AND d.status = 'arriving' AND NOT c.is_deleted"
)
STILL_ARRIVING = "SELECT name, size FROM documents WHERE id = $1 AND status = 'arriving'"
PART_SIZE = "SELECT length(data) FROM document_parts WHERE document_id = $1 AND number = $2"
KEEP_PART = (
    "INSERT INTO document_parts (document_id, number, data) VALUES ($1, $2, $3) "
    "ON CONFLICT (document_id, number) DO UPDATE SET data = excluded.data"
)
PART = "SELECT data FROM document_parts WHERE document_id = $1 AND number = $2"
GROW = "UPDATE documents SET size = size + $2, updated_at = $3 WHERE id = $1"
GROW_COLLECTION = "UPDATE collections SET arriving_size = arriving_size + $2 WHERE id = $1"
WAIT = "UPDATE documents SET status = 'waiting', digest = $2, updated_at = $3, most_kept = $4 WHERE id = $1"
COUNT = (
    "UPDATE collections SET document_count = document_count + 1, size = size + $2, "
    "arriving_size = arriving_size - $2, updated_at = $3 WHERE id = $1"
)
NEVER_CAME = "SELECT id FROM documents WHERE status = 'arriving' AND updated_at < $1 ORDER BY id LIMIT 100"
PASSAGES = (
    f"SELECT {PASSAGE} FROM passages p JOIN documents d ON d.id = p.document_id "
    "WHERE p.document_id = $1 AND p.number >= $2 AND d.status = 'ready' ORDER BY p.number LIMIT $3"
)


class SqlDocuments:
    def __init__(self, database: Database, clearing: Clearing, reading: Reading) -> None:
        self._database = database
        self._clearing = clearing
        self._reading = reading

    async def listed(self, collection_id: CollectionId, *, limit: int, offset: int) -> tuple[Sequence[Document], int]:
        async def work(tx: Transaction) -> tuple[Sequence[Row], Row | None]:
            page = await tx.all(f"{LIST} LIMIT $2 OFFSET $3", collection_id, limit, offset)
            return page, await tx.one(TOTAL, collection_id)

        page, total = await self._database.read(work, one_state=True)
        assert total is not None
        return [to_document(row) for row in page], total[0]

    async def access(self, reader: Reader, uuid: str) -> tuple[Document, Collection]:
        row = await self._database.read(lambda tx: tx.one(ACCESS, reader.user_id, reader.is_admin, uuid))
        if row is None:
            raise NotFound
        values = tuple(row)
        return to_document(values[COLLECTION_COLUMNS:]), to_collection(values[:COLLECTION_COLUMNS])

    async def begin(
        self, collection_id: CollectionId, name: str, media_type: str, now: Micros, sizes: Sizes | None = None
    ) -> Document:
        async def work(tx: Transaction) -> Document:
            if await tx.one(HOLD_COLLECTION + tx.lock, collection_id) is None:
                raise NotFound
            row = await tx.one(BEGIN, str(uuid.uuid4()), collection_id, name, media_type, now, from_sizes(sizes))
            assert row is not None
            return await _must_get(tx, row[0])

        return await self._database.write(work)

    async def add_part(self, document_id: DocumentId, number: int, data: bytes, quota: Quota, now: Micros) -> None:
        async def work(tx: Transaction) -> None:
            owner_id, collection_id, _ = await _hold_arriving(tx, document_id)
            before = await tx.one(PART_SIZE, document_id, number)
            more = len(data) - (before[0] if before else 0)
            await check_quota(tx, owner_id, quota, size=more)
            await tx.run(KEEP_PART, document_id, number, data)
            await tx.run(GROW, document_id, more, now)
            await tx.run(GROW_COLLECTION, collection_id, more)

        await self._database.write(work)

    async def arrive(self, document_id: DocumentId, digest: bytes, now: Micros, quota: Quota) -> tuple[Document, bool]:
        hidden: list[DocumentId] = []

        async def work(tx: Transaction) -> tuple[Document, bool]:
            owner_id, collection_id, (name, size) = await _hold_arriving(tx, document_id)
            newest = await tx.one(NEWEST, collection_id, name, document_id)
            if newest is not None and newest[-1] == digest:
                await hide_document(tx, document_id)
                hidden.append(document_id)
                return to_document(tuple(newest)[:-1]), True
            others = await tx.all(OTHERS, collection_id, name, document_id)
            await check_quota(tx, owner_id, quota, documents=0 if others else 1)
            for other_id, status in others:
                # One that is searched stays so until this one can be.
                if status != "ready":
                    await hide_document(tx, other_id)
                    hidden.append(other_id)
            await tx.run(WAIT, document_id, digest, now, quota.bytes)
            await tx.run(COUNT, collection_id, size, now)
            return await _must_get(tx, document_id), False

        arrived = await self._database.write(work)
        if hidden:
            self._clearing.begin()
        return arrived

    async def has(self, collection_id: CollectionId, name: str, digest: bytes) -> Document | None:
        newest = await self._database.read(lambda tx: tx.one(NEWEST, collection_id, name, 0))
        return to_document(tuple(newest)[:-1]) if newest is not None and newest[-1] == digest else None

    async def part(self, document_id: DocumentId, number: int) -> bytes | None:
        row = await self._database.read(lambda tx: tx.one(PART, document_id, number))
        return None if row is None else bytes(row[0])

    async def delete(self, document_id: DocumentId) -> None:
        await self._hide(document_id)
        self._clearing.begin()

    async def drop_unfinished(self, before: Micros) -> int:
        dropped = 0
        while ids := await self._database.read(lambda tx: tx.all(NEVER_CAME, before)):
            for row in ids:
                await self._hide(DocumentId(row[0]))
            dropped += len(ids)
        await self._clearing.clear()
        return dropped

    async def _hide(self, document_id: DocumentId) -> None:
        await self._database.write(lambda tx: _delete(tx, document_id))

    async def passages(self, document_id: DocumentId, *, first: int, limit: int) -> Sequence[Passage]:
        rows = await self._database.read(lambda tx: tx.all(PASSAGES, document_id, first, limit))
        return [to_passage(row) for row in rows]

    async def claim(self, lease_until: Micros, now: Micros) -> Claimed | None:
        return await self._reading.claim(lease_until, now)

    async def renew(self, claimed: Claimed, lease_until: Micros) -> bool:
        return await self._reading.renew(claimed, lease_until)

    async def forget_passages(self, claimed: Claimed) -> None:
        await self._reading.forget_passages(claimed)

    async def add_passages(self, claimed: Claimed, cuts: Sequence[Cut]) -> bool:
        return await self._reading.add_passages(claimed, cuts)

    async def finish(self, claimed: Claimed, now: Micros) -> bool:
        return await self._reading.finish(claimed, now)

    async def fail(self, claimed: Claimed, problem: Problem, now: Micros) -> bool:
        return await self._reading.fail(claimed, problem, now)


async def _hold_arriving(tx: Transaction, document_id: DocumentId) -> tuple[UserId, CollectionId, Row]:
    """Who pays for it, where it goes, its name and how much of it is there. Raises `NotFound`."""
    whose = await tx.one(WHOSE, document_id)
    if whose is None:
        raise NotFound
    owner_id, collection_id = whose
    await hold_owner(tx, owner_id)
    if await tx.one(HOLD_COLLECTION + tx.lock, collection_id) is None:
        raise NotFound
    document = await tx.one(STILL_ARRIVING + tx.lock, document_id)
    if document is None:
        raise NotFound
    return owner_id, collection_id, document


async def _delete(tx: Transaction, document_id: DocumentId) -> None:
    document = await tx.one(BY_ID, document_id)
    if document is not None:
        await tx.one(HOLD_COLLECTION + tx.lock, to_document(document).collection_id)
        await hide_document(tx, document_id)


async def _must_get(tx: Transaction, document_id: DocumentId) -> Document:
    row = await tx.one(BY_ID, document_id)
    if row is None:
        raise NotFound
    return to_document(row)
