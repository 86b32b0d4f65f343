"""A database that fails once, at the operation that a test names."""

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeVar

from palaver.chat.errors import StoreUnavailable
from palaver.store.database import Database, Item, Result, Transaction, Work

T = TypeVar("T")

# Before anything is done, or when it is committed and nobody is told.
Moment = Literal["before", "after"]


_IS_ASKING = ContextVar("_IS_ASKING", default=False)


@contextmanager
def asking() -> Iterator[None]:
    """What is done here, and what is begun here to go on by itself, is done for somebody who asks."""
    token = _IS_ASKING.set(True)
    try:
        yield
    finally:
        _IS_ASKING.reset(token)


class Faults:
    """What is to fail: nothing until `fail` says so, and then only what is done for somebody who asks.

    A server looks into its database some times a second by itself: nobody would notice that such a look failed.
    """

    def __init__(self) -> None:
        self.seen = 0
        """Operations since then."""
        self.broken_off = 0
        self._number = 0
        self._moment: Moment = "before"

    def fail(self, number: int, moment: Moment) -> None:
        self.seen, self._number, self._moment = 0, number, moment

    @property
    def has_failed(self) -> bool:
        return 0 < self._number <= self.seen

    async def carry_out(self, operation: Callable[[], Awaitable[T]], *, writes: bool) -> T:
        # Of a read whose answer is lost nothing is left.
        if not _IS_ASKING.get() or (self._moment == "after" and not writes):
            return await operation()
        self.seen += 1
        fails = self.seen == self._number
        if fails and self._moment == "before":
            raise StoreUnavailable("the database does not answer")
        result = await operation()
        if fails:
            self.broken_off += 1
            raise StoreUnavailable("the database does not answer")
        return result


class FaultyDatabase:
    def __init__(self, database: Database, faults: Faults) -> None:
        self._database = database
        self._faults = faults
        self.close = database.close

    def count_broken_off(self) -> None:
        self._database.count_broken_off()

    @property
    def broken_off(self) -> int:
        return self._database.broken_off + self._faults.broken_off

    async def read(self, work: Work[T], *, one_state: bool = False) -> T:
        return await self._faults.carry_out(lambda: self._database.read(work, one_state=one_state), writes=False)

    async def write(self, work: Work[T], *, for_good: bool = False) -> T:
        return await self._faults.carry_out(lambda: self._database.write(work, for_good=for_good), writes=True)

    def together(
        self,
        work: Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        key: Callable[[Item], Hashable],
    ) -> Callable[[Item], Awaitable[Result]]:
        write = self._database.together(work, key)

        async def written(item: Item) -> Result:
            return await self._faults.carry_out(lambda: write(item), writes=True)

        return written

    async def drop_log(self) -> bool:
        return await self._faults.carry_out(self._database.drop_log, writes=True)
