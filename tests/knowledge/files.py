"""Files of every kind, written by hand: small ones that are whole, to be read and to be broken."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'

STYLES = (
    f"{HEAD}<w:styles {W}>"
    '<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
    "</w:styles>"
)


def to_zip(files: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def paragraph(text: str, style: str = "") -> str:
    of_style = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{of_style}<w:r><w:t>{escape(text)}</w:t></w:r></w:p>"


def table(*rows: Sequence[str]) -> str:
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def docx(*parts: str, **further: str | bytes) -> bytes:
    """`parts` are XML of the body."""
    document = f"{HEAD}<w:document {W}><w:body>{''.join(parts)}</w:body></w:document>"
    return docx_of(document, **further)


def docx_of(document: str | bytes, **further: str | bytes) -> bytes:
    return to_zip(
        {"[Content_Types].xml": "<Types/>", "word/document.xml": document, "word/styles.xml": STYLES, **further}
    )


def xlsx(sheets: Mapping[str, str], shared: Sequence[str] = (), **further: str | bytes) -> bytes:
    """`sheets` are XML of the rows, by name."""
    names = list(enumerate(sheets, 1))
    book = "".join(f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"/>' for n, name in names)
    links = "".join(f'<Relationship Id="rId{n}" Target="worksheets/sheet{n}.xml"/>' for n, _ in names)
    texts = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
    return to_zip(
        {
            "xl/workbook.xml": f"{HEAD}<workbook {S} {R}><sheets>{book}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f"{HEAD}<Relationships>{links}</Relationships>",
            "xl/sharedStrings.xml": f"{HEAD}<sst {S}>{texts}</sst>",
            "xl/styles.xml": (
                f'{HEAD}<styleSheet {S}><numFmts><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd hh:mm"/></numFmts>'
                '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs></styleSheet>'
            ),
            **{
                f"xl/worksheets/sheet{n}.xml": f"{HEAD}<worksheet {S}><sheetData>{sheets[name]}</sheetData></worksheet>"
                for n, name in names
            },
            **further,
        }
    )


def pdf(
    *pages: Sequence[str], box: str = "0 0 595 842", encrypt: str = "", kids: str = "", count: int | None = None
) -> bytes:
    """Each page with its lines."""
    objects: list[bytes] = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    numbers = []
    for lines in pages:
        shown = " ".join(f"({_in_pdf(line)}) Tj T*" for line in lines)
        content = zlib.compress(f"BT /F1 11 Tf 14 TL 50 800 Td {shown} ET".encode("cp1252"))
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        numbers.append(len(objects))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    listed = kids or " ".join(f"{number} 0 R" for number in numbers)
    objects[1] = f"<< /Type /Pages /Kids [{listed}] /Count {len(pages) if count is None else count} >>".encode()
    return _pdf_of(objects, encrypt)


def encrypted_pdf() -> bytes:
    """One that nobody can open without a password."""
    secret = "58" * 32
    return pdf(
        ["secret"],
        encrypt=f"/Encrypt << /Filter /Standard /V 1 /R 2 /O <{secret}> /U <{secret}> /P -4 >> /ID [<00> <00>]",
    )


def _pdf_of(objects: Sequence[bytes], further: str) -> bytes:
    made = bytearray(b"%PDF-1.7\n")
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    begins = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += f"trailer << /Size {len(objects) + 1} /Root 1 0 R {further} >>\nstartxref\n{begins}\n%%EOF\n".encode()
    return bytes(made)


def _in_pdf(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
