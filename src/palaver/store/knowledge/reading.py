"""How a document is read: a worker claims it, adds its passages, and says how it ended.

Each step holds the document and looks whether it is still this worker's: who comes late writes nothing.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence

from palaver.chat.clock import Micros
from palaver.chat.knowledge import Claimed, CollectionId, Cut, DocumentId, PassageId, Problem
from palaver.chat.words import to_terms
from palaver.store.database import Database, Row, Transaction
from palaver.store.knowledge.clearing import Clearing, hide_document
from palaver.store.knowledge.quotas import check_text
from palaver.store.knowledge.rows import DOCUMENT, to_document, to_passage_id
from palaver.store.knowledge.words import Words

_NEXT = (
    "SELECT d.id, d.attempt, c.owner_id FROM documents d JOIN collections c ON c.id = d.collection_id "
    "JOIN users u ON u.id = c.owner_id WHERE NOT c.is_deleted AND "
)
LEFT = f"{_NEXT} d.status = 'reading' AND d.lease_until < $1 ORDER BY d.updated_at, d.id LIMIT 1"
WAITING = f"{_NEXT} d.status = 'waiting' ORDER BY u.documents_read_at, d.updated_at, d.id LIMIT 1"
TURN = "UPDATE users SET documents_read_at = $2 WHERE id = $1"
CLAIM = (
    "UPDATE documents SET status = 'reading', attempt = attempt + 1, lease_until = $3, text_size = 0 "
    "WHERE id = $1 AND attempt = $2 AND (status = 'waiting' OR status = 'reading' AND lease_until < $4) "
    "RETURNING attempt"
)
CLAIMED = f"SELECT {DOCUMENT} FROM documents d WHERE d.id = $1 AND d.attempt = $2"
RENEW = "UPDATE documents SET lease_until = $3 WHERE id = $1 AND attempt = $2 AND status = 'reading' RETURNING id"
HOLD = "SELECT collection_id FROM documents WHERE id = $1 AND attempt = $2 AND status = 'reading'"
HOLD_COLLECTION = "SELECT id FROM collections WHERE id = $1 AND NOT is_deleted"
ADD = (
    "INSERT INTO passages (id, document_id, number, begins, ends, page, heading, digest, text) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (document_id, number) DO NOTHING RETURNING id, number"
)
GROW = "UPDATE documents SET text_size = text_size + $2 WHERE id = $1 RETURNING text_size, most_kept"
COUNT = "SELECT COUNT(*), (SELECT text_size FROM documents WHERE id = $1) FROM passages WHERE document_id = $1"
READY = (
    "UPDATE documents SET status = 'ready', problem = NULL, passage_count = $2, lease_until = NULL, updated_at = $3 "
    "WHERE id = $1"
)
COUNT_PASSAGES = (
    "UPDATE collections SET passage_count = passage_count + $2, text_size = text_size + $3, updated_at = $4 "
    "WHERE id = $1"
)
REPLACED = (
    "SELECT o.id FROM documents o JOIN documents d ON o.collection_id = d.collection_id AND o.name = d.name "
    "WHERE d.id = $1 AND o.id <> d.id AND o.status IN ('ready', 'failed') ORDER BY o.id"
)
FAILED = (
    "UPDATE documents SET status = 'failed', problem = $2, lease_until = NULL, text_size = 0, updated_at = $3 "
    "WHERE id = $1"
)

# What is added in one transaction: it holds the writer for some ten milliseconds.
CHARACTERS_AT_ONCE = 40_000
PASSAGES_AT_ONCE = 40


class Reading:
    def __init__(self, database: Database, words: Words, clearing: Clearing) -> None:
        self._database = database
        self._words = words
        self._clearing = clearing

    async def claim(self, lease_until: Micros, now: Micros) -> Claimed | None:
        claimed: Claimed | None = None
        # Whoever is faster has it, and the next one is looked for.
        while claimed is None and (row := await self._database.read(lambda tx: _next(tx, now))) is not None:
            claimed = await self._claim(row, lease_until, now)
        return claimed

    async def _claim(self, row: Row, lease_until: Micros, now: Micros) -> Claimed | None:
        id_, attempt, owner_id = row

        async def work(tx: Transaction) -> Claimed | None:
            # The owner's row first, as whoever uploads holds them.
            await tx.run(TURN, owner_id, now)
            claimed = await tx.one(CLAIM, id_, attempt, lease_until, now)
            if claimed is None:
                return None
            document = await tx.one(CLAIMED, id_, claimed[0])
            assert document is not None
            return Claimed(to_document(document), claimed[0])

        return await self._database.write(work)

    async def renew(self, claimed: Claimed, lease_until: Micros) -> bool:
        values = (claimed.document.id, claimed.attempt, lease_until)
        return await self._database.write(lambda tx: tx.one(RENEW, *values)) is not None

    async def forget_passages(self, claimed: Claimed) -> None:
        async def work(tx: Transaction) -> bool:
            return await _hold(tx, claimed) and await self._clearing.forget_some(tx, claimed.document.id)

        while await self._database.write(work):
            pass

    async def add_passages(self, claimed: Claimed, cuts: Sequence[Cut]) -> bool:
        for some in _in_steps(cuts):
            # Long texts take their time: the loop is not to wait for it.
            entries = await asyncio.to_thread(self._entries, claimed.document.collection_id, some)
            if not await self._add(claimed, some, entries):
                return False
        return bool(cuts) or await self._database.read(lambda tx: tx.one(HOLD, *_key(claimed))) is not None

    async def finish(self, claimed: Claimed, now: Micros) -> bool:
        document = claimed.document

        async def work(tx: Transaction) -> tuple[bool, bool]:
            if not await _hold(tx, claimed, with_collection=True):
                return False, False
            count = await tx.one(COUNT, document.id)
            assert count is not None
            replaced = await tx.all(REPLACED, document.id)
            for (id_,) in replaced:
                await hide_document(tx, id_)
            await tx.run(READY, document.id, count[0], now)
            await tx.run(COUNT_PASSAGES, document.collection_id, *count, now)
            return True, bool(replaced)

        done, replaces = await self._database.write(work)
        if replaces:
            self._clearing.begin()
        return done

    async def fail(self, claimed: Claimed, problem: Problem, now: Micros) -> bool:
        async def work(tx: Transaction) -> bool:
            if not await _hold(tx, claimed):
                return False
            await tx.run(FAILED, claimed.document.id, problem, now)
            return True

        # First, so that nothing is left of them where it ends in the middle: then it is claimed, and fails, again.
        await self.forget_passages(claimed)
        return await self._database.write(work)

    def _entries(self, collection_id: CollectionId, cuts: Sequence[Cut]) -> dict[int, str]:
        # The headings it stands under say what it is about.
        return {cut.number: self._words.to_entry(collection_id, to_terms(f"{cut.heading} {cut.text}")) for cut in cuts}

    async def _add(self, claimed: Claimed, cuts: Sequence[Cut], entries: Mapping[int, str]) -> bool:
        document = claimed.document
        rows = [_row(document.id, cut) for cut in cuts]
        sizes = {cut.number: len(cut.text.encode()) for cut in cuts}

        async def work(tx: Transaction) -> bool:
            if not await _hold(tx, claimed):
                return False
            # Those that are there already were added by the same worker, which had not heard that they were.
            there = await tx.all_many(ADD, rows)
            grown = await tx.one(GROW, document.id, sum(sizes[row[1]] for row in there))
            assert grown is not None
            if grown[1] is not None:
                await check_text(tx, document.collection_id, *grown)
            added = [(PassageId(row[0]), entries[row[1]]) for row in there]
            await self._words.add(tx, added)
            return True

        return await self._database.write(work)


async def _next(tx: Transaction, now: Micros) -> Row | None:
    """One that a worker has left, else one of the owner whose turn was longest ago: who brings much is not to keep all
    others waiting."""
    return await tx.one(LEFT, now) or await tx.one(WAITING)


async def _hold(tx: Transaction, claimed: Claimed, *, with_collection: bool = False) -> bool:
    """Whether it is still this worker's, and stays so until the transaction ends."""
    if with_collection and await tx.one(HOLD_COLLECTION + tx.lock, claimed.document.collection_id) is None:
        return False
    return await tx.one(HOLD + tx.lock, *_key(claimed)) is not None


def _key(claimed: Claimed) -> tuple[DocumentId, int]:
    return claimed.document.id, claimed.attempt


def _row(document_id: DocumentId, cut: Cut) -> tuple[object, ...]:
    digest = hashlib.sha256(cut.text.encode()).digest()
    id_ = to_passage_id(document_id, cut.number)
    return id_, document_id, cut.number, cut.start, cut.end, cut.page, cut.heading, digest, cut.text


def _in_steps(cuts: Sequence[Cut]) -> Iterator[Sequence[Cut]]:
    some: list[Cut] = []
    characters = 0
    for cut in cuts:
        if some and (characters + len(cut.text) > CHARACTERS_AT_ONCE or len(some) == PASSAGES_AT_ONCE):
            yield some
            some, characters = [], 0
        some.append(cut)
        characters += len(cut.text)
    if some:
        yield some
