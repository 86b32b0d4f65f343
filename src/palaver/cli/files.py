"""Files that `palaver import` reads and `palaver export` writes, and how the two are told what kind it is."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import click

from palaver.cli.faults import Refused

READABLE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
WRITABLE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
STANDARD = Path("-")

OF_PALAVER = "palaver"


class FileOrFirebase(click.Group):
    """`palaver import FILE` beside `palaver import firebase FILE`. A file that is called as one of the commands is
    `./firebase`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [OF_PALAVER, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        # Nobody types it, so no usage shows it.
        return "" if name == OF_PALAVER else name, command, rest


@contextmanager
def open_to_read(file: Path) -> Iterator[BinaryIO]:
    """What can be read more than once; standard input is copied."""
    if file != STANDARD:
        with file.open("rb") as opened:
            yield opened
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.seek(0)
        yield copy


@contextmanager
def open_to_write(file: Path) -> Iterator[BinaryIO]:
    """The file is there once it is whole, and nobody else may read it. Raises `Refused`."""
    if file == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(number, "wb") as opened:
            yield cast("BinaryIO", opened)
            opened.flush()
            os.fsync(number)
        Path(name).replace(file)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Refused(f"{file} cannot be written: {error.strerror}.") from error
        raise
