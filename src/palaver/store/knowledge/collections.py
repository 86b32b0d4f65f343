"""Collections in the database, and with whom they are shared."""

import uuid
from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.errors import Invalid, NotFound, Taken
from palaver.chat.knowledge import (
    Collection,
    CollectionChange,
    CollectionId,
    NewCollection,
    Quota,
    check_is_no_uuid,
    is_uuid,
)
from palaver.chat.user import Reader, User, UserId
from palaver.store.database import Database, Row, Transaction
from palaver.store.knowledge.clearing import Clearing, hide_collection
from palaver.store.knowledge.quotas import check_quota, hold_owner
from palaver.store.knowledge.rows import COLLECTION, COLLECTIONS, SEARCHABLE, SHARED, VISIBLE, to_collection

LIST = f"SELECT {COLLECTION}, {SEARCHABLE} FROM {COLLECTIONS} WHERE {VISIBLE} ORDER BY c.name, c.id"
ACCESS = f"SELECT {COLLECTION}, {SEARCHABLE} FROM {COLLECTIONS} WHERE c.uuid = $3 AND {VISIBLE}"
FIND_BY_UUID = f"SELECT {COLLECTION}, c.passage_count FROM {COLLECTIONS} WHERE c.uuid = $2 AND {SEARCHABLE}"
# Nobody is asked before somebody shares a collection with them: what an admin answers for is not pushed aside by it.
FIND_BY_NAME = (
    f"SELECT {COLLECTION}, c.passage_count FROM {COLLECTIONS} WHERE c.name = $2 AND {SEARCHABLE} "
    f"ORDER BY c.owner_id = $1 DESC, u.is_admin DESC, {SHARED} DESC, c.id LIMIT 1"
)
BY_ID = f"SELECT {COLLECTION} FROM {COLLECTIONS} WHERE c.id = $1 AND NOT c.is_deleted"
HOLD = "SELECT owner_id, name FROM collections WHERE id = $1 AND NOT is_deleted"
NAMED = "SELECT 1 FROM collections WHERE owner_id = $1 AND name = $2 AND NOT is_deleted"
ADD = (
    "INSERT INTO collections (uuid, owner_id, name, description, is_public, created_at, updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING id"
)
CHANGE = (
    "UPDATE collections SET name = COALESCE($2, name), description = COALESCE($3, description), "
    "is_public = COALESCE($4, is_public), updated_at = $5 WHERE id = $1"
)
SHARED_WITH = (
    "SELECT u.name FROM collection_shares s JOIN users u ON u.id = s.user_id "
    "JOIN collections c ON c.id = s.collection_id WHERE c.id = $1 AND NOT c.is_deleted ORDER BY u.name_key"
)
DROP_SHARE = "DELETE FROM collection_shares WHERE collection_id = $1 AND user_id = $2 RETURNING user_id"
PERSON = "SELECT id FROM users WHERE kind = 'person' AND name_key = $1"


class SqlCollections:
    def __init__(self, database: Database, clearing: Clearing) -> None:
        self._database = database
        self._clearing = clearing

    async def visible(self, reader: Reader) -> Sequence[Collection]:
        rows = await self._database.read(lambda tx: tx.all(LIST, reader.user_id, reader.is_admin))
        return [_to_seen(row) for row in rows]

    async def access(self, reader: Reader, uuid: str) -> Collection:
        row = await self._database.read(lambda tx: tx.one(ACCESS, reader.user_id, reader.is_admin, uuid))
        if row is None:
            raise NotFound
        return _to_seen(row)

    async def find(self, reader: Reader, name: str) -> Collection | None:
        row = await self._database.read(lambda tx: find_row(tx, reader, name))
        return None if row is None else to_collection(row[:-1])

    async def add(self, owner: User, new: NewCollection, now: Micros, quota: Quota) -> Collection:
        check_is_no_uuid(new.name)

        async def work(tx: Transaction) -> Collection:
            await hold_owner(tx, owner.id)
            await _check_name(tx, owner.id, new.name)
            await check_quota(tx, owner.id, quota, collections=1)
            row = await tx.one(ADD, str(uuid.uuid4()), owner.id, new.name, new.description, new.is_public, now)
            assert row is not None
            return await _must_get(tx, row[0])

        return await self._database.write(work)

    async def change(self, collection_id: CollectionId, change: CollectionChange, now: Micros) -> Collection:
        if change.name is not UNSET:
            check_is_no_uuid(change.name)
        values = [None if value is UNSET else value for value in (change.name, change.description, change.is_public)]

        async def work(tx: Transaction) -> Collection:
            owner_id, name = await _hold(tx, collection_id)
            if change.name is not UNSET and change.name != name:
                await _check_name(tx, owner_id, change.name)
            await tx.run(CHANGE, collection_id, *values, now)
            return await _must_get(tx, collection_id)

        return await self._database.write(work)

    async def delete(self, collection_id: CollectionId) -> None:
        await self._database.write(lambda tx: hide_collection(tx, collection_id))
        self._clearing.begin()

    async def shared_with(self, collection_id: CollectionId) -> Sequence[str]:
        rows = await self._database.read(lambda tx: tx.all(SHARED_WITH, collection_id))
        return [row[0] for row in rows]

    async def share(self, collection_id: CollectionId, names: Sequence[str]) -> Sequence[str]:
        keys = sorted({name.casefold() for name in names})

        async def work(tx: Transaction) -> list[str]:
            # Held: of two lists at once the one that comes last stands, whole.
            owner_id, _ = await _hold(tx, collection_id)
            found = [row[0] for row in await tx.all_many(PERSON, [(key,) for key in keys])] if keys else []
            if len(found) < len(keys):
                raise Invalid("usernames", "user_unknown")
            await tx.run("DELETE FROM collection_shares WHERE collection_id = $1", collection_id)
            shares = [(collection_id, user_id) for user_id in found if user_id != owner_id]
            if shares:
                await tx.run_many("INSERT INTO collection_shares (collection_id, user_id) VALUES ($1, $2)", shares)
            return [row[0] for row in await tx.all(SHARED_WITH, collection_id)]

        return await self._database.write(work)

    async def drop_share(self, collection_id: CollectionId, user_id: UserId) -> None:
        if await self._database.write(lambda tx: tx.one(DROP_SHARE, collection_id, user_id)) is None:
            raise NotFound


async def find_row(tx: Transaction, reader: Reader, name: str) -> Row | None:
    """That of `Collections.find`, and how many passages it has."""
    if is_uuid(name):
        return await tx.one(FIND_BY_UUID, reader.user_id, name.lower())
    return await tx.one(FIND_BY_NAME, reader.user_id, name)


def _to_seen(row: Row) -> Collection:
    return replace(to_collection(row[:-1]), can_ask=bool(row[-1]))


async def _hold(tx: Transaction, collection_id: CollectionId) -> tuple[UserId, str]:
    row = await tx.one(HOLD + tx.lock, collection_id)
    if row is None:
        raise NotFound
    return row[0], row[1]


async def _must_get(tx: Transaction, collection_id: CollectionId) -> Collection:
    row = await tx.one(BY_ID, collection_id)
    if row is None:
        raise NotFound
    return to_collection(row)


async def _check_name(tx: Transaction, owner_id: UserId, name: str) -> None:
    if await tx.one(NAMED, owner_id, name) is not None:
        raise Taken("name")
