"""XLSX: each sheet under its name, a row a line. Of a formula it has what was last worked out."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from palaver.knowledge.blocks import Block
from palaver.knowledge.formats.archive import Archive, open_archive
from palaver.knowledge.formats.tables import to_row
from palaver.knowledge.unreadable import Unreadable

MOST_SHEETS = 1000
MOST_SHARED = 5_000_000
MOST_SHARED_CHARACTERS = 128 * 1024 * 1024

# Cells further to the right than this are put next to the others: a row with one cell at its end is no row of 16,384.
_WIDEST_GAP = 50

# Numbers that are dates, by the formats that every program knows; in a written one, what stands for a part of a date.
_DATE_FORMATS = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_OF_A_DATE = re.compile("[dmyhs]", re.IGNORECASE)
_NO_PART = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|General', re.IGNORECASE)
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 (a sheet's dates are of no zone)
_LAST_DAY = 2_958_466

_COLUMN = re.compile("[A-Z]{1,3}")


def read_xlsx(data: bytes) -> Iterator[Block]:
    with open_archive(data) as archive:
        shared, styles = _Shared(), _Styles()
        archive.read_all_xml("xl/sharedStrings.xml", shared)
        archive.read_all_xml("xl/styles.xml", styles)
        for name, path in _list_sheets(archive):
            if archive.has(path):
                yield Block("heading", name, 1)
                sheet = _Sheet(shared.texts, styles.dates)
                for _ in archive.read_xml(path, sheet):
                    yield from sheet.take()


def _list_sheets(archive: Archive) -> list[tuple[str, str]]:
    book, links = _Book(), _Links()
    archive.read_all_xml("xl/workbook.xml", book)
    archive.read_all_xml("xl/_rels/workbook.xml.rels", links)
    if len(book.sheets) > MOST_SHEETS:
        raise Unreadable("too_large", "sheets")
    return [(name, links.paths[link]) for name, link in book.sheets if link in links.paths]


class _Quiet:
    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        pass

    def end(self, name: str) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class _Book(_Quiet):
    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            self.sheets.append((attributes.get("name", ""), attributes.get("id", "")))


class _Links(_Quiet):
    def __init__(self) -> None:
        self.paths: dict[str, str] = {}

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "Relationship":
            # Below `xl/`, or from the root; whatever it names is looked for in the archive alone.
            path = posixpath.normpath(posixpath.join("/xl", attributes.get("Target", "")))
            self.paths[attributes.get("Id", "")] = path.lstrip("/")


class _Styles(_Quiet):
    """Which of the cells' formats show a number as a date."""

    def __init__(self) -> None:
        self.dates: set[int] = set()
        self._written: dict[str, str] = {}
        self._in_formats = False
        self._number = 0

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "numFmt":
            self._written[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._in_formats = True
        elif name == "xf" and self._in_formats:
            if self._is_date(attributes.get("numFmtId", "")):
                self.dates.add(self._number)
            self._number += 1

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_formats = False

    def _is_date(self, number: str) -> bool:
        if number in self._written:
            return bool(_OF_A_DATE.search(_NO_PART.sub("", self._written[number])))
        return number.isascii() and number.isdecimal() and len(number) < 4 and int(number) in _DATE_FORMATS


class _Shared(_Quiet):
    """Texts that cells name by number."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._parts: list[str] = []
        self._size = 0
        self._says = False
        self._sounds = 0

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:  # noqa: ARG002 (`_Quiet`'s)
        if name == "si":
            self._parts = []
        elif name == "rPh":
            # How it is spoken, for those who read kana.
            self._sounds += 1
        self._says = name == "t" and not self._sounds

    def end(self, name: str) -> None:
        self._says = False
        if name == "rPh":
            self._sounds -= 1
        elif name == "si":
            self.texts.append("".join(self._parts))
            if len(self.texts) > MOST_SHARED:
                raise Unreadable("too_large", "texts of the sheets")

    def say(self, text: str) -> None:
        if self._says:
            self._parts.append(text)
            self._size += len(text)
            if self._size > MOST_SHARED_CHARACTERS:
                raise Unreadable("too_large", "texts of the sheets")


class _Sheet(_Quiet):
    def __init__(self, shared: list[str], dates: set[int]) -> None:
        self._shared = shared
        self._dates = dates
        self._made: list[Block] = []
        self._cells: list[str] = []
        self._kind = ""
        self._style = ""
        self._value: list[str] = []
        self._says = False
        self._head = True

    def take(self) -> list[Block]:
        made, self._made = self._made, []
        return made

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "row":
            self._cells = []
        elif name == "c":
            self._fill_up_to(attributes.get("r", ""))
            self._kind = attributes.get("t", "n")
            self._style = attributes.get("s", "")
            self._value = []
        self._says = name in ("v", "t")

    def end(self, name: str) -> None:
        self._says = False
        if name == "c":
            self._cells.append(self._to_text("".join(self._value)))
        elif name == "row":
            row = to_row(self._cells)
            if row:
                self._made.append(Block("row", row, head=self._head))
                self._head = False

    def say(self, text: str) -> None:
        if self._says:
            self._value.append(text)

    def _fill_up_to(self, place: str) -> None:
        column = _COLUMN.match(place)
        if column is None:
            return
        number = 0
        for letter in column[0]:
            number = number * 26 + ord(letter) - 64
        gap = number - 1 - len(self._cells)
        if 0 < gap <= _WIDEST_GAP:
            self._cells.extend([""] * gap)

    def _to_text(self, value: str) -> str:
        match self._kind:
            case "s":
                return self._to_shared(value)
            case "b":
                return "TRUE" if value == "1" else "FALSE"
            case "n" if self._style.isascii() and self._style.isdecimal() and len(self._style) < 9:
                return _to_date(value) if int(self._style) in self._dates else value
            case _:
                return value

    def _to_shared(self, value: str) -> str:
        if not (value.isascii() and value.isdecimal() and len(value) < 9) or int(value) >= len(self._shared):
            return ""
        return self._shared[int(value)]


def _to_date(value: str) -> str:
    try:
        days = float(value)
    except ValueError:
        return value
    if not 0 <= days < _LAST_DAY:
        return value
    date = _FIRST_DAY + timedelta(seconds=round(days * 86_400))
    if days < 1:
        return f"{date:%H:%M}"
    return f"{date:%Y-%m-%d}" if date.hour == date.minute == date.second == 0 else f"{date:%Y-%m-%d %H:%M}"
