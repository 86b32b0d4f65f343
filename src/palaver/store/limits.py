"""The limits of single persons and applications in the database."""

from collections.abc import Mapping

from msgspec.structs import astuple

from palaver.chat.limit import NO_OWN, OwnLimits
from palaver.chat.user import UserId
from palaver.store.database import Database, Transaction

NAMES = OwnLimits.__struct_fields__
COLUMNS = ", ".join(NAMES)
VALUES = ", ".join(f"${place}" for place in range(2, len(NAMES) + 2))
ALL = f"SELECT user_id, {COLUMNS} FROM limits"
ONE = f"SELECT {COLUMNS} FROM limits WHERE user_id = $1"
PUT = f"INSERT INTO limits (user_id, {COLUMNS}) VALUES ($1, {VALUES})"
REMOVE = "DELETE FROM limits WHERE user_id = $1"
CHANGES = "SELECT value FROM server WHERE name = 'limits_changes'"
CHANGED = "UPDATE server SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'limits_changes'"


class SqlLimits:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def changes(self) -> str:
        row = await self._database.read(lambda tx: tx.one(CHANGES))
        return "" if row is None else str(row[0])

    async def all(self) -> Mapping[UserId, OwnLimits]:
        rows = await self._database.read(lambda tx: tx.all(ALL))
        return {row[0]: OwnLimits(*row[1:]) for row in rows}

    async def get(self, user_id: UserId) -> OwnLimits:
        row = await self._database.read(lambda tx: tx.one(ONE, user_id))
        return NO_OWN if row is None else OwnLimits(*row)

    async def put(self, user_id: UserId, limits: OwnLimits) -> None:
        async def work(tx: Transaction) -> None:
            # First of all: two that change at once then wait for each other here, and not at the row of the user.
            await tx.run(CHANGED)
            await tx.run(REMOVE, user_id)
            if limits != NO_OWN:
                await tx.run(PUT, user_id, *astuple(limits))

        await self._database.write(work)
