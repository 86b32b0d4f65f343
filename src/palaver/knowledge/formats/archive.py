"""Office files: archives of XML, opened so that neither the archive nor the XML unfolds into more than it may.

What an archive says of its sizes may be a lie: no more is unpacked of a file than it says, and none that says more than
may be.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol
from xml.parsers import expat

from palaver.knowledge.unfolding import may_unfold
from palaver.knowledge.unreadable import Unreadable

MOST_ENTRIES = 10_000
MOST_UNPACKED = 200 * 1024 * 1024
DEEPEST = 200

# What one piece of text or one attribute may be; expat collects an attribute whole.
_PIECE = 64 * 1024
_ENCRYPTED = 0x1


class Hears(Protocol):
    """Whoever reads an XML file. Names come without their namespace."""

    def begin(self, name: str, attributes: Mapping[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def say(self, text: str) -> None: ...


class Archive:
    def __init__(self, archive: zipfile.ZipFile, most: int) -> None:
        self._archive = archive
        self._left = most

    def has(self, name: str) -> bool:
        return name in self._archive.NameToInfo

    def read_xml(self, name: str, hears: Hears) -> Iterator[None]:
        """Has `hears` hear the file, and gives way after each piece of it. Raises `Unreadable`."""
        parser = _to_parser(hears)
        self._left -= self._archive.NameToInfo[name].file_size
        if self._left < 0:
            raise Unreadable("too_large", "unpacked")
        try:
            with self._archive.open(name) as file:
                while piece := file.read(_PIECE):
                    parser.Parse(piece, False)
                    yield
                parser.Parse(b"", True)
                yield
        except expat.ExpatError as error:
            raise Unreadable("broken", f"XML: {error}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
            raise Unreadable("broken", f"archive: {type(error).__name__}") from error

    def read_all_xml(self, name: str, hears: Hears) -> None:
        if self.has(name):
            for _ in self.read_xml(name, hears):
                pass


@contextmanager
def open_archive(data: bytes) -> Iterator[Archive]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Unreadable("broken", "archive") from error
    with archive:
        if len(archive.filelist) > MOST_ENTRIES:
            raise Unreadable("too_large", "entries of the archive")
        if any(entry.flag_bits & _ENCRYPTED for entry in archive.filelist):
            raise Unreadable("encrypted")
        yield Archive(archive, min(MOST_UNPACKED, may_unfold(len(data))))


def _to_parser(hears: Hears) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise Unreadable("too_deep")
        hears.begin(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        hears.end(_local(name))

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = hears.say
    # Office writes none. What one of a few bytes unfolds into has no bound, and what one points at is nobody's
    # business.
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(_name: str, _system: str | None, _public: str | None, _internal: bool) -> None:
    raise Unreadable("broken", "a document type of its own")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
