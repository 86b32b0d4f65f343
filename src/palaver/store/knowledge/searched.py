"""What of a collection is searched, and what an index also holds of it.

An index has passages that nobody is to find: of documents that are being read, and of deleted ones that are not cleared
yet. They would be counted, and come first, where words are weighed and the first of many places are looked at: so the
large ones are left out, by where their ids lie.
"""

from collections.abc import Sequence

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.knowledge import CollectionId, DocumentId, PassageId
from palaver.store.database import Row, Transaction
from palaver.store.knowledge.rows import to_passage_id

# Each is one more question to the index; what is left of the small ones can hide nothing.
MOST_LEFT_OUT = 4

LAST_ID = (1 << 63) - 1

UNSETTLED = (
    "SELECT d.id, (SELECT MAX(p.number) FROM passages p WHERE p.document_id = d.id) AS last FROM documents d "
    "WHERE d.collection_id = $1 AND d.status IN ('reading', 'deleted')"
)


class Searched(Struct, frozen=True):
    """A collection, and how many `passages` stand in its index: those that can be found, and those of documents that
    are too small to be left out. `changed_at`: counts that were taken then hold for as long as both stay the same."""

    collection_id: CollectionId
    passages: int
    changed_at: Micros
    is_settled: bool = True
    left_out: Sequence[tuple[PassageId, PassageId]] = ()
    """From the first of these to the last, in order."""

    def leaves_out(self, passage: int) -> bool:
        return any(first <= passage <= last for first, last in self.left_out)

    def to_gaps(self) -> list[tuple[int, int]]:
        """What lies between those that are left out."""
        starts = [0, *(last + 1 for _, last in self.left_out)]
        ends = [*(first - 1 for first, _ in self.left_out), LAST_ID]
        return list(zip(starts, ends, strict=True))


async def to_searched(tx: Transaction, collection_id: CollectionId, passages: int, changed_at: Micros) -> Searched:
    unsettled = await tx.all(UNSETTLED, collection_id)
    held = sorted((row for row in unsettled if row[1] is not None), key=lambda row: -row[1])
    left_out = sorted(map(_to_range, held[:MOST_LEFT_OUT]))
    passages += sum(row[1] + 1 for row in held[MOST_LEFT_OUT:])
    return Searched(collection_id, passages, changed_at, not unsettled, left_out)


def left_out(searched: Searched, column: str) -> str:
    """For PostgreSQL: what follows a WHERE and its first condition."""
    return "".join(f" AND {column} NOT BETWEEN {first} AND {last}" for first, last in searched.left_out)


def _to_range(row: Row) -> tuple[PassageId, PassageId]:
    document_id = DocumentId(row[0])
    return to_passage_id(document_id, 0), to_passage_id(document_id, row[1])
