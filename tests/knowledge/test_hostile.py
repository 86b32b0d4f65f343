"""Files that were made to break whoever reads them: each costs nothing but itself, and it is said what is wrong."""

import os
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from palaver.chat.knowledge import Problem
from palaver.knowledge.unreadable import Unreadable
from tests.knowledge.files import (
    HEAD,
    STYLES,
    S,
    W,
    docx,
    docx_of,
    encrypted_pdf,
    paragraph,
    pdf,
    to_zip,
    xlsx,
)
from tests.knowledge.reading import LIMITS, command_of, is_zombie, problem_of, read
from tests.promises import Measured

LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def deep_docx(depth: int) -> bytes:
    return docx("<w:x>" * depth + paragraph("deep") + "</w:x>" * depth)


def deep_html(depth: int) -> bytes:
    return b"<div>" * depth + b"deep" + b"</div>" * depth


def bomb(size: int) -> bytes:
    """A DOCX of some kilobytes that unpacks to so many bytes."""
    return docx("<w:p><w:r><w:t>", " " * size, "</w:t></w:r></w:p>")


def words_bomb(size: int) -> bytes:
    one = f"<w:p><w:r><w:t>{'boom ' * 100}</w:t></w:r></w:p>"
    return docx(one * (size // len(one)))


def lying_zip() -> bytes:
    """A directory that says of its file that it is nothing, which it is not."""
    data = bytearray(docx(paragraph("hello " * 1000)))
    place = data.rfind(b"PK\x01\x02", 0, data.rfind(b"word/document.xml"))
    struct.pack_into("<I", data, place + 24, 1)
    return bytes(data)


def locked_zip() -> bytes:
    data = bytearray(docx(paragraph("hello")))
    place = -1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:
        struct.pack_into("<H", data, place + 8, 1)
    return bytes(data)


def shifted(data: bytes) -> bytes:
    """The same with every byte of its middle turned over."""
    third = len(data) // 3
    return data[:third] + bytes(255 - one for one in data[third : 2 * third]) + data[2 * third :]


def sheet(rows: str) -> bytes:
    return xlsx({"Sheet": rows})


def pdf_of(text: str) -> bytes:
    return b"%PDF-1.7\n" + text.encode() + b"\n%%EOF"


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + zlib.compress(os.urandom(2000))


# What makes it, its name, and what is wrong with it; None where it can be read, and is harmless.
CORPUS: list[tuple[str, Callable[[], bytes], Problem | None]] = [
    # Nothing, or nothing that is text.
    ("nothing.txt", lambda: b"", "empty"),
    ("blanks.txt", lambda: b" \n\t\r\n" * 1000, "empty"),
    ("marks.txt", lambda: "\ufeff\u200b\u00ad".encode() + b" \x0c\n", None),
    ("nothing.pdf", lambda: b"", "empty"),
    ("no-text.pdf", lambda: pdf([]), "empty"),
    ("no-text.docx", lambda: docx(), "empty"),
    ("script.html", lambda: b"<html><script>" + b"x" * 100_000, "empty"),
    ("picture.txt", png, "unknown_kind"),
    ("program.md", lambda: b"\x7fELF\x02\x01\x01" + bytes(200), "unknown_kind"),
    ("random.bin", lambda: b"\x00" + os.urandom(100_000), "unknown_kind"),
    ("archive.docx", lambda: to_zip({"a.txt": "hello"}), "unknown_kind"),
    ("old.doc", lambda: OLE + bytes(5000), "unknown_kind"),
    ("rich.rtf", lambda: rb"{\rtf1\ansi hello}", "unknown_kind"),
    ("gzip.csv", lambda: b"\x1f\x8b\x08\x00" + bytes(100), "unknown_kind"),
    # Locked.
    ("locked.pdf", encrypted_pdf, "encrypted"),
    ("locked.docx", lambda: OLE + bytes(1000) + "EncryptedPackage".encode("utf-16-le") + bytes(1000), "encrypted"),
    ("locked-zip.docx", locked_zip, "encrypted"),
    # Broken.
    ("half.docx", lambda: docx(paragraph("hello " * 5000))[:600], "broken"),
    ("half.xlsx", lambda: sheet("<row/>" * 500)[:400], "broken"),
    ("half.pdf", lambda: pdf(["hello"] * 20)[:150], "broken"),
    ("pdf-mark-alone.pdf", lambda: b"%PDF-1.7\n", "broken"),
    ("pdf-of-noise.pdf", lambda: b"%PDF-1.7\n" + os.urandom(50_000), "broken"),
    ("zip-mark-alone.docx", lambda: b"PK\x03\x04", "broken"),
    ("zip-of-noise.docx", lambda: b"PK\x03\x04" + os.urandom(50_000), "broken"),
    ("turned.docx", lambda: shifted(docx(paragraph(os.urandom(5000).hex()))), "broken"),
    ("no-xml.docx", lambda: docx_of("hello"), "broken"),
    ("open-xml.docx", lambda: docx_of(f"<w:document {W}><w:body>"), "broken"),
    ("no-xml.xlsx", lambda: xlsx({"Sheet": "</sheetData>"}), "broken"),
    ("other-packing.docx", lambda: docx_of(b"\xff\xfe\x00"), "broken"),
    ("lying.docx", lying_zip, "broken"),
    ("huge-cell.csv", lambda: b'a,b\n1,"' + b"x" * 1_100_000, "broken"),
    ("open-tag.html", lambda: b"<html><p>hello <a href='" + b"x" * 3_000_000, "broken"),
    # Entities.
    (
        "laughs.docx",
        lambda: docx_of(f"{LAUGHS}<w:document {W}><w:body>{paragraph('x')}</w:body></w:document>"),
        "broken",
    ),
    ("outside.docx", lambda: docx_of(f"{OUTSIDE}<w:document {W}>&a;</w:document>"), "broken"),
    (
        "laughs.xlsx",
        lambda: xlsx({"S": ""}, **{"xl/sharedStrings.xml": f"{LAUGHS}<sst {S}><si><t>&j;</t></si></sst>"}),
        "broken",
    ),
    (
        "laughing-styles.docx",
        lambda: docx(paragraph("x"), **{"word/styles.xml": LAUGHS + STYLES.removeprefix(HEAD)}),
        "broken",
    ),
    ("laughs.xml", lambda: f"{LAUGHS}<x>&j;</x>".encode(), None),
    # Deep.
    ("deep.docx", lambda: deep_docx(100_000), "too_deep"),
    ("deep.html", lambda: deep_html(200_000), "too_deep"),
    ("deep-tables.html", lambda: b"<table><tr><td>" * 50_000, "too_deep"),
    ("deep-quotes.md", lambda: b">" * 500_000 + b" deep", None),
    ("deep-lists.html", lambda: b"<ul><li>" * 5000 + b"deep", "too_deep"),
    ("deep-arrays.pdf", lambda: pdf_of("[" * 100_000), "broken"),
    # Large, or endless.
    ("bomb.docx", lambda: bomb(210 * 1024 * 1024), "too_large"),
    ("words-bomb.docx", lambda: words_bomb(6 * 1024 * 1024), "too_large"),
    ("bomb.xlsx", lambda: sheet(f"<row><c><v>{'7' * 200}</v></c></row>" * 25_000), "too_large"),
    (
        "many-entries.docx",
        lambda: to_zip({f"{n}": "" for n in range(11_000)} | {"word/document.xml": ""}, zipfile.ZIP_STORED),
        "too_large",
    ),
    ("many-sheets.xlsx", lambda: xlsx({f"S{n}": "" for n in range(1100)}), "too_large"),
    ("wide.csv", lambda: b"x," * 20_000 + b"x", "too_large"),
    ("endless.csv", lambda: b"a long enough cell,and another of them,and a third\n" * 120_000, "too_large"),
    ("endless.txt", lambda: b"words without an end " * 300_000, "too_large"),
    ("many-pages.pdf", lambda: pdf(["x"], kids="5 0 R " * 20_000, count=20_000), "too_large"),
    # Odd, and harmless.
    ("pages-that-are-not-there.pdf", lambda: pdf(["hello"], count=2_000_000_000), None),
    ("pages-in-a-ring.pdf", lambda: pdf(["hello"], kids="2 0 R 5 0 R"), None),
    ("vast-page.pdf", lambda: pdf(["hello"], box="0 0 99999999 99999999"), None),
    ("inside-out-page.pdf", lambda: pdf(["hello"], box="9 9 -9 nan"), "empty"),
    ("../../../etc/passwd", lambda: b"hello", None),
    ("upwards.docx", lambda: docx(paragraph("hello"), **{"../../evil.txt": "evil"}), None),
    ("upwards.xlsx", lambda: xlsx({"S": "<row><c><v>7</v></c></row>"}, **{"xl/../../evil": "evil"}), None),
    ("far-cell.xlsx", lambda: sheet('<row><c r="XFD1048576"><v>7</v></c></row>'), None),
    (
        "bad-numbers.xlsx",
        lambda: sheet('<row><c t="s"><v>99999999</v></c><c s="1"><v>1e308</v></c><c><v>x</v></c></row>'),
        None,
    ),
    ("half-letters.txt", lambda: b"hello \xed\xa0\x80 \xf0\x9f", None),
    ("no-letters.txt", lambda: b"hello \x00\x00 hello".replace(b"\x00", b"\x0b"), None),
    ("one-line.json", lambda: b'{"a":"' + b"x" * 2_000_000 + b'"}', None),
    ("stray-ends.html", lambda: b"<html></div></td></tr></table></pre></h1>hello" + b"</b>" * 50_000, None),
    ("open-comment.html", lambda: b"<html>hello<!-- " + b"x" * 100_000, None),
    ("many-tags.html", lambda: b"<html>hello" + b"<a " * 600_000, None),
    ("many-comments.html", lambda: b"<html>hello" + b"<!--" * 400_000, None),
    ("many-ends.html", lambda: b"<html>hello" + b"</a" * 100_000, None),
    ("many-starts.html", lambda: b"<html>hello" + b"<" * 300_000, None),
]


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 40
    assert {problem for _, _, problem in CORPUS} >= {
        "unknown_kind",
        "broken",
        "encrypted",
        "too_large",
        "too_deep",
        "empty",
    }


@pytest.mark.parametrize(("name", "make", "problem"), CORPUS, ids=[name for name, _, _ in CORPUS])
async def test_a_hostile_file_costs_nothing_but_itself(
    name: str, make: Callable[[], bytes], problem: Problem | None
) -> None:
    assert await problem_of(name, make(), limits=LIMITS) == problem
    assert list_children() == []


async def test_a_small_file_unfolds_into_no_large_text() -> None:
    with pytest.raises(Unreadable) as error:
        await read("bomb.docx", words_bomb(12 * 1024 * 1024), limits=replace(LIMITS, passages=200_000))
    assert (error.value.problem, error.value.why) == ("too_large", "unpacked")


WHOLE = {
    "a.docx": docx(paragraph("Handbook", "berschrift1"), *(paragraph(f"Line {n}.") for n in range(50))),
    "a.xlsx": sheet("".join(f'<row><c r="A{n}"><v>{n}</v></c></row>' for n in range(1, 50))),
    "a.pdf": pdf(*([f"Line {n} of a page."] * 3 for n in range(5))),
    "a.html": b"<html><h1>A<table><tr><td>1<td>2</table><pre>x</pre><p>&amp;&#x0;&no;<!-- c --><![CDATA[x]]></html>"
    * 20,
    "a.md": b"# A\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n\nText\n====\n" * 20,
}


@pytest.mark.proof("knowledge")
@pytest.mark.parametrize("name", WHOLE)
async def test_a_file_that_was_damaged_anyhow_is_read_or_refused(
    name: str, seed: str, prove: bool, measured: Measured
) -> None:
    chance = random.Random(seed)
    damages = 200 if prove else 3
    measured("damaged files", damages, "")
    for _ in range(damages):
        data = bytearray(WHOLE[name])
        for _ in range(chance.randrange(1, 20)):
            place = chance.randrange(len(data))
            data[place : place + chance.randrange(1, 8)] = chance.randbytes(chance.randrange(8))
        assert await problem_of(name, bytes(data), limits=LIMITS) in (None, *get_args(Problem))
    assert list_children() == []


def list_children() -> list[str]:
    """The processes that this one has started and that have ended or run, but for the suite's own parts."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [child for child in children if "palaver.knowledge.child" in command_of(child) or is_zombie(child)]
