"""What a document is made of, in the order in which it is read; its text is that of its blocks, put together here.

All that comes out of a document is cleaned once, in this place: no database takes a NUL, no JSON half a character.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

BlockKind = Literal["heading", "paragraph", "code", "row"]

# Between two rows of a table, and between any other two blocks.
OF_ROWS, OF_BLOCKS = "\n", "\n\n"

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")
_LINE_ENDS = re.compile("\r\n?|\u2028|\u2029")
_WIDE_GAP = re.compile(r"[^\S\n]{40,}")
_TALL_GAP = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*){2,}")
_BLANKS = re.compile(r"\s+")


class Block(Struct, frozen=True):
    """`level` is a heading's, from 1; `page` counts from 1 where there are pages; `head` is the first row of a table,
    which names its columns."""

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None
    head: bool = False


def clean(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same without what no text holds, and without the blocks that are then empty."""
    for block in blocks:
        text = clean_text(block.text) if block.kind in ("paragraph", "code") else to_line(block.text)
        if text:
            yield Block(block.kind, text, block.level, block.page, block.head)


def clean_text(text: str) -> str:
    """Lines stay lines; what stands at its ends, gaps that no reader sees, and control characters go."""
    text = _UNPRINTABLE.sub("", _LINE_ENDS.sub("\n", text))
    return _TALL_GAP.sub("\n\n", _WIDE_GAP.sub("    ", text)).strip("\n").rstrip()


def to_line(text: str) -> str:
    return _BLANKS.sub(" ", _UNPRINTABLE.sub("", text)).strip()


def between(before: Block, after: Block) -> str:
    return OF_ROWS if before.kind == after.kind == "row" and not after.head else OF_BLOCKS


def to_text(blocks: Iterable[Block]) -> str:
    """The document's text, in which passages have their offsets."""
    parts: list[str] = []
    last: Block | None = None
    for block in blocks:
        if last is not None:
            parts.append(between(last, block))
        parts.append(block.text)
        last = block
    return "".join(parts)
