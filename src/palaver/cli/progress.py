"""How far a file has been read, on a terminal's standard error."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import click


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


class _Shown(io.RawIOBase):
    def __init__(self, file: BinaryIO, bar: "click._termui_impl.ProgressBar[int]") -> None:
        self._file = file
        self._bar = bar

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._bar.update(len(data))
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if (offset, whence) == (0, io.SEEK_SET):
            self._bar.update(-self._bar.pos)
        return self._file.seek(offset, whence)


@contextmanager
def showing_count(length: int) -> Iterator[Callable[[], None]]:
    """What is given is called for each one that is done."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=length, label="Writing", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


LINES_SHOWN = 1000


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
