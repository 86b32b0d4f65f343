"""The boards of all workers of a server, in a folder in memory.

The supervisor makes the folder and a name for each worker's file, `SLOT-NUMBER`. When a worker has ended, the
supervisor adds what it had counted to what its slot's earlier workers had, in one file, and removes the worker's. Sums
never go back. Nothing is locked: a supervisor that stands still must not keep a worker from answering.
"""

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from palaver.watching.board import board, read_board

log = logging.getLogger("palaver.watching")

_PREFIX = "palaver-numbers-"
_GONE = "gone"
_IN_MEMORY = Path("/dev/shm")

# Whoever read a worker's file just before it was removed knows by these that the sum has it already.
_REMEMBERED = 100

# The slot of a worker that is the only one.
ALONE = "1"

_FRESH_SECONDS = 60

# What is only so while a process lives is named otherwise (`serve/supervisor.py` may be older than its workers).
_LASTING = ("_total", "_bucket", "_sum", "_count")

Series = Mapping[str, float]


class Gone(Struct, frozen=True):
    """What workers had counted that are no more, by slot, and the files that are in it."""

    files: tuple[str, ...] = ()
    slots: dict[str, dict[str, float]] = {}


class Boards:
    """The supervisor's side. Where there is no folder to be had, workers tell of themselves alone."""

    def __init__(self, folder: Path | None, lock: int | None) -> None:
        self._folder = folder
        self._lock = lock
        self._started = 0

    @classmethod
    def open(cls) -> Self:
        try:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None))
            _remove_left_ones(folder.parent)
            lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            log.warning("each worker tells its own numbers alone: %s", error)
            return cls(None, None)
        return cls(folder, lock)

    def new_file(self, slot: int) -> Path | None:
        self._started += 1
        return None if self._folder is None else self._folder / f"{slot}-{self._started}"

    def fold(self, file: Path | None) -> None:
        """A worker has ended: what it had counted is kept, its file is not."""
        if self._folder is None or file is None or not file.exists():
            return
        try:
            gone = _read_gone(self._folder)
            slot = to_slot(file)
            kept = {name: value for name, value in read_board(file).items() if _lasts(name)}
            sums = {**gone.slots, slot: add_up([gone.slots.get(slot, {}), kept])}
            whole = Gone((*gone.files[-_REMEMBERED:], file.name), sums)
            # In one step: whoever reads sees it in one place or in the other.
            written = self._folder / f"{_GONE}.new"
            written.write_bytes(msgspec.json.encode(whole))
            written.replace(self._folder / _GONE)
            file.unlink()
        except (OSError, msgspec.DecodeError) as error:
            log.warning("the numbers of a worker that has ended stay in its file: %s", error)

    def close(self) -> None:
        if self._folder is not None and self._lock is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)


def _remove_left_ones(parent: Path) -> None:
    """Folders of supervisors that were killed: nobody holds them any more."""
    for left in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(left, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            # Somebody else's, or gone meanwhile.
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A supervisor that has just made its folder takes hold of it in the next moment.
            if time.time() - left.stat().st_mtime > _FRESH_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)


def join(file: Path) -> None:
    """This worker's board lies there from now on, for all to read; where that cannot be, it tells of itself alone."""
    try:
        board.keep_in(file)
    except OSError as error:
        log.warning("this worker tells its own numbers alone: %s", error)


def to_slot(file: Path) -> str:
    return file.name.partition("-")[0]


def read_all() -> dict[str, Series]:
    """What the workers of this server have counted, by slot."""
    own = board.file
    if own is None:
        return {ALONE: board.read()}
    read: dict[str, tuple[str, Series]] = {}
    for file in sorted(own.parent.glob("*-*")):
        try:
            read[file.name] = (to_slot(file), read_board(file))
        except FileNotFoundError:
            # Its worker has ended meanwhile, and the sum has it.
            continue
    # After all others: what was removed before it could be read is in it.
    gone = _read_gone(own.parent)
    by_slot: dict[str, list[Series]] = {slot: [series] for slot, series in gone.slots.items()}
    for name, (slot, series) in read.items():
        if name not in gone.files:
            by_slot.setdefault(slot, []).append(series)
    return {slot: add_up(many) for slot, many in sorted(by_slot.items())}


def add_up(many: list[Series]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for series in many:
        for name, value in series.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _read_gone(folder: Path) -> Gone:
    try:
        return msgspec.json.decode((folder / _GONE).read_bytes(), type=Gone)
    except FileNotFoundError:
        return Gone()


def _lasts(series: str) -> bool:
    return series.partition("{")[0].endswith(_LASTING)
