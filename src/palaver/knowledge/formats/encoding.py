"""Bytes to lines of text, never more than a piece of them at once.

A file says by a mark in front that it is UTF-16; without one it is UTF-8 if it can be, else what Windows wrote before,
which every file can be.
"""

import codecs
import io
import re
from collections.abc import Iterator

UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# What no text in one of the encodings below holds, but for UTF-16.
LOOKS_BINARY = re.compile(b"[\x00-\x06\x0e-\x1a\x1c-\x1f]")

_PIECE = 1024 * 1024

# A line longer than this is handed out in parts.
LONGEST_LINE = 64 * 1024


def to_lines(data: bytes) -> Iterator[str]:
    """With their ends."""
    with io.TextIOWrapper(io.BytesIO(data), encoding=find_encoding(data), errors="replace", newline=None) as lines:
        while line := lines.readline(LONGEST_LINE):
            yield line


def to_pieces(data: bytes) -> Iterator[str]:
    with io.TextIOWrapper(io.BytesIO(data), encoding=find_encoding(data), errors="replace", newline=None) as text:
        while piece := text.read(LONGEST_LINE):
            yield piece


def find_encoding(data: bytes) -> str:
    if data.startswith(UTF_16_MARKS):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for place in range(0, len(data), _PIECE):
            # Without the last letter's end, where the file was cut off in its middle.
            decoder.decode(data[place : place + _PIECE])
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"
