"""Passages are cut along what the document is made of: headings first, then paragraphs, rows and lines, then sentences,
then words, and through a word only where it is longer than a passage.

It reads a document block by block and holds no more of it than the passage it is at, so that a document of any size is
cut in the same memory. A row of a table is not repeated in the next passage, for each passage is a piece of the text;
the head of the table stands with its headings instead.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from palaver.chat.knowledge import Cut, Sizes
from palaver.knowledge.blocks import OF_BLOCKS, Block, BlockKind, between

# What the longest separator weighs: the last that is added to a passage, when it is full already.
_KEPT_FREE = len(OF_BLOCKS)

# A character of East Asia, and what it weighs at most: its bytes and one, in quarters of a token.
_WIDE = re.compile("[\u2e80-\U0010ffff]")
_HEAVIEST = 5

LONGEST_HEADING = 120
LONGEST_PATH = 400

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'»”’)\]]*\s+|(?<=[。！？])|\n+")
_WORD = re.compile(r"\s*\S+\s*|\s+")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_BLANK = re.compile(r"\s+")


def cut(blocks: Iterable[Block], sizes: Sizes) -> Iterator[Cut]:
    """The passages, in order. Those of a text without their overlaps are the text; none is longer than `sizes` says."""
    cutter = _Cutter(sizes)
    for block in blocks:
        yield from cutter.feed(block)
    yield from cutter.finish()


class _Cutter:
    def __init__(self, sizes: Sizes) -> None:
        in_tokens = sizes.unit == "tokens"
        self._weigh: Callable[[str], int] = _weigh_tokens if in_tokens else len
        self._heaviest = _HEAVIEST if in_tokens else 1
        quarters = 4 if in_tokens else 1
        room = quarters * (sizes.most - 1) + 3 if in_tokens else sizes.most
        self._room = max(self._heaviest, room - _KEPT_FREE)
        self._most_overlap = min(sizes.overlap * quarters, self._room // 2)
        self._path: list[tuple[int, str]] = []
        self._head = ""
        self._last: Block | None = None
        self._number = 0
        # The passage that is being filled: where it starts, its text, what that weighs, and what it will be known by.
        self._start = 0
        self._text = ""
        self._weight = 0
        self._page: int | None = None
        self._heading = ""
        # What it holds: nothing of its own yet, headings alone, or more.
        self._holds: Literal["nothing", "headings", "content"] = "nothing"

    def feed(self, block: Block) -> Iterator[Cut]:
        last, self._last = self._last, block
        if last is not None:
            # There is always room for it, and always something that it stands behind.
            self._append(between(last, block))
        if block.kind == "heading":
            if self._holds == "content":
                yield self._close(None)
            self._enter(block)
        elif last is not None and last.page != block.page and self._holds == "content":
            yield self._close(block.kind)
        if block.kind == "row" and (block.head or last is None or last.kind != "row"):
            self._head = block.text if block.head else ""
        yield from self._take(block)

    def finish(self) -> Iterator[Cut]:
        if self._holds != "nothing":
            yield self._close(None)

    def _take(self, block: Block) -> Iterator[Cut]:
        weight = self._weigh(block.text)
        if weight <= self._room - self._weight:
            self._add(block.text, weight, block)
        elif weight <= self._room and self._holds == "content" and self._weight * 2 >= self._room:
            # A paragraph stays whole where that does not leave the passage before it half empty.
            yield self._close(block.kind, weight)
            self._add(block.text, weight, block)
        else:
            for piece in _lines(block.text) if block.kind in ("code", "row") else _sentences(block.text):
                yield from self._take_piece(piece, block)

    def _take_piece(self, piece: str, block: Block) -> Iterator[Cut]:
        weight = self._weigh(piece)
        fits = weight <= self._room - self._weight
        # A heading is no passage by itself: of the sentence behind it there stands with it what fits.
        if weight <= self._room and (fits or self._holds != "headings"):
            yield from self._make_room(weight, block)
            self._add(piece, weight, block)
            return
        for word in _WORD.finditer(piece):
            for part in self._parts(word[0]):
                weight = self._weigh(part)
                yield from self._make_room(weight, block)
                self._add(part, weight, block)

    def _make_room(self, weight: int, block: Block) -> Iterator[Cut]:
        if weight <= self._room - self._weight:
            return
        if self._holds == "nothing":
            # All that is there is the end of the passage before.
            self._start += len(self._text)
            self._text, self._weight = "", 0
        else:
            yield self._close(block.kind, weight)

    def _parts(self, word: str) -> Iterable[str]:
        if self._weigh(word) <= self._room:
            return (word,)
        length = self._room if word.isascii() else max(1, self._room // self._heaviest)
        return (word[place : place + length] for place in range(0, len(word), length))

    def _add(self, text: str, weight: int, block: Block) -> None:
        if self._holds == "nothing":
            self._page = block.page
            self._heading = self._to_heading(block)
        if block.kind != "heading":
            if self._holds == "headings":
                # It may be deeper than the heading that the passage began with.
                self._heading = self._to_heading(block)
            self._holds = "content"
        elif self._holds == "nothing":
            self._holds = "headings"
        self._text += text
        self._weight += weight

    def _append(self, separator: str) -> None:
        self._text += separator
        self._weight += len(separator)

    def _close(self, kind: BlockKind | None, room_for: int = 0) -> Cut:
        """What has been filled. The next one begins with its end, where the text goes on: `kind` says in what."""
        text, start = self._text, self._start
        made = Cut(self._number, start, start + len(text), text, self._page, self._heading)
        tail = "" if kind is None else self._tail(text, kind, room_for)
        self._number += 1
        self._start = made.end - len(tail)
        self._text, self._weight = tail, self._weigh(tail)
        self._holds = "nothing"
        return made

    def _tail(self, text: str, kind: BlockKind, room_for: int) -> str:
        room = min(self._most_overlap, self._room - room_for)
        if room <= 0:
            return ""
        tail = text[-room:]
        while self._weigh(tail) > room:
            tail = tail[(self._weigh(tail) - room + self._heaviest - 1) // self._heaviest :]
        if len(tail) == len(text):
            # A passage that is the overlap and nothing else would say the same again.
            return ""
        return _from_boundary(tail, text[len(text) - len(tail) - 1], kind)

    def _enter(self, block: Block) -> None:
        while self._path and self._path[-1][0] >= block.level:
            self._path.pop()
        self._path.append((block.level, shorten(block.text, LONGEST_HEADING)))

    def _to_heading(self, block: Block) -> str:
        names = [name for _, name in self._path]
        if block.kind == "row" and not block.head and self._head:
            names.append(shorten(self._head, LONGEST_HEADING))
        return shorten(" › ".join(names), LONGEST_PATH)


def shorten(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _from_boundary(tail: str, before: str, kind: BlockKind) -> str:
    """From the first line of it, or the first word, that is whole."""
    if kind in ("code", "row"):
        if before != "\n":
            tail = tail[tail.find("\n") + 1 :] if "\n" in tail else ""
    elif not before.isspace() and (blank := _BLANK.search(tail)) is not None:
        tail = tail[blank.end() :]
    return tail if tail.strip() else ""


def _lines(text: str) -> Iterator[str]:
    return (line[0] for line in _LINE.finditer(text))


def _sentences(text: str) -> Iterator[str]:
    place = 0
    for end in _SENTENCE_END.finditer(text):
        if end.end() > place:
            yield text[place : end.end()]
            place = end.end()
    if place < len(text):
        yield text[place:]


def _weigh_tokens(text: str) -> int:
    """In quarters of a token, so that the weight of two texts together is the sum of theirs."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "replace")) + len(_WIDE.findall(text))
