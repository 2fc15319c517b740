"""Documents are read by what they are, whatever their names say; what cannot be read says why."""

import base64
import io
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest
from django.core.management import call_command

from foundation.errors import InvalidInput
from foundation.jail import run as jail
from foundation.jail.inside import Refused
from foundation.jail.limits import Limits
from rag.parsing import bounds, ocr, refusals, run
from rag.parsing.inside import entry
from rag.parsing.refusals import refusal
from rag.parsing.result import Parsed, Unshaped, unpack
from rag.parsing.run import parse
from tests.rag import papers

LEFT = [
    "Das Arbeitsverhältnis eines Angestellten kann mit",
    "einer Frist von vier Wochen gekündigt werden. Der",
    "Betriebsrat ist zu hören, ebenso die Schwerbehin-",
    "dertenvertretung, so-genannte SBV. Zum Ein-",
    "und Ausgang gilt: Vermerk auf E-Mail-Nachrichten.",
]
RIGHT = [
    "Die Schriftform ist zu wahren. Eine Kündigung per",
    "Fax genügt nicht, und auch keine so-",
    "genannte E-Mail-Kündigung. Wer das übersieht, und",
    "das Gehalt ist weiter zu zahlen, bis in der Form",
    "gekündigt wird, die das Gesetz verlangt.",
]

PAGE = """<!doctype html><html><head><title>Urlaub</title><style>p {}</style></head><body>
<nav>Menü</nav><h1>Urlaub</h1><p>Wer <b>verreist</b>,<br>sagt es.</p><script>alert(1)</script>
<table><caption>Anspruch</caption><tr><th>Jahr</th><th>Tage</th></tr><tr><td>2025</td><td>30</td></tr></table></body></html>"""
MARKDOWN = """# Handbook

Ask *Ann* or [Bob](https://example.org).

## Rules

- one
- two

| day | hours |
|---|---|
| Mon | 8 |
"""


def read_here(content: bytes, name: str = "file") -> Parsed:
    """Without the jail, which takes its time to start: these documents are our own."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return unpack(entry.read({"document": Path(file.name)}, name, ""))


def tell(parsed: Parsed) -> list[tuple]:
    text = "\n\n".join(block.text for block in parsed.blocks)
    assert all(text[block.char_from : block.char_to] == block.text for block in parsed.blocks)
    return [(block.kind, block.text, block.headings) for block in parsed.blocks]


def reason(content: bytes, name: str = "file") -> str:
    with pytest.raises(InvalidInput) as caught:
        parse(content, name=name)
    assert str(caught.value.message).endswith(".")
    return caught.value.code


@pytest.mark.parametrize("has_bubblewrap", [False, True])
def test_each_kind_is_read_in_the_jail(has_bubblewrap, monkeypatch):
    if not has_bubblewrap:
        monkeypatch.setattr(jail, "bubblewrap", lambda: ())
    contents = {
        "pdf": papers.make_pdf([(60, 700, 10, "words")]),
        "docx": papers.make_docx(),
        "pptx": papers.make_pptx(),
        "xlsx": papers.make_xlsx(2),
        "eml": papers.make_mail(subject="words", text="words"),
        "html": PAGE.encode(),
        "markdown": MARKDOWN.encode(),
    }
    if has_bubblewrap:
        contents = {kind: contents[kind] for kind in ("pdf", "xlsx")}
    for kind, content in contents.items():
        parsed = parse(content, name="file")
        assert parsed.blocks and parsed.metadata["kind"] == kind


def test_a_page_is_read_without_what_nobody_sees():
    assert tell(read_here(PAGE.encode("cp1252"), "page.pdf")) == [
        ("heading", "Urlaub", ()),
        ("paragraph", "Wer verreist,\nsagt es.", ("Urlaub",)),
        ("paragraph", "Anspruch", ("Urlaub",)),
        ("table", "Jahr | Tage\n2025 | 30", ("Urlaub",)),
    ]


def test_markdown_is_read_without_its_marks():
    assert tell(read_here(MARKDOWN.encode())) == [
        ("heading", "Handbook", ()),
        ("paragraph", "Ask Ann or Bob.", ("Handbook",)),
        ("heading", "Rules", ("Handbook",)),
        ("paragraph", "- one\n- two", ("Handbook", "Rules")),
        ("table", "day | hours\nMon | 8", ("Handbook", "Rules")),
    ]


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_chinese_table_is_read_in_each_charset(charset):
    table = "姓名,城市,备注\n张三,北京,新员工\n李四,上海,请假\n王五,广州,出差\n"
    assert tell(read_here(table.encode(charset))) == [
        (
            "table",
            "姓名 | 城市 | 备注\n张三 | 北京 | 新员工\n李四 | 上海 | 请假\n王五 | 广州 | 出差",
            ("A1:C4",),
        )
    ]


def test_a_long_table_is_told_in_pieces_with_their_header_and_place():
    rows = "".join(f"Müller {number};{number}\r\n" for number in range(2, 102))
    blocks = tell(read_here(f"Größe;Nr\r\n{rows}".encode("cp1252")))
    assert [headings for _kind, _text, headings in blocks] == [
        ("A1:B30",),
        ("A31:B59",),
        ("A60:B88",),
        ("A89:B101",),
    ]
    assert all(text.startswith("Größe | Nr\nMüller ") for _kind, text, _headings in blocks)
    assert blocks[1][1].splitlines()[1] == "Müller 31 | 31"


@pytest.mark.parametrize(
    ("content", "table"),
    [
        (b"sep=;\r\nName;Preis\r\nApfel, rot;1,50\r\n", "Name | Preis\nApfel, rot | 1,50"),
        (b"A;B;C\n" + b"1,5;2,5;3,5\n" * 12, "A | B | C" + "\n1,5 | 2,5 | 3,5" * 12),
    ],
)
def test_commas_of_numbers_part_no_cells(content, table):
    assert [block.text for block in read_here(content, "prices.csv").blocks] == [table]


def test_plain_text_has_its_paragraphs():
    assert tell(read_here("Größe ist\nnicht alles.\r\n\r\n\r\nDer ﬁnale Absatz, ohne mehr.".encode())) == [
        ("paragraph", "Größe ist\nnicht alles.", ()),
        ("paragraph", "Der finale Absatz, ohne mehr.", ()),
    ]


@pytest.mark.parametrize("by_row", [False, True])
def test_a_german_pdf_with_two_columns_is_read_in_its_order(by_row):
    first = [
        (60, 780, 20, "Kündigung"),
        *papers.columns(LEFT, RIGHT, top=740, by_row=by_row),
        (60, 640, 10, "Fristen im Überblick"),
        (72, 620, 10, "Dauer"),
        (212, 620, 10, "Frist"),
        (60, 606, 10, "zwei Jahre"),
        (200, 606, 10, "ein Monat"),
        (280, 40, 8, "Seite 1"),
    ]
    others = [[(60, 780, 10, f"Anhang {number}."), (280, 40, 8, f"Seite {number}")] for number in (2, 3)]
    parsed = read_here(papers.make_pdf(first, *others, bold="Fristen"), "x.txt")
    assert (parsed.page_count, parsed.scanned_pages) == (3, [])
    assert [(block.kind, block.text, block.page, block.headings) for block in parsed.blocks] == [
        ("heading", "Kündigung", 1, ()),
        (
            "paragraph",
            "Das Arbeitsverhältnis eines Angestellten kann mit einer Frist von vier Wochen gekündigt werden. "
            "Der Betriebsrat ist zu hören, ebenso die Schwerbehindertenvertretung, so-genannte SBV. Zum Ein- "
            "und Ausgang gilt: Vermerk auf E-Mail-Nachrichten.",
            1,
            ("Kündigung",),
        ),
        (
            "paragraph",
            "Die Schriftform ist zu wahren. Eine Kündigung per Fax genügt nicht, und auch keine so-genannte "
            "E-Mail-Kündigung. Wer das übersieht, und das Gehalt ist weiter zu zahlen, bis in der Form "
            "gekündigt wird, die das Gesetz verlangt.",
            1,
            ("Kündigung",),
        ),
        ("heading", "Fristen im Überblick", 1, ("Kündigung",)),
        ("table", "Dauer | Frist\nzwei Jahre | ein Monat", 1, ("Kündigung", "Fristen im Überblick")),
        ("paragraph", "Anhang 2.", 2, ("Kündigung", "Fristen im Überblick")),
        ("paragraph", "Anhang 3.", 3, ("Kündigung", "Fristen im Überblick")),
    ]
    left, bottom, right, top = parsed.blocks[1].box
    assert 58 < left < 62 and 260 < right < 315 and 678 < bottom < 686 and 745 < top < 755


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_page_that_is_shown_turned_is_read_as_people_see_it(turned):
    said = "Der Vertrag endet am Jahresende, wenn niemand ihn verlängert."
    lines = [(60, 700, 10, "Der Vertrag endet am Jahresende,"), (60, 686, 10, "wenn niemand ihn verlängert.")]
    [block] = read_here(papers.make_pdf(lines, turned=turned)).blocks
    [upright] = read_here(papers.make_pdf(lines)).blocks
    assert (block.kind, block.text) == ("paragraph", said)
    left, bottom, right, top = upright.box
    turns = {90: (-top, left, -bottom, right), 180: (-right, -top, -left, -bottom)}
    assert block.box == pytest.approx(turns.get(turned, (bottom, -right, top, -left)))


def test_what_was_filled_into_a_form_is_read_where_it_stands():
    content = papers.make_pdf([(60, 700, 10, "Name:")], filled=(120, 695, "Erika Mustermann"))
    [block] = read_here(content).blocks
    assert block.text == "Name: Erika Mustermann"
    assert block.box[2] > 180


def test_cells_in_controls_and_formulas_of_word_are_read():
    cell = b"<w:tc><w:p><w:r><w:t>%s</w:t></w:r></w:p></w:tc>"
    control = b"<w:sdt><w:sdtContent>%s</w:sdtContent></w:sdt>"
    rows = b"<w:tr>%s%s</w:tr>" % (cell % b"Frist", control % (cell % b"ein Jahr"))
    letters = b"<m:oMath><m:r><m:t>%s</m:t></m:r></m:oMath>"
    math = b'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    formula = b"<w:p %s>%s<w:del>%s</w:del></w:p>" % (math, letters % b"E=mc", letters % b"x")
    content = papers.make_word(b"<w:tbl>%s</w:tbl>%s" % (rows, formula))
    assert [block.text for block in read_here(content).blocks] == ["Frist | ein Jahr", "E=mc"]


def test_word_is_read_as_its_reader_sees_it():
    content = papers.make_docx()
    parsed = read_here(content, "letter.pdf")
    assert tell(parsed) == [
        ("heading", "Reisekosten", ()),
        ("paragraph", "Belege sind aufzuheben.", ("Reisekosten",)),
        ("heading", "Übernachtung", ("Reisekosten",)),
        ("paragraph", "- Inland: 120 €\n- Ausland: 180 €", ("Reisekosten", "Übernachtung")),
        ("paragraph", "Frist: sechs Wochen", ("Reisekosten", "Übernachtung")),
        ("paragraph", "Gezeichnet", ("Reisekosten", "Übernachtung")),
        ("table", "Ort | Satz\nBonn | 24 €", ("Reisekosten", "Übernachtung")),
        ("paragraph", "[2] Stand 2026", ()),
    ]
    assert (parsed.title, parsed.page_count) == ("Reisekosten", None)


def test_slides_are_pages_from_the_top_with_their_notes():
    parsed = read_here(papers.make_pptx())
    assert [(block.text, block.page, block.headings) for block in parsed.blocks] == [
        ("年度计划", 1, ()),
        ("first", 1, ("年度计划",)),
        ("second", 1, ("年度计划",)),
        ("Jahr | Ziel\n2027 | 40 %", 1, ("年度计划",)),
        ("Langsam sprechen", 1, ("年度计划",)),
        ("Ende", 2, ()),
    ]
    assert parsed.page_count == 2
    assert parsed.blocks[1].box == pytest.approx((72, 290, 372, 340))


def test_a_chart_says_its_numbers_where_its_kind_is_known():
    content = papers.make_chart()
    parsed = read_here(content)
    assert [(block.kind, block.text) for block in parsed.blocks] == [
        ("paragraph", "Umsatz in Mio. €"),
        ("table", " | 2025 | 2026\nOst | 1.5 | 2\nWest | 3 | 4"),
    ]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    chart = next(name for name in parts if name.startswith("ppt/charts/"))
    parts[chart] = parts[chart].replace(b"c:barChart", b"c:stockChart")
    assert reason(papers.make_archive(parts)) == refusals.EMPTY


def test_a_sheet_of_a_hundred_rows_is_told_in_pieces():
    parsed = read_here(papers.make_xlsx(100))
    assert [block.headings for block in parsed.blocks[1:]] == [
        ("Preise", cells) for cells in ("A1:C30", "A31:C59", "A60:C88", "A89:C100")
    ]
    assert parsed.blocks[2].text.splitlines()[:2] == ["Artikel | Preis | Lieferbar", "Teil 30 | 7.5 | TRUE"]
    assert parsed.notes == ["hidden_sheets"]


def test_formulas_that_nobody_calculated_are_told_and_numbers_keep_their_digits():
    numbers = b"<row><c><v>4.006381333931E12</v></c><c><v>0.30000000000000004</v></c></row>"
    written = b"<row><c><f>SUM(A1:B1)</f>%s</c></row>"
    for result in (b"", b"<v/>", b"<v></v>"):
        parsed = read_here(papers.make_sheet(numbers + written % result))
        assert parsed.notes == ["formulas_without_results"]
        assert parsed.blocks[1].text == "4006381333931 | 0.3"
    calculated = b'<row><c><f>1+1</f><v>2</v></c><c t="str"><f>""</f><v></v></c></row>'
    assert read_here(papers.make_sheet(calculated)).notes == []
    assert reason(papers.make_sheet(written % b"<v/>")) == refusals.FORMULAS
    assert reason(papers.make_sheet(b"")) == refusals.EMPTY  # its name alone is no text


@pytest.mark.parametrize(
    ("subject", "text", "charset"),
    [
        ("Grüße aus Köln", "Anbei die Preise für März.", "iso-8859-1"),
        ("关于价格的通知", "附件是三月份的价格表，请查收。", "gb2312"),
    ],
)
def test_a_mail_has_its_header_its_body_and_its_attachments(subject, text, charset):
    content = papers.make_mail(subject=subject, text=text, charset=charset)
    parsed = read_here(content)
    assert parsed.title == subject
    assert [block.text for block in parsed.blocks] == [
        "From: Jörg Müller <joerg@example.org>\nTo: office@example.org\n"
        f"Date: Mon, 30 Nov 2026 10:00:00 +0100\nSubject: {subject}",
        text,
    ]
    [attached] = parsed.attachments
    assert (attached.name, attached.declared_type) == ("Preise März.xlsx", "application/octet-stream")
    assert read_here(attached.content).blocks[0].text == "Preise"


MAIL = b"From: a@example.org\nSubject: Paket\nContent-Type: multipart/%s; boundary=x\n\n--x\n%s--x--\n"
SCAN = b"Content-Type: application/pdf; name=a.pdf\nContent-Disposition: inline\n\n%PDF-1.4\n"
FORWARDED = b"From: c@example.org\nSubject: Anbei\nDate: x\n\nDer Brief von Bello\n"


@pytest.mark.parametrize("coding", [b"7bit", b"base64"])
def test_a_mail_in_a_mail_is_read_however_it_was_packed(coding):
    inner = base64.encodebytes(FORWARDED) if coding == b"base64" else FORWARDED
    head = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: %s\n\n" % coding
    [attached] = read_here(MAIL % (b"mixed", head + inner)).attachments
    assert (attached.name, attached.content.strip().splitlines()[-1]) == ("Anbei.eml", b"Der Brief von Bello")


def test_a_mail_goes_on_after_an_attachment_and_says_alternatives_once():
    plain, page = b"Content-Type: text/plain\n\n%s\n", b"Content-Type: text/html\n\n<p>%s</p>\n"
    parts = b"--x\n".join([plain % b"Siehe Anhang:", SCAN, plain % b"Bis Freitag, bitte."])
    parsed = read_here(MAIL % (b"mixed", parts))
    assert [block.text for block in parsed.blocks[1:]] == ["Siehe Anhang:", "Bis Freitag, bitte."]
    assert [attached.name for attached in parsed.attachments] == ["a.pdf"]
    both = b"--x\n".join([page % b"Guten Tag", plain % b"Guten Tag"])
    assert [block.text for block in read_here(MAIL % (b"alternative", both)).blocks[1:]] == ["Guten Tag"]


@pytest.mark.parametrize("charset", ["cp1252", "gb18030", "utf-8"])
def test_a_mail_that_keeps_to_no_standard_is_read(charset):
    words = "关于价格的通知" if charset == "gb18030" else "Grüße aus Köln"
    kind = "content-type: text/plain; charset=nonsense"
    raw = f"Received: x\nfrom: <a@b.c>\nsubject: {words}\n{kind}\n\n{words}\n"
    parsed = read_here(raw.encode(charset))
    assert (parsed.title, parsed.blocks[-1].text) == (words, words)


def scanned() -> bytes:
    lines = [
        (60, 700 - 40 * row, 24, text)
        for row, text in enumerate(["Rechnung Nummer 4711", "vom dritten März"])
    ]
    picture = papers.picture_of(papers.make_pdf(lines))
    return papers.make_pdf(picture, [(60, 780, 10, "Diese Seite hat einen Text.")], [])


@pytest.mark.skipif(not shutil.which("tesseract"), reason="tesseract is not installed")
def test_a_scanned_page_is_recognised_where_its_words_stand():
    heard = []
    parsed = parse(scanned(), name="scan", progress=lambda done, total: heard.append((done, total)))
    assert (parsed.page_count, parsed.scanned_pages, heard) == (3, [], [(0, 1), (1, 1)])
    assert parsed.notes == []
    first, *_others, last = parsed.blocks
    assert first.text.startswith("Rechnung Nummer 4711") and (first.page, last.page) == (1, 2)
    left, bottom, right, top = first.box
    assert 50 < left < 70 and 250 < right < 330 and 640 < bottom < 705 and 710 < top < 730


def test_a_scanned_page_that_nobody_reads_is_said(monkeypatch, capsys):
    monkeypatch.setattr(ocr.shutil, "which", lambda name: None)
    parsed = parse(scanned(), name="scan")
    assert (parsed.scanned_pages, [block.page for block in parsed.blocks]) == ([1], [2])
    assert parsed.notes[0].startswith("1 page is a picture.")
    only = papers.make_pdf(papers.Picture(b"\xff" * 100, 10, 10))
    assert reason(only) == "document_scanned"
    call_command("check", "--deploy", "--tag", "documents")
    assert "no deu, eng, chi_sim" in "".join(capsys.readouterr())


def test_a_packed_document_is_not_taken_on_trust():
    good = {
        "blocks": [["paragraph", "text\0\ud800", 1, ["a"], [0, 0, 1, 1]]],
        "title": "",
        "page_count": 1,
        "scanned_pages": [],
        "attachments": [["a", "b", 2]],
        "metadata": {"kind": "pdf"},
        "notes": [],
    }
    packed = unpack(json.dumps(good).encode() + b"\nxy")
    assert packed.blocks[0].text == "text\ufffd\ufffd" and packed.attachments[0].content == b"xy"
    block = good["blocks"][0]
    bad = [
        {"blocks": [["picture", *block[1:]]]},
        {"blocks": [[*block[:2], 2, *block[3:]]]},
        {"blocks": [[*block[:2], True, *block[3:]]]},
        {"blocks": [[*block[:3], ["x"] * 7, block[4]]]},
        {"blocks": [[*block[:4], [0, 0, 1, 1e300]]]},
        {"blocks": [[*block[:1], 5, *block[2:]]]},
        {"blocks": {}},
        {"attachments": [["a", "b", 3]]},
        {"attachments": [["a", "b", -1]]},
        {"page_count": 10**9},
        {"scanned_pages": [2]},
        {"metadata": []},
        {"title": "x" * 400},
    ]
    for change in bad:
        with pytest.raises(Unshaped):
            unpack(json.dumps(good | change).encode() + b"\nxy")
    for content in (b"", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(Unshaped):
            unpack(content)


def test_a_reader_that_was_taken_over_is_a_broken_document(monkeypatch):
    monkeypatch.setattr(run, "READ", "tests.jailed:lie")
    assert reason(b"whatever") == "document_broken"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "document_empty"),
        (b" \n\t\r\n", "document_empty"),
        (b"<html><script>x</script></html>", "document_empty"),
        (b"\x00\x01\x02\x03" * 99, "document_type"),
        (b"{\\rtf1 text}", "document_type"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "document_type"),
        (b"\xd0\xcf\x11\xe0" + bytes(512) + "EncryptedPackage".encode("utf-16-le"), "document_encrypted"),
        (b"PK\x03\x04 and no archive", "document_broken"),
        (papers.make_archive({"a.txt": b"text"}), "document_archive"),
        (papers.make_archive({f"{number}.txt": b"" for number in range(10_000)}), "document_archive"),
        (
            papers.make_archive({"mimetype": b"application/vnd.oasis", "content.xml": b"<a/>"}),
            "document_type",
        ),
        (papers.make_archive({"Index/Document.iwa": b""}), "document_type"),
        (papers.make_archive({"word/document.xml": b"<no>"}), "document_broken"),
        (
            papers.make_archive({"word/document.xml": b""} | {f"{one}": b"" for one in range(20_000)}),
            "document_entries",
        ),
        (papers.make_bomb(), "document_unpacked"),
        (papers.make_pdf([(60, 700, 10, "secret")], encrypted=True), "document_encrypted"),
        (papers.make_pdf([(60, 700, 10, "text")])[:300], "document_broken"),
        (papers.make_pdf([]), "document_empty"),
    ],
)
def test_what_cannot_be_read_says_why(content, code):
    with pytest.raises(Refused, match=f"^{code}$"):
        read_here(content, "letter.docx")
    assert str(refusal(code).message).endswith(".")


def test_a_text_of_control_characters_is_called_so():
    for name in ("notes.txt", "table.csv"):
        with pytest.raises(Refused, match="document_controls"):
            read_here(b"\x01\x02\x03 text" * 99, name)


MAIL_HEAD = b"From: a@example.com\nSubject: x\n"
NESTED = {
    "page": b"<html><body>" + b"<div>" * 2_100,
    "page never closed": b"<html><body>" + b"<p><b a1>x</p>" * 2_100,
    "tables": b"<html><body>" + b"<table><tr><td>" * 51,
    "hidden by a comment": b"<html><body><!-->" + b"<div>" * 2_100,
    "parts of a mail": MAIL_HEAD
    + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(31))
    + b"\nx",
    "mails in mails": MAIL_HEAD + (b"Content-Type: message/rfc822\n\n" + MAIL_HEAD) * 2_000 + b"\nx",
    "Word": papers.make_word(b"<w:p>" * 3_000 + b"</w:p>" * 3_000),
}
WIDE = {
    "CSV": b"a," * 20_000 + b"\n" + b"b," * 20_000,
    "CSV of empty cells": b"a," * 16_000 + b"\n" + (b"," * 16_000 + b"\n") * 10,
    "Excel's last row": papers.make_sheet(b'<row r="999999999"><c r="A1"><v>1</v></c></row>'),
    "Excel's last column": papers.make_sheet(b'<row><c r="XFD1"><v>1</v></c></row>' * 10),
}


@pytest.mark.parametrize(
    ("content", "code"),
    [(content, "document_nested") for content in NESTED.values()]
    + [(content, "document_cells") for content in WIDE.values()],
    ids=[*NESTED, *WIDE],
)
def test_what_is_nested_or_wide_beyond_reason_is_refused_before_it_costs(content, code, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_CELLS", 100_000)
    with pytest.raises(Refused, match=code):
        read_here(content, "table.csv")
    assert refusal(code).message


def test_a_text_that_costs_more_than_its_length_wants_is_stopped(monkeypatch):
    deep = b"<html><body><p>" + b" ".join(b"a%d" % number for number in range(400_000)) + b">x</p><p><p>"
    monkeypatch.setattr(run, "_seconds_for", lambda *_about: 1)
    with pytest.raises(InvalidInput) as caught:
        parse(deep.replace(b"<p>a0", b"<p a0"), name="page.html")
    assert (caught.value.code, "far longer" in str(caught.value.message)) == ("document_slow", True)
    monkeypatch.undo()
    assert run._seconds_for(deep, bounds.MEGABYTE) == 20 and run._seconds_for(b"%PDF-1.5", 1_000_000) == 100


def test_pages_as_people_write_them_are_no_nests():
    said = b"<li><span>x<td><b>y</b><br/><img src=a>" * 900 + b"</span><!-- <div> -->" * 3_000
    assert read_here(b"<html><body><p>Text.</p>" + said + b"<script>'<div>'</script>" * 3_000).blocks
    page = "<table><tr><th>Menu<td><table><tr><td>a<td>b<tr><td>c<td>d</table></table>"
    texts = [text for _kind, text, _headings in tell(read_here(f"<html><body>{page}".encode(), "a.html"))]
    assert texts == ["Menu", "a | b\nc | d"], "tables in tables are read once"


def test_reasons_come_out_of_the_jail_and_limits_are_told(monkeypatch):
    assert reason(papers.make_bomb()) == "document_unpacked"
    monkeypatch.setattr(bounds, "MOST_BYTES", 10)
    assert reason(b"eleven bytes") == "document_too_large"
    monkeypatch.setattr(run, "LIMITS", Limits(output_bytes=5))
    assert reason(b"text") == "document_too_large"
