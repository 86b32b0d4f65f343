"""What a transaction can do, and how many small ones become one commit."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from palaver.store.sums import Sums
from palaver.watching.numbers import COMMIT_SIZE

Row = Sequence[Any]
T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Transaction(Protocol):
    """SQL with `$1`, `$2`… in the dialect that both engines speak.

    A transaction awaits nothing but its own methods: on SQLite it runs in the writer's thread from start to end.
    """

    lock: str
    """What makes a SELECT hold its rows: ` FOR UPDATE`, and nothing where the writer is alone."""

    @property
    def sums(self) -> Sums | None:
        """What a writer that is alone remembers."""
        ...

    async def one(self, sql: str, *values: Any) -> Row | None: ...
    async def all(self, sql: str, *values: Any) -> Sequence[Row]: ...
    async def run(self, sql: str, *values: Any) -> None: ...
    async def run_long(self, sql: str, *values: Any) -> None:
        """As `run`, and it may take as long as it takes."""
        ...

    async def run_many(self, sql: str, many: Sequence[Sequence[Any]]) -> None: ...
    async def all_many(self, sql: str, many: Sequence[Sequence[Any]]) -> Sequence[Row]:
        """The rows of all runs, in order, in one round trip; a run that gives none leaves no mark."""
        ...


Work = Callable[[Transaction], Awaitable[T]]


class Database(Protocol):
    @property
    def broken_off(self) -> int:
        """How many transactions were broken off, so that nobody knows whether they were committed."""
        ...

    def count_broken_off(self) -> None:
        """One more: it was committed, and whoever asked for it is not told what came of it."""
        ...

    async def read(self, work: Work[T], *, one_state: bool = False) -> T:
        """Carries out reads; with `one_state` they all see the same one, whatever is committed meanwhile."""
        ...

    async def write(self, work: Work[T], *, for_good: bool = False) -> T:
        """Carries out a transaction; it is synced to disk when this returns. What it deletes `for_good` is overwritten
        in the file that is ours, which takes its time; how PostgreSQL gives up what was deleted is its own matter.

        `work` can be carried out again from its start, when a neighbour in the same commit failed or another
        process wrote the same row first. What it raises rolls back its own changes alone.
        """
        ...

    def together(
        self,
        work: Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        key: Callable[[Item], Hashable],
    ) -> Callable[[Item], Awaitable[Result]]:
        """How one item is written so that many at once share a commit. `work` is as for `Batcher`."""
        ...

    async def drop_log(self) -> bool:
        """Has nothing of what was overwritten stay in the log of writes. False where somebody is at it just now: nobody
        is held up for it. Raises `StoreUnavailable`."""
        ...

    async def close(self) -> None: ...


class ForGood:
    """The same database, where all that is deleted is so for good.

    What is added is written so, too: as it is brought in order the database leaves copies of it behind.
    """

    @property
    def broken_off(self) -> int:
        return self._database.broken_off

    def count_broken_off(self) -> None:
        self._database.count_broken_off()

    def __init__(self, database: Database) -> None:
        self._database = database
        self.drop_log = database.drop_log
        self.together = database.together
        self.close = database.close

    async def read(self, work: Work[T], *, one_state: bool = False) -> T:
        return await self._database.read(work, one_state=one_state)

    async def write(self, work: Work[T], *, for_good: bool = True) -> T:
        return await self._database.write(work, for_good=for_good)


class Batcher(Generic[Item, Result]):
    """Makes one transaction of all the items that came while the last one was being committed.

    Items of the same key never share a transaction, so that `work` need not look for them among each other. `work`
    returns a result for each item; one that is an exception is raised where the item came from.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        key: Callable[[Item], Hashable],
        most: int = 64,
    ) -> None:
        self._database = database
        self._work = work
        self._key = key
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        # A caller that goes away must not take its neighbours' transaction with it.
        return await asyncio.shield(future)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write(self._take())
        finally:
            self._writer = None

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        taken: dict[Hashable, tuple[Item, asyncio.Future[Result]]] = {}
        left = []
        for entry in self._waiting:
            key = self._key(entry[0])
            if key in taken or len(taken) >= self._most:
                left.append(entry)
            else:
                taken[key] = entry
        self._waiting = left
        return list(taken.values())

    async def _write(self, entries: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        items = [item for item, _ in entries]
        COMMIT_SIZE.observe(len(items))
        try:
            results = await self._database.write(lambda transaction: self._work(transaction, items))
        except Exception as error:  # noqa: BLE001 (the task's outer edge: every item hears of it)
            if len(entries) > 1 and not isinstance(error, OSError):
                for entry in entries:
                    await self._write([entry])
                return
            # Where the database does not answer, each of them alone would wait as long again.
            for _, future in entries:
                _settle(future, error)
            return
        for (_, future), result in zip(entries, results, strict=True):
            _settle(future, result)


def _settle(future: asyncio.Future[Result], result: Result | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        # The caller may be gone; an error nobody waits for is not worth a warning at collection.
        future.exception()
    else:
        future.set_result(result)
