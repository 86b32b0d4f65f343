"""How much a person keeps: files, and the text that was read in them.

Who adds to it holds the person's row first, so that of many at once each is counted.
"""

from palaver.chat.errors import NotFound, OverQuota
from palaver.chat.knowledge import CollectionId, Quota
from palaver.chat.user import UserId
from palaver.store.database import Transaction

# Somebody who is shut out adds nothing: all that is theirs may just be going.
HOLD_OWNER = "SELECT id FROM users WHERE id = $1 AND disabled_at IS NULL"
KEPT = (
    "SELECT COUNT(*), COALESCE(SUM(document_count), 0), COALESCE(SUM(size + arriving_size + text_size), 0) "
    "FROM collections WHERE owner_id = $1 AND NOT is_deleted"
)
KEPT_BESIDE = (
    "SELECT COALESCE(SUM(size + arriving_size + text_size), 0) FROM collections WHERE NOT is_deleted "
    "AND owner_id = (SELECT owner_id FROM collections WHERE id = $1)"
)


async def hold_owner(tx: Transaction, owner_id: UserId) -> None:
    """Raises `NotFound` where there is no such person (any more)."""
    if await tx.one(HOLD_OWNER + tx.lock, owner_id) is None:
        raise NotFound


async def check_quota(
    tx: Transaction, owner_id: UserId, quota: Quota, *, collections: int = 0, documents: int = 0, size: int = 0
) -> None:
    """Whether so many more may be kept by this person, whose row is held. Raises `OverQuota`."""
    row = await tx.one(KEPT, owner_id)
    assert row is not None
    # PostgreSQL's sum is a Decimal.
    kept = [int(number) for number in row]
    if quota.collections is not None and collections and kept[0] + collections > quota.collections:
        raise OverQuota("collections", quota.collections)
    if quota.documents is not None and documents and kept[1] + documents > quota.documents:
        raise OverQuota("documents", quota.documents)
    if quota.bytes is not None and size and kept[2] + size > quota.bytes:
        raise OverQuota("bytes", quota.bytes)


async def check_text(tx: Transaction, collection_id: CollectionId, text_size: int, most: int) -> None:
    """Whether a document that is being read may have so much text. Nobody is held: of documents that are read at once
    the last few passages may be too many. Raises `OverQuota`."""
    row = await tx.one(KEPT_BESIDE, collection_id)
    assert row is not None
    if int(row[0]) + text_size > most:
        raise OverQuota("bytes", most)
