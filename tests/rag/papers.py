"""Documents as their programs write them, small, for the tests of parsing."""

import io
import zipfile
import zlib
from email.message import EmailMessage

import openpyxl
import pypdfium2
from docx import Document
from docx.opc.constants import RELATIONSHIP_TYPE as LINK
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Pt

Line = tuple[float, float, float, str]  # left, bottom, size in points; its text


_UPRIGHT = {0: b"", 90: b"0 1 -1 0 0 0 cm ", 180: b"-1 0 0 -1 0 0 cm ", 270: b"0 -1 1 0 0 0 cm "}


class Picture:
    def __init__(self, content: bytes, width: int, height: int) -> None:
        self.content = content
        self.width = width
        self.height = height


def make_pdf(
    *pages: list[Line] | Picture,
    bold: str = "",
    encrypted: bool = False,
    turned: int = 0,
    filled: tuple[float, float, str] | None = None,
) -> bytes:
    """A4 pages of lines in Helvetica (texts that begin with `bold` in its bold form), or of a picture.
    `turned`: written so that they stand upright when shown turned by that many degrees. `filled`: left,
    bottom and text of a form's field on each.
    """
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    kids = []
    about = b"/Rotate %d" % turned
    if filled is not None:
        left, bottom, text = filled
        said = b"BT /F 10 Tf 2 5 Td (%s) Tj ET" % text.encode("cp1252")
        things = b"/Resources << /Font << /F 3 0 R >> >>"
        objects.append(_stream(said, b"/Type /XObject /Subtype /Form /BBox [0 0 200 20] " + things))
        objects.append(
            b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (x) /F 4 /Rect [%g %g %g %g] /AP << /N %d 0 R >> >>"
            % (left, bottom, left + 200, bottom + 20, len(objects))
        )
        field = len(objects)
        objects[0] = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%d 0 R] >> >>" % field
        about += b" /Annots [%d 0 R]" % field
    for page in pages:
        drawn = b"q 595 0 0 842 0 0 cm /P Do Q" if isinstance(page, Picture) else _draw(page, bold)
        drawn = _UPRIGHT[turned] + drawn
        objects.append(_stream(drawn))
        content = len(objects)
        things = b""
        if isinstance(page, Picture):
            size = b"/Width %d /Height %d" % (page.width, page.height)
            kind = b"/Type /XObject /Subtype /Image /ColorSpace /DeviceGray /BitsPerComponent 8 " + size
            objects.append(_stream(page.content, kind))
            things = b"/XObject << /P %d 0 R >>" % len(objects)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R /B 4 0 R >> %s >> %s >>" % (content, things, about)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    return _file(objects, encrypted=encrypted)


def _draw(lines: list[Line], bold: str) -> bytes:
    drawn = []
    for left, bottom, size, text in lines:
        font = "B" if bold and text.startswith(bold) else "F"
        said = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        drawn.append(f"BT /{font} {size} Tf {left} {bottom} Td ({said}) Tj ET".encode("cp1252"))
    return b"\n".join(drawn)


def _stream(content: bytes, about: bytes = b"") -> bytes:
    packed = zlib.compress(content)
    return b"<< %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (about, len(packed), packed)


def _file(objects: list[bytes], *, encrypted: bool) -> bytes:
    written, places = io.BytesIO(b"%PDF-1.5\n"), []
    written.seek(0, io.SEEK_END)
    for number, content in enumerate(objects, 1):
        places.append(written.tell())
        written.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    begin = written.tell()
    written.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    written.writelines(b"%010d 00000 n \n" % place for place in places)
    lock = b"/Filter /Standard /V 1 /R 2 /P -44 /O <%s> /U <%s>" % (b"ab" * 32, b"cd" * 32)
    key = b"/Encrypt << %s >> /ID [<00> <00>]" % lock if encrypted else b""
    about = b"/Root 1 0 R /Size %d %s" % (len(objects) + 1, key)
    written.write(b"trailer << %s >>\nstartxref\n%d\n%%%%EOF" % (about, begin))
    return written.getvalue()


def make_word(body: bytes) -> bytes:
    """With what stands between the tags of its body."""
    written = io.BytesIO()
    Document().save(written)
    space = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    main = b"<w:document %s><w:body>%s</w:body></w:document>" % (space, body)
    return _with_part(written.getvalue(), "word/document.xml", main)


def make_sheet(rows: bytes) -> bytes:
    """A workbook whose first sheet holds these rows."""
    written = io.BytesIO()
    openpyxl.Workbook().save(written)
    space = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    sheet = b"<worksheet %s><sheetData>%s</sheetData></worksheet>" % (space, rows)
    return _with_part(written.getvalue(), "xl/worksheets/sheet1.xml", sheet)


def _with_part(office_file: bytes, name: str, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(office_file)) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    return make_archive(parts | {name: content})


def picture_of(pdf: bytes, scale: float = 2.0) -> Picture:
    """Its first page, as a scanner sees it."""
    drawn = pypdfium2.PdfDocument(pdf)[0].render(scale=scale, grayscale=True)
    rows = bytes(drawn.buffer)
    content = b"".join(rows[at : at + drawn.width] for at in range(0, len(rows), drawn.stride))
    return Picture(content, drawn.width, drawn.height)


def columns(left: list[str], right: list[str], *, top: float, by_row: bool = False) -> list[Line]:
    """Two columns, written one after the other, or line by line across the page."""
    lines = [(60.0, top - 14 * row, 10.0, text) for row, text in enumerate(left)]
    beside = [(315.0, top - 14 * row, 10.0, text) for row, text in enumerate(right)]
    if not by_row:
        return [*lines, *beside]
    return [line for pair in zip(lines, beside, strict=True) for line in pair]


def make_docx() -> bytes:
    """A heading, a list, what was inserted and deleted, a content control, a table, a footnote."""
    document = Document()
    document.core_properties.title = "Reisekosten"
    document.add_heading("Reisekosten", 1)
    document.add_paragraph("Belege sind aufzuheben.")
    document.add_heading("Übernachtung", 2)
    document.add_paragraph("Inland: 120 €", style="List Bullet")
    document.add_paragraph("Ausland: 180 €", style="List Bullet")
    changed = document.add_paragraph("Frist: ")
    run = '<w:r><w:{0} xml:space="preserve">{1}</w:{0}></w:r>'
    words = nsdecls("w")
    changed._p.append(parse_xml(f"<w:del {words}>{run.format('delText', 'vier')}</w:del>"))
    changed._p.append(parse_xml(f"<w:moveFrom {words}>{run.format('t', 'Tage')}</w:moveFrom>"))
    changed._p.append(parse_xml(f"<w:ins {words}>{run.format('t', 'sechs Wochen')}</w:ins>"))
    control = (
        f"<w:sdt {words}><w:sdtContent><w:p>{run.format('t', 'Gezeichnet')}</w:p></w:sdtContent></w:sdt>"
    )
    document.element.body.insert(-1, parse_xml(control))
    table = document.add_table(2, 2)
    for cell, text in zip(
        (c for row in table.rows for c in row.cells), ("Ort", "Satz", "Bonn", "24 €"), strict=True
    ):
        cell.text = text
    said = f"<w:p>{run.format('t', 'Stand 2026')}</w:p>"
    note = f'<w:footnotes {words}><w:footnote w:id="2">{said}</w:footnote></w:footnotes>'
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    part = Part(PackURI("/word/footnotes.xml"), kind, note.encode(), document.part.package)
    document.part.relate_to(part, LINK.FOOTNOTES)
    return _saved(document)


def make_pptx() -> bytes:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "年度计划"
    below = slide.shapes.add_textbox(Pt(72), Pt(300), Pt(300), Pt(50))
    below.text_frame.text = "second"
    above = slide.shapes.add_textbox(Pt(72), Pt(200), Pt(300), Pt(50))
    above.text_frame.text = "first"
    table = slide.shapes.add_table(2, 2, Pt(72), Pt(400), Pt(300), Pt(50)).table
    for place, text in (((0, 0), "Jahr"), ((0, 1), "Ziel"), ((1, 0), "2027"), ((1, 1), "40 %")):
        table.cell(*place).text = text
    slide.notes_slide.notes_text_frame.text = "Langsam sprechen"
    show.slides.add_slide(show.slide_layouts[5]).shapes.title.text = "Ende"
    return _saved(show)


def make_chart() -> bytes:
    show, data = Presentation(), CategoryChartData()
    data.categories = ["Ost", "West"]
    data.add_series("2025", (1.5, 3))
    data.add_series("2026", (2, 4))
    slide = show.slides.add_slide(show.slide_layouts[6])
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Pt(300), Pt(200), data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Umsatz in Mio. €"
    return _saved(show)


def make_xlsx(rows: int) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "Preise"
    book.active.append(["Artikel", "Preis", "Lieferbar"])
    for number in range(1, rows):
        book.active.append([f"Teil {number}", number / 4, number % 2 == 0])
    hidden = book.create_sheet("Geheim")
    hidden.append(["x"])
    hidden.sheet_state = "hidden"
    return _saved(book)


def _saved(document) -> bytes:
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()


def make_mail(*, subject: str, text: str, charset: str = "utf-8") -> bytes:
    mail = EmailMessage()
    mail["From"] = "Jörg Müller <joerg@example.org>"
    mail["To"] = "office@example.org"
    mail["Date"] = "Mon, 30 Nov 2026 10:00:00 +0100"
    mail["Subject"] = subject
    mail.set_content(text, charset=charset)
    mail.add_alternative(f"<html><body><p>{text} (HTML)</p></body></html>", subtype="html")
    mail.add_attachment(
        make_xlsx(2), maintype="application", subtype="octet-stream", filename="Preise März.xlsx"
    )
    return bytes(mail)


def make_archive(names: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return written.getvalue()


def make_bomb() -> bytes:
    """An archive that says of its only part that it unpacks to 4 GB."""
    content = make_archive({"word/document.xml": b"0" * 1_000})
    at = content.index(b"PK\x01\x02") + 24
    return content[:at] + b"\xf0\xff\xff\xff" + content[at + 4 :]
