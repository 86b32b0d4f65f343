"""PDF, page by page: the text that is in it. Of a page that is a picture there is none."""

import re
from collections.abc import Iterator, Sequence

from palaver.knowledge.blocks import Block
from palaver.knowledge.unreadable import Unreadable

MOST_PAGES = 10_000
MOST_CHARACTERS_OF_A_PAGE = 2_000_000

# What PDFium says where a password is wanted, or the way it is encrypted is none that it knows.
_PASSWORD, _SECURITY = 4, 5

# A hyphen at the end of a line, as PDFium gives it, and its line end.
_HYPHEN = re.compile("(?:\ufffe|\x02)\\s*")

# A line that is so much shorter than the others ends a paragraph.
_SHORT = 0.7
_NEW_PARAGRAPH = re.compile(r"\s*(?:[-–•*·▪‣]|\(?\d{1,3}[.)]|[A-Za-z][.)])\s")


def load_pdf() -> None:
    """So that reading opens no file. Not at the top: it takes as long as all the rest, and few files need it."""
    import pypdfium2

    pypdfium2.PdfDocument.new().close()


def read_pdf(data: bytes) -> Iterator[Block]:
    import pypdfium2
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        code = raw.FPDF_GetLastError()
        raise Unreadable("encrypted" if code in (_PASSWORD, _SECURITY) else "broken", str(error)) from error
    count = len(document)
    if count > MOST_PAGES:
        raise Unreadable("too_large", "pages")
    for number in range(count):
        try:
            page = document[number]
            text_page = page.get_textpage()
        except pypdfium2.PdfiumError as error:
            if number == 0:
                raise Unreadable("broken", str(error)) from error
            # Of a file that is cut off, the pages that are whole.
            continue
        if text_page.count_chars() > MOST_CHARACTERS_OF_A_PAGE:
            raise Unreadable("too_large", "a page")
        text = text_page.get_text_bounded()
        text_page.close()
        page.close()
        yield from (Block("paragraph", paragraph, page=number + 1) for paragraph in to_paragraphs(text))


def to_paragraphs(text: str) -> Iterator[str]:
    """The lines of a page put together again: a paragraph goes on in the next line where this one is full."""
    lines = [line.strip() for line in _HYPHEN.sub("", text.replace("\r\n", "\n")).split("\n")]
    full = _SHORT * _usual_length(lines)
    paragraph = ""
    before = ""
    for line in lines:
        ends = not line or len(before) < full or _NEW_PARAGRAPH.match(line) is not None
        if ends and paragraph:
            yield paragraph
            paragraph = ""
        paragraph = f"{paragraph} {line}" if paragraph else line
        before = line
    if paragraph:
        yield paragraph


def _usual_length(lines: Sequence[str]) -> float:
    lengths = sorted(len(line) for line in lines if line)
    return lengths[len(lengths) * 9 // 10] if lengths else 0
