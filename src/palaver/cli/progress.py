"""How far a file has been read, on a terminal's standard error."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import click

# Each time it is drawn costs more than to read a line.
SHOWN_AT_ONCE = 64 * 1024
LINES_SHOWN = 1000


@contextmanager
def showing_progress(file: BinaryIO) -> Iterator[BinaryIO]:
    """The same file, whose reading is shown; each time it is read from its start, the bar starts again."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not sys.stderr.isatty():
        yield file
        return
    with click.progressbar(length=size, label="Reading", file=sys.stderr) as bar:
        yield cast("BinaryIO", _Shown(file, bar))


class _Shown:
    """As much of a file as those who read it here ask for."""

    def __init__(self, file: BinaryIO, bar: "click._termui_impl.ProgressBar[int]") -> None:
        self._file = file
        self._bar = bar
        self._not_shown = 0

    def read(self, size: int = -1) -> bytes:
        return self._show(self._file.read(size))

    def readline(self) -> bytes:
        return self._show(self._file.readline())

    def seek(self, offset: int) -> int:
        self._not_shown = 0
        self._bar.update(offset - self._bar.pos)
        return self._file.seek(offset)

    def _show(self, data: bytes) -> bytes:
        self._not_shown += len(data)
        if self._not_shown >= SHOWN_AT_ONCE or not data:
            self._bar.update(self._not_shown)
            self._not_shown = 0
        return data


@contextmanager
def showing_count(length: int) -> Iterator[Callable[[], None]]:
    """What is given is called for each one that is done."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=length, label="Writing", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


@contextmanager
def showing_lines() -> Iterator[Callable[[], None]]:
    """The same where nobody knows how many there will be."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    count = 0

    def written() -> None:
        nonlocal count
        count += 1
        if count % LINES_SHOWN == 0:
            click.echo(f"\r{count} lines", nl=False, err=True)

    yield written
    click.echo("\r", nl=False, err=True)
