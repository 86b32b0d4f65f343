"""What a file is: by what it begins with, then by its name and media type, which anybody may have got wrong."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from palaver.knowledge.blocks import Block
from palaver.knowledge.formats.docx import read_docx
from palaver.knowledge.formats.encoding import LOOKS_BINARY, UTF_16_MARKS
from palaver.knowledge.formats.html import read_html
from palaver.knowledge.formats.markdown import read_markdown
from palaver.knowledge.formats.pdf import read_pdf
from palaver.knowledge.formats.tables import read_csv
from palaver.knowledge.formats.text import read_code, read_text
from palaver.knowledge.formats.xlsx import read_xlsx
from palaver.knowledge.unreadable import Unreadable

Read = Callable[[bytes], Iterator[Block]]

# PDF readers look for its mark in so much of a file's beginning.
PDF_MARK, PDF_WITHIN = b"%PDF-", 1024
_LOOKED_AT = 4096

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")

# Beginnings of what may pass for text and is none that anybody reads.
_OTHER_MARKS = (b"{\\rtf", b"%!PS", b"-----BEGIN PGP MESSAGE")

_CODE = (
    ".c .cc .cpp .cs .css .go .h .hpp .java .js .json .jsx .kt .lua .php .pl .ps1 .py .rb .rs .scala .sh .sql .swift "
    ".toml .ts .tsx .vue .xml .yaml .yml"
)

_BY_SUFFIX: Mapping[str, Read] = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd"), read_markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), read_html),
    **dict.fromkeys((".csv", ".tsv"), read_csv),
    **dict.fromkeys(_CODE.split(), read_code),
}

_BY_MEDIA_TYPE: Mapping[str, Read] = {
    "text/markdown": read_markdown,
    "text/x-markdown": read_markdown,
    "text/html": read_html,
    "application/xhtml+xml": read_html,
    "text/csv": read_csv,
    "text/tab-separated-values": read_csv,
}


def find_reader(data: bytes, name: str, media_type: str) -> Read:
    """How this file is read. Raises `Unreadable`."""
    if not data.strip():
        raise Unreadable("empty")
    if PDF_MARK in data[:PDF_WITHIN]:
        return read_pdf
    if data.startswith(b"PK\x03\x04"):
        return _find_in_archive(data)
    if data.startswith(_OLE):
        # What Office encrypts it wraps into the format that it had before.
        raise Unreadable("encrypted" if _ENCRYPTED_PACKAGE in data else "unknown_kind")
    beginning = data[:_LOOKED_AT]
    if not beginning.startswith(UTF_16_MARKS) and LOOKS_BINARY.search(beginning):
        raise Unreadable("unknown_kind")
    if beginning.startswith(_OTHER_MARKS):
        raise Unreadable("unknown_kind")
    shown = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if shown.startswith((b"<!doctype html", b"<html")):
        return read_html
    by_name = _BY_SUFFIX.get(PurePosixPath(name).suffix.lower())
    return by_name or _BY_MEDIA_TYPE.get(media_type.partition(";")[0].strip().lower(), read_text)


def _find_in_archive(data: bytes) -> Read:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Unreadable("broken", "no directory of the archive") from error
    if "word/document.xml" in names:
        return read_docx
    if "xl/workbook.xml" in names:
        return read_xlsx
    raise Unreadable("unknown_kind")
