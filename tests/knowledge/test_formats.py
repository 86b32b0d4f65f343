"""What is read out of a file of each kind."""

import pytest

from palaver.chat.knowledge import Sizes
from tests.knowledge.files import docx, paragraph, pdf, table, xlsx
from tests.knowledge.reading import problem_of, read

HTML = b"""<!doctype html><html><head><title>The Handbook</title><style>p { color: red }</style>
<script>alert("never")</script></head><body><h1>The Handbook</h1><p>Every <b>guest</b> is
welcome &amp; fed.</p><!-- not this --><h2>Rooms</h2><ul><li>One<li>Two</ul>
<table><tr><th>Room</th><th>Beds</th></tr><tr><td>Blue</td><td>2</td></tr><tr><td></td><td>4</td></tr></table>
<pre>key = 1
  indented</pre><img src="http://127.0.0.1:9/x.png" alt="x"><p>The <a href="/x">end</a>.</body></html>"""

MARKDOWN = """# The Handbook

Every guest is **welcome**.

Rooms
-----

- One
- Two

| Room | Beds |
|------|-----:|
| Blue | 2 |

```python
# no heading
key = 1
```

## Empty
"""


async def test_plain_text_is_divided_by_its_empty_lines() -> None:
    done = await read("a.txt", b"One line\nand its next.\r\n\r\n\r\n\r\nAnother.")
    assert done.text == "One line\nand its next.\n\nAnother."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
async def test_text_is_read_in_each_encoding(encoding: str) -> None:
    assert (await read("a.txt", "Größe: 5 €, naïve".encode(encoding))).text == "Größe: 5 €, naïve"


async def test_text_that_ends_within_a_letter_is_read_up_to_it() -> None:
    done = await read("a.txt", "Größe in Metern: äöü".encode()[:-1])
    assert done.text.startswith("Größe in Metern: äö")


async def test_markdown_is_read_with_its_headings_tables_and_code() -> None:
    done = await read("handbook.md", MARKDOWN.encode())
    assert done.under("The Handbook") == "The Handbook\n\nEvery guest is **welcome**."
    assert done.under("The Handbook › Rooms") == (
        "Rooms\n\n- One\n- Two\n\nRoom | Beds\nBlue | 2\n\n# no heading\nkey = 1"
    )


async def test_html_is_read_for_its_words_alone() -> None:
    done = await read("page", HTML)
    assert done.under("The Handbook") == "The Handbook\n\nEvery guest is welcome & fed."
    assert done.under("The Handbook › Rooms") == (
        "Rooms\n\n- One\n\n- Two\n\nRoom | Beds\nBlue | 2\n| 4\n\nkey = 1\n  indented\n\nThe end."
    )


async def test_pdf_is_read_page_by_page() -> None:
    long_line = "This line goes on so that the next one belongs to it, and it is no short one at"
    done = await read("a.bin", pdf([long_line, "all. " + long_line, "end."], ["The second (page)."]))
    assert [(cut.page, cut.text.strip()) for cut in done.cuts] == [
        (1, f"{long_line} all. {long_line} end."),
        (2, "The second (page)."),
    ]


async def test_docx_is_read_with_its_headings_and_tables() -> None:
    done = await read(
        "a",
        docx(
            paragraph("Handbuch", "berschrift1"),
            paragraph("Für alle & jeden."),
            "<w:p><w:r><w:t>Neu</w:t></w:r><w:del><w:r><w:delText>Alt</w:delText></w:r></w:del>"
            "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>",
            paragraph("Preise", "berschrift2"),
            table(["Was", "Preis"], ["Tee", "2 €"]),
            paragraph("Ende."),
        ),
    )
    assert done.under("Handbuch") == "Handbuch\n\nFür alle & jeden.\n\nNeu"
    assert done.under("Handbuch › Preise") == "Preise\n\nWas | Preis\nTee | 2 €\n\nEnde."


async def test_footnotes_of_a_docx_are_read_behind_it() -> None:
    done = await read("a", docx(paragraph("Text."), **{"word/footnotes.xml": _footnotes("Who says so.")}))
    assert done.text == "Text.\n\nWho says so."


def _footnotes(text: str) -> str:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return f"<w:footnotes {space}><w:footnote>{paragraph(text)}</w:footnote></w:footnotes>"


async def test_xlsx_is_read_sheet_by_sheet_with_what_its_cells_show() -> None:
    rows = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>Since</t></is></c></row>'
        '<row r="2"><c r="A2" t="s"><v>1</v></c><c r="B2" s="1"><v>45353</v></c></row>'
        '<row r="3"/><row r="4"><c r="B4" s="2"><v>45353.5</v></c><c r="D4" t="b"><v>1</v></c>'
        '<c r="E4"><f>1+1</f><v>2</v></c></row>'
    )
    done = await read("a", xlsx({"Staff": rows, "Empty": ""}, shared=["Name", "Ana"]))
    assert done.text == "Staff\n\nName | Since\nAna | 2024-03-02\n| 2024-03-02 12:00 | | TRUE | 2\n\nEmpty"


@pytest.mark.parametrize("divider", [",", ";", "\t"])
async def test_csv_is_read_whatever_divides_its_cells(divider: str) -> None:
    data = f'Name{divider}Says\nAna{divider}"one{divider}""two""\nlines"\n\n{divider}\n'
    assert (await read("a.csv", data.encode())).text == f'Name | Says\nAna | one{divider.strip() or " "}"two" lines'


@pytest.mark.parametrize(
    ("name", "media_type", "data", "text"),
    [
        ("a.txt", "", b"<!DOCTYPE html><p>Hello</p>", "Hello"),
        ("a.md", "text/html", b"# Hello", "Hello"),
        ("a", "text/html; charset=utf-8", b"<p>Hello</p>", "Hello"),
        ("a.unknown", "text/markdown", b"# Hello", "Hello"),
        ("a.unknown", "application/octet-stream", b"# Hello", "# Hello"),
        ("a.pdf", "application/pdf", b"Just text", "Just text"),
        ("a.py", "", b"def f():\n    return 1\n", "def f():\n    return 1"),
    ],
)
async def test_a_kind_is_known_by_content_then_by_name_then_by_media_type(
    name: str, media_type: str, data: bytes, text: str
) -> None:
    assert (await read(name, data, media_type=media_type)).text == text


async def test_nothing_that_a_page_names_is_fetched() -> None:
    assert await problem_of(
        "a.html", b'<link rel=stylesheet href="http://127.0.0.1:9/"><iframe src="http://127.0.0.1:9/">'
    ) == ("empty")


async def test_passages_are_as_long_as_they_are_wanted() -> None:
    done = await read("a.txt", b"word " * 5000, sizes=Sizes(500, 150, "characters"))
    assert max(len(cut.text) for cut in done.cuts) <= 500
    assert len(done.cuts) > 60
