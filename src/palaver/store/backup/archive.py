"""A backup as a file: a line that says what it is, and, packed together, what `copying` gave, with a digest at its end.

A file that ends early, or of which a bit is another one, is found out before any of it counts; unless it still packs
the same, as it may with another bit: then all of it is there as it was put.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

import msgspec

from palaver.store.backup.frames import Frame, Put

FIRST_LINE = b"palaver backup 1\n"

# Level 1 takes a quarter of the time that the usual level takes, and text is a tenth larger.
LEVEL = 1

LENGTH = 4
MOST = 256 * 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class NoArchive(Exception):
    """It is no backup of Palaver's, or one of a later kind."""


class Damaged(Exception):
    """It is not whole, or not as it was written."""


@contextmanager
def write_archive(path: Path) -> Iterator[Put]:
    """What is put is in the file once the block has ended well; else there is no such file, or the one before."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb", opener=_for_us_alone) as file:
            file.write(FIRST_LINE)
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=LEVEL, mtime=0) as packed:
                yield _Writer(packed).put
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


class _Writer:
    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def put(self, frame: Frame | None) -> None:
        """None is the last one."""
        if frame is None:
            self._file.write(bytes(LENGTH) + self._digest.digest())
            return
        packed = _encode(frame)
        self._digest.update(packed)
        self._file.write(len(packed).to_bytes(LENGTH, "big") + packed)


def open_archive(path: Path) -> Iterator[Frame]:
    """What was put, in order. Raises `NoArchive` at the start, and `Damaged` at the latest at the end."""
    with path.open("rb") as file:
        if file.read(len(FIRST_LINE)) != FIRST_LINE:
            raise NoArchive
        with gzip.GzipFile(fileobj=file) as packed:
            try:
                yield from _read(packed)
            except (EOFError, OSError, zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Damaged from error


def _read(file: BufferedIOBase) -> Iterator[Frame]:
    digest = hashlib.sha256()
    while length := int.from_bytes(_exactly(file, LENGTH), "big"):
        if length > MOST:
            raise Damaged
        packed = _exactly(file, length)
        digest.update(packed)
        yield _decode(packed)
    if _exactly(file, digest.digest_size) != digest.digest() or file.read(1):
        raise Damaged


def _exactly(file: BufferedIOBase, length: int) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise Damaged
    return data


def _for_us_alone(path: str, flags: int) -> int:
    """It holds all that people have said, and what signs them in."""
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
