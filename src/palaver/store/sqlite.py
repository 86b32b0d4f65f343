"""SQLite: one writer thread that commits all waiting work together, and a few reader threads.

apsw brings its own SQLite, the same on every machine. The file is opened with nothing else in this process: two copies
of SQLite would cancel each other's locks.
"""

import asyncio
import fcntl
import logging
import queue
import re
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw

from palaver.chat.errors import StoreUnavailable
from palaver.store.database import Item, Result, Row, Transaction, Work
from palaver.store.sqlite_spending import tell_all
from palaver.store.sums import Sums
from palaver.watching.numbers import COMMIT_SECONDS, COMMIT_SIZE

T = TypeVar("T")

log = logging.getLogger("palaver.store")

# Pages are written whole, and a turn touches about eight of them: small ones are fewer bytes for each commit.
PAGE_SIZE = 1024

# Of each connection. What a reader lacks the system has in memory, too; of its own it would fill as much as it may.
CACHE_KIB, READER_CACHE_KIB = 16_000, 4_000

# How long another process (a `palaver` command beside the server) may hold the file.
BUSY_MILLISECONDS = 10_000

MOST_IN_A_COMMIT = 128

# From how many pages on the log of writes is copied into the file after each commit, and from how many on readers are
# waited for besides, so that it begins anew: as long as one of them always reads, it would grow without end.
COPIED_FROM_PAGES, LONG_LOG_PAGES = 1_000, 3_000
# For how long at first, and at the most: each time in vain for longer.
PATIENCE_MILLISECONDS, MOST_PATIENCE_MILLISECONDS = 50, 1_000
# What is left of its file when it begins anew.
LOG_BYTES = 4_194_304

# What is deleted is filled with zeros. Not for every write: it took 20 % more of a processor for a stored turn.
OVERWRITE = "PRAGMA secure_delete = ON"
LEAVE_IT = "PRAGMA secure_delete = OFF"

UNUSABLE = (
    apsw.BusyError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
)


class SqliteTransaction:
    lock = ""

    def __init__(self, connection: apsw.Connection, sums: Sums | None = None) -> None:
        self._connection = connection
        self.sums = sums
        self._open()

    def _open(self) -> None:
        # One for all statements: to make one for each is a third of what a small statement costs. All rows are always
        # taken: a statement left half-way would hold its snapshot, and not let the next one begin.
        self._cursor = self._connection.cursor()
        self._execute = self._cursor.execute
        self._execute_many = self._cursor.executemany

    def close(self) -> None:
        self._cursor.close(True)

    def recover(self) -> None:
        """After a failure, which may have come between two rows of a statement."""
        self.close()
        self._open()

    async def one(self, sql: str, *values: Any) -> Row | None:
        rows = self._fetch(self._execute, sql, values)
        return rows[0] if rows else None

    async def all(self, sql: str, *values: Any) -> Sequence[Row]:
        return self._fetch(self._execute, sql, values)

    async def run(self, sql: str, *values: Any) -> None:
        self._fetch(self._execute, sql, values)

    async def run_long(self, sql: str, *values: Any) -> None:
        self._fetch(self._execute, sql, values)

    async def run_many(self, sql: str, many: Sequence[Sequence[Any]]) -> None:
        self._fetch(self._execute_many, sql, many)

    async def all_many(self, sql: str, many: Sequence[Sequence[Any]]) -> Sequence[Row]:
        return self._fetch(self._execute_many, sql, many)

    def _fetch(self, execute: Callable[[str, Any], apsw.Cursor], sql: str, values: Sequence[Any]) -> Sequence[Row]:
        try:
            return execute(to_sqlite(sql), values).fetchall()
        except BaseException:
            # SQLite undoes what the statement did until it failed, and the work may go on.
            if self.sums is not None and self.sums.has_changed:
                self.sums.undo()
            raise


class SqliteDatabase:
    def __init__(self, path: Path, readers: int = 2) -> None:
        # Its file is ours: what failed was not committed.
        self.broken_off = 0
        self._path = path
        self._jobs: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="palaver-reader")
        self._reading: list[apsw.Connection] = []
        with _alone_opening(path):
            self._connection = connect(path)
        self._execute = self._connection.cursor().execute
        self._sums = Sums()
        tell_all(self._connection, self._sums)
        # Of the file, as the last commit has left it: it is another one with every commit, whoever makes it.
        self._version = self._connection.data_version()
        self._log = _Log(self._connection)
        self._writer = threading.Thread(target=self._write_all, name="palaver-writer", daemon=True)
        self._writer.start()

    def count_broken_off(self) -> None:
        self.broken_off += 1

    async def read(self, work: Work[T], *, one_state: bool = False) -> T:  # noqa: ARG002 (they always do)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)
        except UNUSABLE as error:
            raise StoreUnavailable("the database file cannot be read") from error

    def _read(self, work: Work[T]) -> T:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path, cache_kib=READER_CACHE_KIB)
            connection.execute("PRAGMA query_only = ON")
            self._reading.append(connection)
        transaction = SqliteTransaction(connection)
        connection.execute("BEGIN")
        try:
            return drive(work(transaction))
        finally:
            transaction.close()
            connection.execute("COMMIT")

    async def write(self, work: Work[T], *, for_good: bool = False) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._gather(_Job(work, future, loop, for_good=for_good))
        return await future

    def together(
        self,
        work: Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        key: Callable[[Item], Hashable],
    ) -> Callable[[Item], Awaitable[Result]]:
        # The writer commits all that waits together anyway; a second queue before it would be one more hand-over.
        together = _Together(work, key)

        async def write(item: Item) -> Result:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[Result | Exception] = loop.create_future()
            self._gather(_Job(None, future, loop, together=together, item=item))
            result = await future
            if isinstance(result, Exception):
                raise result
            return result

        return write

    def _gather(self, job: "_Job") -> None:
        """What comes in one round of the loop is handed over at its end: it shares a commit, and wakes the writer once,
        who would not get far meanwhile, as threads of Python take turns."""
        gathered = self._gathered.get(job.loop)
        if gathered is None:
            self._gathered[job.loop] = [job]
            job.loop.call_soon(self._hand_over, job.loop)
        else:
            gathered.append(job)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        gathered = self._gathered.pop(loop, None)
        if gathered is not None:
            self._jobs.put(gathered)

    def _write_all(self) -> None:
        transaction = SqliteTransaction(self._connection, self._sums)
        waiting: list[_Job] = []
        closes = False
        while waiting or not closes:
            while len(waiting) < MOST_IN_A_COMMIT and not closes:
                try:
                    came = self._jobs.get(block=not waiting)
                except queue.Empty:
                    break
                if came is None:
                    closes = True
                else:
                    waiting += came
            jobs, waiting = waiting[:MOST_IN_A_COMMIT], waiting[MOST_IN_A_COMMIT:]
            if jobs:
                self._commit(jobs, transaction)
                self._log.keep_short()

    def _commit(self, jobs: "list[_Job]", transaction: SqliteTransaction) -> None:
        execute = self._execute
        results: list[tuple[_Job, Any]] = []
        began = time.perf_counter()
        # To the end of the commit: only then FTS5 writes.
        for_good = any(job.for_good for job in jobs)
        try:
            if for_good:
                execute(OVERWRITE).fetchall()
            execute("BEGIN IMMEDIATE")
            if self._connection.data_version() != self._version:
                self._sums.forget()
            for batch in _to_batches(jobs):
                results += zip(batch, self._carry_out(batch, transaction), strict=True)
            execute("COMMIT")
            # Only here: a transaction that was refused may have seen what others wrote, and has not counted it.
            self._version = self._connection.data_version()
        except BaseException as error:  # noqa: BLE001 (a thread's outer edge: whoever waits gets the error)
            transaction.recover()
            self._roll_back()
            self._sums.undo()
            failure = _to_error(error)
            results = [(job, failure) for job in jobs]
        if for_good:
            execute(LEAVE_IT).fetchall()
        COMMIT_SIZE.observe(len(jobs))
        COMMIT_SECONDS.observe(time.perf_counter() - began)
        by_loop = {job.loop for job in jobs}
        for loop in by_loop:
            mine = [(job, result) for job, result in results if job.loop is loop]
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver, mine)

    def _carry_out(self, batch: "list[_Job]", transaction: SqliteTransaction) -> Sequence[Any]:
        """A result for each, or its failure, which undoes what the job did and nothing of its neighbours'."""
        execute = self._execute
        execute("SAVEPOINT batch")
        self._sums.has_changed = False
        try:
            return _carry_out_now(batch, transaction)
        except UNUSABLE:
            raise
        except Exception as error:  # noqa: BLE001 (whoever waits for this job gets it)
            transaction.recover()
            execute("ROLLBACK TO batch")
            if self._sums.has_changed:
                self._sums.undo()
            if len(batch) == 1:
                return [_Failure(error)]
        finally:
            if self._connection.in_transaction:
                execute("RELEASE batch")
        return [result for job in batch for result in self._carry_out([job], transaction)]

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            # The file is in trouble; the next transaction says so again, and this thread goes on.
            log.exception("a transaction could not be rolled back")

    async def drop_log(self) -> bool:
        return await asyncio.to_thread(self._drop_log)

    def _drop_log(self) -> bool:
        try:
            with closing(connect(self._path)) as connection:
                # Most of it is copied into the file while others write; the rest is little, and waits for nobody.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                connection.set_busy_timeout(0)
                return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0] == 0)
        except apsw.BusyError:
            return False
        except UNUSABLE as error:
            raise StoreUnavailable("the database file cannot be written") from error

    async def close(self) -> None:
        for loop in tuple(self._gathered):
            self._hand_over(loop)
        self._jobs.put(None)
        await asyncio.to_thread(self._writer.join)
        self._readers.shutdown()
        for connection in self._reading:
            connection.close()
        self._connection.close()


class _Log:
    """SQLite's log of writes. By itself SQLite copies it within a commit; here whoever waits for that was told before.

    Used by the writer's thread alone. Nothing is lost where it fails: all that was acknowledged is in the log.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._pages = 0
        self._has_failed = False
        self._expect_no_readers()
        connection.set_wal_hook(self._note)

    def _note(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self._pages:
            # It has begun anew, whoever brought that about.
            self._expect_no_readers()
        self._pages = pages
        return apsw.SQLITE_OK

    def _expect_no_readers(self) -> None:
        self._long_from, self._patience = LONG_LOG_PAGES, PATIENCE_MILLISECONDS

    def keep_short(self) -> None:
        """Asked after every commit."""
        if self._pages < COPIED_FROM_PAGES:
            return
        try:
            if self._pages < self._long_from:
                self._copy(apsw.SQLITE_CHECKPOINT_PASSIVE)
            elif not self._copy(apsw.SQLITE_CHECKPOINT_RESTART, patience=self._patience):
                # Tried with each commit, it would hold up every one.
                self._long_from = self._pages + LONG_LOG_PAGES
                self._patience = min(2 * self._patience, MOST_PATIENCE_MILLISECONDS)
            self._has_failed = False
        except apsw.Error as error:
            self._long_from = self._pages + LONG_LOG_PAGES
            if not self._has_failed:
                log.warning("the log of writes cannot be copied into the database file just now: %s", error)
            self._has_failed = True

    def _copy(self, mode: int, *, patience: int = 0) -> bool:
        """False where others are in the way: who reads for long, or copies it just now."""
        self._connection.set_busy_timeout(patience)
        try:
            self._connection.wal_checkpoint("main", mode)
        except apsw.BusyError:
            return False
        finally:
            self._connection.set_busy_timeout(BUSY_MILLISECONDS)
        return True


class _Together:
    """What carries out many items at once."""

    __slots__ = ("key", "work")

    def __init__(
        self, work: Callable[[Transaction, Sequence[Any]], Awaitable[Sequence[Any]]], key: Callable[[Any], Hashable]
    ) -> None:
        self.work = work
        self.key = key


class _Job:
    """Work of its own, or an item of what is carried out `together`."""

    __slots__ = ("for_good", "future", "item", "loop", "together", "work")

    def __init__(
        self,
        work: Work[Any] | None,
        future: asyncio.Future[Any],
        loop: asyncio.AbstractEventLoop,
        *,
        for_good: bool = False,
        together: _Together | None = None,
        item: Any = None,
    ) -> None:
        self.work = work
        self.future = future
        self.loop = loop
        self.for_good = for_good
        self.together = together
        self.item = item


def _to_batches(jobs: Sequence[_Job]) -> list[list[_Job]]:
    """What is carried out at once: items of the same kind, as long as no two of them have the same key. Those of one
    key stay in their order; what else came while the last commit was being synced was asked for at once, and has none.
    """
    batches: list[list[_Job]] = []
    latest: dict[_Together, tuple[list[_Job], set[Hashable]]] = {}
    for job in jobs:
        if job.together is None:
            batches.append([job])
            continue
        key = job.together.key(job.item)
        batch, keys = latest.get(job.together, (None, set()))
        if batch is None or key in keys:
            batch, keys = [], set()
            latest[job.together] = (batch, keys)
            batches.append(batch)
        batch.append(job)
        keys.add(key)
    return batches


def _carry_out_now(batch: Sequence[_Job], transaction: Transaction) -> Sequence[Any]:
    first = batch[0]
    if first.together is not None:
        return drive(first.together.work(transaction, [job.item for job in batch]))
    assert first.work is not None, "a job is work, or an item"
    return [drive(first.work(transaction))]


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def _to_error(error: BaseException) -> _Failure:
    if isinstance(error, UNUSABLE):
        held = isinstance(error, apsw.BusyError)
        why = "another process is writing to the database file" if held else "the database file cannot be written"
        unavailable = StoreUnavailable(why)
        unavailable.__cause__ = error
        return _Failure(unavailable)
    return _Failure(error)


def _deliver(results: "list[tuple[_Job, Any]]") -> None:
    for job, result in results:
        if job.future.done():
            continue
        if isinstance(result, _Failure):
            job.future.set_exception(result.error)
        else:
            job.future.set_result(result)


@contextmanager
def _alone_opening(path: Path) -> Iterator[None]:
    """One process at a time: SQLite does not wait for another one that is just making a new file's log."""
    with path.with_suffix(".opening").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def connect(path: Path, *, cache_kib: int = CACHE_KIB) -> apsw.Connection:
    connection = apsw.Connection(str(path), statementcachesize=300)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    # Plans that hold for any values: else SQLite prepares a statement anew when its values change.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    for pragma in (
        f"page_size = {PAGE_SIZE}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        f"cache_size = {-cache_kib}",
        f"journal_size_limit = {LOG_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    _load_vectors(connection)
    return connection


def _load_vectors(connection: apsw.Connection) -> None:
    """Where it cannot be, vectors are not searched; `store/knowledge/vectors.py` asks for it."""
    library = find_vectors()
    if library is None:
        return
    connection.enable_load_extension(True)
    try:
        connection.load_extension(str(library))
    except apsw.Error as error:
        log.warning("sqlite-vec cannot be loaded: %s", error)
    finally:
        connection.enable_load_extension(False)


@lru_cache(maxsize=1)
def find_vectors() -> Path | None:
    """Where sqlite-vec lies. Its package is not imported: that would bring the other SQLite in."""
    spec = find_spec("sqlite_vec")
    return None if spec is None or spec.origin is None else Path(spec.origin).with_name("vec0")


@lru_cache(maxsize=1000)
def to_sqlite(sql: str) -> str:
    return re.sub(r"\$(\d+)", r"?\1", sql)


def drive(work: Awaitable[T]) -> T:
    """Carries out a transaction that awaits nothing but the database, which here never makes it wait."""
    coroutine = cast("Coroutine[Any, Any, T]", work)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise RuntimeError("a transaction waited for something else than the database")
