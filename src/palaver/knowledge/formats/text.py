"""Plain text: paragraphs are divided by empty lines."""

from collections.abc import Iterator

from palaver.knowledge.blocks import Block, BlockKind
from palaver.knowledge.formats.encoding import to_lines

# A paragraph without an end is cut here.
LONGEST = 64 * 1024


def read_text(data: bytes) -> Iterator[Block]:
    return _read(data, "paragraph")


def read_code(data: bytes) -> Iterator[Block]:
    """What is indented stays so, and is cut between lines."""
    return _read(data, "code")


def _read(data: bytes, kind: BlockKind) -> Iterator[Block]:
    lines: list[str] = []
    size = 0
    for line in to_lines(data):
        if not line.strip() or size > LONGEST:
            if lines:
                yield Block(kind, "".join(lines))
            lines, size = [], 0
        if line.strip():
            lines.append(line)
            size += len(line)
    if lines:
        yield Block(kind, "".join(lines))
