"""DOCX: the paragraphs and tables of the document as it reads now; what was deleted in it, and its fields' codes, are
left out."""

import re
from collections.abc import Iterator, Mapping

from palaver.knowledge.blocks import Block
from palaver.knowledge.formats.archive import Archive, open_archive
from palaver.knowledge.formats.tables import to_row
from palaver.knowledge.formats.text import LONGEST

_HEADING = re.compile(r"heading ([1-9])$", re.IGNORECASE)

# Parts of it, in the order in which they are read.
_PARTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")

# What is drawn is given twice, the second time for those who cannot show the first.
_TWICE = "Fallback"


def read_docx(data: bytes) -> Iterator[Block]:
    with open_archive(data) as archive:
        levels = _read_levels(archive)
        for name in _PARTS:
            if archive.has(name):
                reader = _Reader(levels)
                for _ in archive.read_xml(name, reader):
                    yield from reader.take()


def _read_levels(archive: Archive) -> Mapping[str, int]:
    styles = _Styles()
    archive.read_all_xml("word/styles.xml", styles)
    return styles.levels


class _Styles:
    """Which styles are headings. Their ids are in the writer's language, their names are not."""

    def __init__(self) -> None:
        self.levels: dict[str, int] = {}
        self._style = ""

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        value = attributes.get("val", "")
        if name == "style":
            self._style = attributes.get("styleId", "")
        elif name == "name" and (heading := _HEADING.match(value)) is not None:
            self.levels[self._style] = int(heading[1])
        elif name == "name" and value.lower() == "title":
            self.levels[self._style] = 1
        elif name == "outlineLvl" and value in tuple("01234567"):
            self.levels.setdefault(self._style, int(value) + 1)

    def end(self, name: str) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class _Reader:
    def __init__(self, levels: Mapping[str, int]) -> None:
        self._levels = levels
        self._made: list[Block] = []
        self._text: list[str] = []
        self._size = 0
        self._says = False
        self._level = 0
        self._left_out = 0
        # Of a table in a table, the words go into the cell that it stands in.
        self._tables = 0
        self._rows = 0
        self._cells: list[str] = []

    def take(self) -> list[Block]:
        made, self._made = self._made, []
        return made

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._left_out or name == _TWICE:
            self._left_out += 1
            return
        match name:
            case "t":
                self._says = True
            case "tab" if "val" not in attributes:
                # With one it is a place on the ruler.
                self._add("\t")
            case "br" | "cr":
                self._add("\n")
            case "noBreakHyphen":
                self._add("-")
            case "pStyle":
                self._level = self._levels.get(attributes.get("val", ""), 0)
            case "outlineLvl" if not self._level and attributes.get("val", "") in tuple("01234567"):
                self._level = int(attributes["val"]) + 1
            case "tbl":
                self._tables += 1
                self._rows = 0 if self._tables == 1 else self._rows
            case "tr" if self._tables == 1:
                self._cells = []

    def end(self, name: str) -> None:
        if self._left_out:
            self._left_out -= 1
            return
        match name:
            case "t":
                self._says = False
            case "p":
                self._end_paragraph()
            case "tc" if self._tables == 1:
                self._cells.append(self._take_text())
            case "tr" if self._tables == 1:
                self._end_row()
            case "tbl":
                self._tables -= 1

    def say(self, text: str) -> None:
        if self._says and not self._left_out:
            self._add(text)

    def _add(self, text: str) -> None:
        self._text.append(text)
        self._size += len(text)
        if self._size > LONGEST and not self._tables:
            self._end_paragraph()

    def _end_paragraph(self) -> None:
        if self._tables:
            self._text.append("\n")
            return
        level, self._level = self._level, 0
        text = self._take_text()
        if text.strip():
            self._made.append(Block("heading", text, level) if level else Block("paragraph", text))

    def _end_row(self) -> None:
        row = to_row(self._cells)
        if row:
            self._made.append(Block("row", row, head=self._rows == 0))
            self._rows += 1

    def _take_text(self) -> str:
        text = "".join(self._text)
        self._text, self._size = [], 0
        return text
