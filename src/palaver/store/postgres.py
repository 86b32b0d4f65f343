"""PostgreSQL by asyncpg: a small pool, prepared statements, and no more round trips than a transaction needs."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeAlias, TypeVar

import asyncpg

from palaver.chat.errors import StoreUnavailable
from palaver.store.database import Batcher, Item, Result, Row, Transaction, Work
from palaver.watching.numbers import COMMIT_SECONDS

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

log = logging.getLogger("palaver.store")

# Another process wrote the same row first; with a fresh look the transaction decides anew.
LOST_A_RACE = (
    asyncpg.UniqueViolationError,
    asyncpg.ForeignKeyViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
TRIES = 5

GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What asyncpg says of a connection that was cut in the middle of an answer.
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)

ACQUIRE_SECONDS = 5
COMMAND_SECONDS = 30
# What changes each of some hundred million messages takes hours.
LONG_SECONDS = 7 * 86_400

# A process that stands still in the middle of a transaction goes on holding its locks, and nobody could end its
# replies. No transaction of ours waits for anything but the database.
ABANDON_SECONDS = 3


class PostgresTransaction:
    lock = " FOR UPDATE"
    sums = None

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def one(self, sql: str, *values: Any) -> Row | None:
        row: Row | None = await self._connection.fetchrow(sql, *values)
        return row

    async def all(self, sql: str, *values: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self._connection.fetch(sql, *values)
        return rows

    async def run(self, sql: str, *values: Any) -> None:
        await self._connection.execute(sql, *values)

    async def run_long(self, sql: str, *values: Any) -> None:
        await self._connection.execute(sql, *values, timeout=LONG_SECONDS)

    async def run_many(self, sql: str, many: Sequence[Sequence[Any]]) -> None:
        if len(many) == 1:
            await self.run(sql, *many[0])
        else:
            await self._connection.executemany(sql, many)

    async def all_many(self, sql: str, many: Sequence[Sequence[Any]]) -> Sequence[Row]:
        if len(many) == 1:
            return await self.all(sql, *many[0])
        rows: Sequence[Row] = await self._connection.fetchmany(sql, many)
        return rows


class _DroppedIfLeft:
    """Closes the connection where whoever used it was cancelled.

    That may have been between a statement's preparation and its execution: then the server is in a transaction of which
    asyncpg knows nothing, and the next one there would be part of it.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        """Nothing is to be done for it."""

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is asyncio.CancelledError:
            self._connection.terminate()


class PostgresDatabase:
    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self.broken_off = 0

    def count_broken_off(self) -> None:
        self.broken_off += 1

    async def read(self, work: Work[T], *, one_state: bool = False) -> T:
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                with _DroppedIfLeft(connection):
                    if not one_state:
                        return await work(PostgresTransaction(connection))
                    async with connection.transaction(isolation="repeatable_read", readonly=True):
                        return await work(PostgresTransaction(connection))
        except StoreUnavailable:
            raise
        except GONE as error:
            raise StoreUnavailable("the database does not answer") from error

    async def write(self, work: Work[T], *, for_good: bool = False) -> T:  # noqa: ARG002 (VACUUM and its log do)
        for attempt in range(1, TRIES + 1):
            begun = False
            try:
                began = time.perf_counter()
                async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                    with _DroppedIfLeft(connection):
                        async with connection.transaction():
                            begun = True
                            result = await work(PostgresTransaction(connection))
                COMMIT_SECONDS.observe(time.perf_counter() - began)
                return result
            except LOST_A_RACE as error:
                if attempt == TRIES:
                    raise
                log.info("a transaction lost a race (%s) and is carried out again", type(error).__name__)
            except StoreUnavailable:
                # What the transaction itself found out says more than we could here.
                raise
            except GONE as error:
                # It may have been the answer to COMMIT that did not come.
                self.broken_off += begun
                raise StoreUnavailable("the database does not answer") from error
        raise AssertionError("unreachable")

    def together(
        self,
        work: Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        key: Callable[[Item], Hashable],
    ) -> Callable[[Item], Awaitable[Result]]:
        return Batcher(self, work, key).submit

    async def drop_log(self) -> bool:
        return True

    async def close(self) -> None:
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()


async def _set_up(connection: Any) -> None:
    await connection.execute(f"SET idle_in_transaction_session_timeout = '{ABANDON_SECONDS}s'")


async def _keep_as_it_is(connection: Any) -> None:
    """No session state is ever left on a connection; asyncpg's own reset would cost a round trip each time."""


async def open_postgres(url: str, connections: int) -> PostgresDatabase:
    """Raises `StoreUnavailable` where the server cannot be reached or refuses."""
    try:
        pool = await asyncpg.create_pool(
            url,
            init_size=1,
            # asyncpg's own way back to one logs a traceback for each try of it. A server asks every second anyway.
            min_size=0,
            max_size=connections,
            init=_set_up,
            reset=_keep_as_it_is,
            timeout=ACQUIRE_SECONDS,
            command_timeout=COMMAND_SECONDS,
        )
    except (*GONE, asyncpg.PostgresError, ValueError) as error:
        raise StoreUnavailable("the database does not answer") from error
    return PostgresDatabase(pool)
