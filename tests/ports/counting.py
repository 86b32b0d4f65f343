"""A database that notes what it was asked, and how many rows that gave."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeVar

from palaver.store.database import Database, Item, Result, Row, Transaction, Work

T = TypeVar("T")


class CountingDatabase:
    """Carries everything out on the database it is given."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked: list[tuple[str, int]] = []
        """Each statement with the number of rows that it gave."""
        self.reads = 0
        """How often something was read, in however many statements."""

    def count_broken_off(self) -> None:
        self._database.count_broken_off()

    @property
    def broken_off(self) -> int:
        return self._database.broken_off

    async def read(self, work: Work[T], *, one_state: bool = False) -> T:
        self.reads += 1
        return await self._database.read(lambda tx: work(_CountingTransaction(tx, self.asked)), one_state=one_state)

    async def write(self, work: Work[T], *, for_good: bool = False) -> T:
        return await self._database.write(lambda tx: work(_CountingTransaction(tx, self.asked)), for_good=for_good)

    def together(
        self,
        work: Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        key: Callable[[Item], Hashable],
    ) -> Callable[[Item], Awaitable[Result]]:
        return self._database.together(lambda tx, items: work(_CountingTransaction(tx, self.asked), items), key)

    async def drop_log(self) -> bool:
        return await self._database.drop_log()

    async def close(self) -> None:
        await self._database.close()


class _CountingTransaction:
    def __init__(self, transaction: Transaction, asked: list[tuple[str, int]]) -> None:
        self._transaction = transaction
        self._asked = asked
        self.lock = transaction.lock
        self.sums = transaction.sums

    async def one(self, sql: str, *values: Any) -> Row | None:
        row = await self._transaction.one(sql, *values)
        self._asked.append((sql, 0 if row is None else 1))
        return row

    async def all(self, sql: str, *values: Any) -> Sequence[Row]:
        return self._note(sql, await self._transaction.all(sql, *values))

    async def run(self, sql: str, *values: Any) -> None:
        await self._transaction.run(sql, *values)
        self._asked.append((sql, 0))

    async def run_long(self, sql: str, *values: Any) -> None:
        await self._transaction.run_long(sql, *values)
        self._asked.append((sql, 0))

    async def run_many(self, sql: str, many: Sequence[Sequence[Any]]) -> None:
        await self._transaction.run_many(sql, many)
        self._asked.append((sql, 0))

    async def all_many(self, sql: str, many: Sequence[Sequence[Any]]) -> Sequence[Row]:
        return self._note(sql, await self._transaction.all_many(sql, many))

    def _note(self, sql: str, rows: Sequence[Row]) -> Sequence[Row]:
        self._asked.append((sql, len(rows)))
        return rows
