"""HTML, for its words: nothing is run, and nothing that it names is fetched."""

from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

from palaver.knowledge.blocks import Block
from palaver.knowledge.formats.encoding import to_pieces
from palaver.knowledge.formats.tables import to_row
from palaver.knowledge.formats.text import LONGEST
from palaver.knowledge.unreadable import Unreadable

# No page that somebody wrote is nested as deeply as that; browsers stop at 512.
DEEPEST = 1000

# A tag, comment or declaration that does not end. Pictures that stand in the page itself are as long.
LONGEST_OPEN = 2 * 1024 * 1024

# At the end of a page the parser tries each `<` of what is still open anew, so that a megabyte would take it minutes.
LONGEST_REST = 4096

_DROPPED = "script style template noscript svg math canvas iframe object audio video select"
_DIVIDING = (
    "address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure footer form header "
    "hr html li main nav ol p section summary table ul tbody thead tfoot caption"
)
# These have no end tag, or may go without one.
_ALONE = (
    "area base br col embed hr img input link meta param source track wbr p li dt dd tr td th option thead tbody tfoot "
    "colgroup rt rp html head body"
)
_LEFT_OUT = frozenset(_DROPPED.split())
_BLOCKS = frozenset(_DIVIDING.split())
_UNNESTED = frozenset(_ALONE.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def read_html(data: bytes) -> Iterator[Block]:
    reader = _Reader()
    for piece in _growing(to_pieces(data), reader):
        reader.feed(piece)
        if len(reader.rawdata) > LONGEST_OPEN:
            raise Unreadable("broken", "a tag that does not end")
        yield from reader.take()
    reader.finish()
    yield from reader.take()


def _growing(pieces: Iterable[str], reader: HTMLParser) -> Iterator[str]:
    """The parser looks through what is open again with each piece: the next one is as long as that, so that all of it
    is looked at twice and not a hundred times."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= len(reader.rawdata):
            yield "".join(waiting)
            waiting, size = [], 0
    yield "".join(waiting)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._made: list[Block] = []
        self._text: list[str] = []
        self._size = 0
        self._open: list[str] = []
        self._left_out = 0
        self._pre = 0
        self._cells: list[str] | None = None
        self._in_cell = False
        self._all_head = True
        self._first_row = True
        self._heading = 0
        self._in_title = False
        self._title = ""

    def take(self) -> list[Block]:
        made, self._made = self._made, []
        return made

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 (nothing is followed)
        if tag not in _UNNESTED:
            self._open.append(tag)
            if len(self._open) > DEEPEST:
                raise Unreadable("too_deep")
        if tag in _LEFT_OUT:
            self._left_out += 1
        elif tag == "title":
            self._in_title = True
        elif tag == "br":
            self._add("\n")
        elif tag == "tr":
            self._end_row()
            self._begin_row()
        elif tag in ("td", "th") and self._cells is not None:
            self._end_cell()
            self._in_cell = True
            self._all_head = self._all_head and tag == "th"
        elif tag in _HEADINGS:
            self.end_block()
            self._heading = _HEADINGS[tag]
        elif tag in _BLOCKS or tag == "pre":
            self._begin_block(tag)

    def handle_endtag(self, tag: str) -> None:
        self._close(tag)
        if tag in _LEFT_OUT:
            self._left_out = max(0, self._left_out - 1)
        elif tag == "title":
            self._end_title()
        elif tag in ("tr", "table"):
            self._end_row()
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in _HEADINGS or tag in _BLOCKS or tag == "pre":
            self.end_block()
            self._pre = max(0, self._pre - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if self._left_out:
            return
        if self._in_title:
            self._title += data[:1000]
            return
        self._add(data if self._pre else _unbroken(data))

    def finish(self) -> None:
        if len(self.rawdata) <= LONGEST_REST:
            self.close()
        else:
            # What does not end is no tag: it is text, as for the parser.
            for place in range(0, len(self.rawdata), LONGEST):
                self.handle_data(self.rawdata[place : place + LONGEST])
        self.end_block()

    def end_block(self) -> None:
        if self._cells is not None:
            # Within a row, the cell is what counts.
            self._add(" ")
            return
        text = "".join(self._text)
        self._text, self._size = [], 0
        heading, self._heading = self._heading, 0
        if not text.strip():
            return
        if heading and heading == 1 and text.strip() == self._title:
            # It has been said, as the title.
            return
        if heading:
            self._made.append(Block("heading", text, heading))
        else:
            self._made.append(Block("code", text) if self._pre else Block("paragraph", _to_paragraph(text)))

    def _add(self, text: str) -> None:
        if self._left_out:
            return
        self._text.append(text)
        self._size += len(text)
        if self._size > LONGEST:
            self._end_cell() if self._in_cell else self.end_block()

    def _begin_block(self, tag: str) -> None:
        self.end_block()
        if tag == "pre":
            self._pre += 1
        elif tag == "table":
            self._end_row()
            self._first_row = True
        elif tag == "li" and self._cells is None:
            self._add("- ")

    def _begin_row(self) -> None:
        self.end_block()
        self._cells, self._all_head = [], True
        self._text, self._size = [], 0

    def _end_cell(self) -> None:
        if self._cells is None:
            return
        text = " ".join("".join(self._text).split())
        self._text, self._size = [], 0
        if text or self._in_cell:
            self._cells.append(text)
        self._in_cell = False

    def _end_row(self) -> None:
        if self._cells is None:
            return
        self._end_cell()
        row, self._cells = to_row(self._cells), None
        if row:
            self._made.append(Block("row", row, head=self._first_row and self._all_head))
            self._first_row = False

    def _end_title(self) -> None:
        self._in_title = False
        self._title = " ".join(self._title.split())
        if self._title:
            self._made.append(Block("heading", self._title, 1))

    def _close(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass


def _unbroken(data: str) -> str:
    """What is no preformatted text has no lines of its own."""
    return data.replace("\n", " ")


def _to_paragraph(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))
