"""Files and bodies that make much of little, that never end, or that a reader loses itself in. Each file
knows what may become of it: codes of refusals, and READ where it may be read.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.rag import papers

READ = "read"
BROKEN, EMPTY, UNKNOWN = "document_broken", "document_empty", "document_type"
LARGE = frozenset({"document_too_large", "document_entries", "document_unpacked"})
REFUSALS = LARGE | {BROKEN, EMPTY, UNKNOWN, "document_scanned", "document_encrypted", "document_archive"}
REFUSALS |= {"document_controls", "document_cells", "document_nested", "document_slow"}
ENDS = REFUSALS | {READ}
MANY = 100_000
WORD = "word/document.xml"
PARTS = {"docx": WORD, "xlsx": "xl/workbook.xml", "pptx": "ppt/presentation.xml"}


@dataclass(frozen=True)
class Bomb:
    name: str
    make: Callable[[], bytes]
    wants: frozenset[str] = ENDS

    def __str__(self) -> str:
        return self.name


def repeated(size_bytes: int) -> bytes:
    return bytes(size_bytes)


def overlapping(count: int) -> bytes:
    """An archive whose directory names one packed megabyte again and again."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/00000.xml", repeated(1_000_000))
    raw = written.getvalue()
    begin = raw.rindex(b"PK\x01\x02")
    entry, end = raw[begin : raw.rindex(b"PK\x05\x06")], raw[raw.rindex(b"PK\x05\x06") :]
    entries = [entry.replace(b"word/00000.xml", b"word/%05d.xml" % number) for number in range(count)]
    entries.append(entry.replace(b"word/00000.xml", b"word/document.x"[:14]))
    directory = b"".join(entries)
    about = struct.pack("<HHHHLLH", 0, 0, len(entries), len(entries), len(directory), begin, 0)
    return raw[:begin] + directory + end[:4] + about


def lying(size_bytes: int) -> bytes:
    """An archive that says that its part is small."""
    raw = papers.make_archive({WORD: repeated(size_bytes)})
    return raw.replace(struct.pack("<L", size_bytes), struct.pack("<L", 10))


def entities(kind: str) -> bytes:
    lines = ['<!ENTITY a0 "laugh">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)]
    return papers.make_archive({PARTS[kind]: f"<!DOCTYPE x [{''.join(lines)}]><x>&a11;</x>".encode()})


def external(kind: str) -> bytes:
    text = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    return papers.make_archive({PARTS[kind]: text.encode()})


def quadratic(kind: str) -> bytes:
    text = f'<!DOCTYPE x [<!ENTITY e "{"a" * 50_000}">]><x>{"&e;" * 20_000}</x>'
    return papers.make_archive({PARTS[kind]: text.encode()})


def deep_xml(kind: str) -> bytes:
    return papers.make_archive({PARTS[kind]: b"<x>" * MANY + b"</x>" * MANY})


def replaced(whole: bytes, part: str, content: bytes) -> bytes:
    """An office file with another content in one part."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return papers.make_archive(parts | {part: content})


def word_of(body: str) -> bytes:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    xml = f"<w:document {space}><w:body>{body}</w:body></w:document>"
    return replaced(papers.make_docx(), WORD, xml.encode())


def sheet_of(rows: str) -> bytes:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    xml = f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>"
    return replaced(papers.make_xlsx(2), "xl/worksheets/sheet1.xml", xml.encode())


def pdf_of(*objects: bytes) -> bytes:
    return papers._file(list(objects), encrypted=False)


def flate(size_bytes: int, times: int = 1) -> bytes:
    packed = repeated(size_bytes)
    for _time in range(times):
        packed = zlib.compress(packed, 9)
    filters = b"[" + b"/FlateDecode " * times + b"]"
    return b"<< /Filter %s /Length %d >>\nstream\n%s\nendstream" % (filters, len(packed), packed)


ROOT = b"<< /Type /Catalog /Pages 2 0 R >>"
ONE_PAGE = b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"


def page(more: bytes = b"") -> bytes:
    return b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R %s >>" % more


def drawn(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)


def form_loop() -> bytes:
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 5 0 R >> >> "
    resources = b"/Resources << /XObject << /F 5 0 R >> >>"
    inner = form + b"/Length 6 >>\nstream\n/F Do \nendstream"
    return pdf_of(ROOT, ONE_PAGE, page(resources), drawn(b"/F Do"), inner)


def deep_pages(depth: int) -> bytes:
    nodes = [b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % (number + 3) for number in range(depth)]
    return pdf_of(ROOT, *nodes, b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 9 9] >>" % (depth + 1))


def png(width: int, height: int, packed: bytes = b"") -> bytes:
    def piece(kind: bytes, content: bytes) -> bytes:
        code = zlib.crc32(kind + content)
        return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", code)

    head = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    data = packed or zlib.compress(repeated(100_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", head) + piece(b"IDAT", data) + piece(b"IEND", b"")


def mail(body: str, headers: str = "") -> bytes:
    return f"From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\n{headers}\r\n{body}".encode()


def nested_mail(depth: int) -> bytes:
    """A message in a message in a message …"""
    text = "the end"
    for _level in range(depth):
        text = f"From: a@example.com\r\nSubject: x\r\nContent-Type: message/rfc822\r\n\r\n{text}"
    return text.encode()


def multiparts(depth: int) -> bytes:
    open_, shut = [], []
    for number in range(depth):
        open_.append(f'Content-Type: multipart/mixed; boundary="b{number}"\r\n\r\n--b{number}\r\n')
        shut.append(f"\r\n--b{number}--")
    return mail("", "".join(open_) + "Content-Type: text/plain\r\n\r\nx" + "".join(reversed(shut)))


def attachments(count: int) -> bytes:
    one = "--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n"
    return mail(one * count + "--b--", 'Content-Type: multipart/mixed; boundary="b"\r\n')


# a piece of text, again and again: readers with a stack, or expressions that look back, lose themselves
PIECES = {
    "open tags": "<div>", "open tables": "<table><tr><td>", "open lists": "<ul><li>", "bold": "<b>",
    "attributes": "<p a=1 b=2 c=3>", "half a tag": "<p ", "comments": "<!--", "half comments": "<!-",
    "entities": "&amp;", "half entities": "&#", "quotes": "> ", "brackets": "[", "links": "[a](",
    "images": "![",
    "stars": "*a **b ", "underscores": "_a __b ", "ticks": "`", "fences": "```\n", "rules": "---\n",
    "bars": "|a|b|\n", "bar rules": "|-|-|\n", "pipes": "|", "commas": ",", "quoted commas": '","',
    "semicolons": ";", "tabs": "\t", "backslashes": "\\", "headings": "# a\n", "list items": "- a\n",
    "indents": " \n", "zeros": "0", "CJK": "一", "accents": "a\u0301", "joiners": "\u200d",
    "to the left": "\u202e", "form feeds": "\f", "hyphens": "a-\n", "words": "word ",
}  # fmt: skip
BEGINNINGS = {
    "text": "A text.\n\n",
    "page": "<!doctype html><html><body><p>x</p>",
    "mail": None,
    "table": "a,b\n1,2\n3,4\n",
}


def repeat(beginning: str, piece: str) -> bytes:
    text = piece * (MANY if len(piece) > 1 else 5 * MANY)
    lead = BEGINNINGS[beginning]
    return mail(text) if lead is None else (lead + text).encode()


def list_bombs() -> Iterator[Bomb]:
    yield Bomb("a zip of 350 MB", papers.make_bomb, LARGE)
    yield Bomb(
        "a zip of entries", lambda: papers.make_archive({f"word/{n}": b"" for n in range(20_001)}), REFUSALS
    )
    yield Bomb("a zip whose entries overlap", lambda: overlapping(1_000), REFUSALS)
    yield Bomb("a zip that lies", lambda: lying(400_000_000), REFUSALS)
    for kind in PARTS:
        yield Bomb(f"entities in {kind}", lambda kind=kind: entities(kind), REFUSALS)
        yield Bomb(f"external entity in {kind}", lambda kind=kind: external(kind), REFUSALS)
        yield Bomb(f"quadratic entities in {kind}", lambda kind=kind: quadratic(kind), REFUSALS)
        yield Bomb(f"deep XML in {kind}", lambda kind=kind: deep_xml(kind), REFUSALS)
    zipped = papers.make_bomb
    yield Bomb("a zip in a zip", lambda: papers.make_archive({WORD: b"<x/>", "word/a.zip": zipped()}))
    yield Bomb("Word: paragraphs", lambda: word_of("<w:p/>" * 500_000))
    yield Bomb("Word: runs", lambda: word_of(f"<w:p>{'<w:r><w:t>a</w:t></w:r>' * 300_000}</w:p>"))
    deep = "<w:tbl><w:tr><w:tc>"
    yield Bomb(
        "Word: tables in tables", lambda: word_of(deep * 80 + "<w:p/>" + "</w:tc></w:tr></w:tbl>" * 80)
    )
    yield Bomb("Word: cells", lambda: word_of(f"<w:tbl><w:tr>{'<w:tc><w:p/></w:tc>' * MANY}</w:tr></w:tbl>"))
    yield Bomb(
        "sheet: its last cell", lambda: sheet_of('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    )
    yield Bomb("sheet: wide rows", lambda: sheet_of('<row><c r="XFD1"><v>1</v></c></row>' * 2_000))
    yield Bomb("sheet: many rows", lambda: sheet_of("<row><c><v>1</v></c></row>" * 300_000))
    yield Bomb("sheet: digits", lambda: sheet_of(f"<row><c><v>{'9' * 1_000_000}</v></c></row>"))
    yield Bomb(
        "PDF: pages that hold themselves", lambda: pdf_of(ROOT, b"<< /Type /Pages /Count 9 /Kids [2 0 R] >>")
    )
    yield Bomb(
        "PDF: a million pages, it says", lambda: pdf_of(ROOT, b"<< /Type /Pages /Count 1000000 /Kids [] >>")
    )
    yield Bomb("PDF: one page again and again", lambda: pdf_of(
        ROOT, b"<< /Type /Pages /Count 6000 /Kids [%s] >>" % (b"3 0 R " * 6_000), page(), drawn(b"")
    ))  # fmt: skip
    yield Bomb("PDF: deep pages", lambda: deep_pages(5_000))
    yield Bomb("PDF: a form in itself", form_loop)
    yield Bomb("PDF: a stream of 500 MB", lambda: pdf_of(ROOT, ONE_PAGE, page(), flate(500_000_000)))
    yield Bomb("PDF: packed five times", lambda: pdf_of(ROOT, ONE_PAGE, page(), flate(200_000_000, 5)))
    yield Bomb(
        "PDF: a length that is itself",
        lambda: pdf_of(ROOT, ONE_PAGE, page(), b"<< /Length 4 0 R >>\nstream\nendstream"),
    )
    yield Bomb("PDF: brackets", lambda: pdf_of(ROOT, ONE_PAGE, page(), drawn(b"[" * 1_000_000)))
    yield Bomb("PDF: saved states", lambda: pdf_of(ROOT, ONE_PAGE, page(), drawn(b"q " * 1_000_000)))
    yield Bomb("PDF: a page of light years", lambda: pdf_of(
        ROOT, ONE_PAGE, page().replace(b"595 842", b"1e30 1e30"), drawn(b"")
    ))  # fmt: skip
    yield Bomb("PDF: nothing but its name", lambda: b"%PDF-1.7\n" + b"%" * 1_000_000)
    yield Bomb("PDF: nested arrays", lambda: pdf_of(ROOT, b"[" * MANY + b"]" * MANY))
    yield Bomb("a picture of 50,000 × 50,000", lambda: png(50_000, 50_000))
    yield Bomb("a picture of no size", lambda: png(0, 0))
    yield Bomb("a picture of 2³¹ × 1", lambda: png(2**31 - 1, 1))
    yield Bomb("messages in messages", lambda: nested_mail(1_000))
    yield Bomb("parts in parts", lambda: multiparts(500))
    yield Bomb("10,000 attachments", lambda: attachments(10_000))
    yield Bomb("a header of a megabyte", lambda: mail("x", f"X-Long: {'a ' * 500_000}\r\n"))
    yield Bomb("many headers", lambda: mail("x", "X-A: b\r\n" * MANY))
    yield Bomb("encoded words", lambda: mail("x", f"X-B: {'=?utf-8?q?=41?= ' * 20_000}\r\n"))
    yield Bomb("parameters in pieces", lambda: mail("x", "Content-Type: text/plain" + "".join(
        f";\r\n a*{number}=b" for number in range(20_000)
    ) + "\r\n"))  # fmt: skip
    yield Bomb("one line of 30 MB", lambda: b"a" * 30_000_000)
    yield Bomb("21 million characters", lambda: b"word " * 4_200_000, LARGE)
    yield Bomb("halves of surrogates", lambda: b"\xff\xfe" + b"\x00\xd8" * MANY)
    yield Bomb("NUL", lambda: b"text\0" * MANY)
    for what, piece in PIECES.items():
        for beginning in BEGINNINGS:
            yield Bomb(f"{what} in a {beginning}", lambda b=beginning, p=piece: repeat(b, p))


def chat(content: str) -> bytes:
    return b'{"model": "mock", "messages": [{"role": "user", "content": "%s"}]}' % content.encode()


def list_bodies() -> Iterator[tuple[str, Callable[[], bytes], bool]]:
    """(name, body, whether it must be refused) of `/v1/chat/completions`."""
    deep = 10_000
    yield "deep lists", lambda: b'{"model": "mock", "messages": ' + b"[" * deep + b"]" * deep + b"}", True
    yield "deep objects", lambda: b'{"a":' * deep + b"1" + b"}" * deep, True
    yield "deep and open", lambda: b"[" * 1_000_000, True
    for word in ("1e400", "-1e400", "NaN", "Infinity", "9" * 5_000):
        yield f"a number {word[:9]}", lambda w=word: chat("x")[:-1] + f', "temperature": {w}}}'.encode(), True
    yield (
        "a number of 100,000 digits",
        lambda: chat("x")[:-1] + b', "temperature": 0.%s1}' % (b"0" * MANY),
        False,
    )
    yield "half a surrogate", lambda: chat("\\ud800"), False
    yield "NUL", lambda: chat("\\u0000"), False
    yield "bytes that are no text", lambda: chat("x").replace(b"x", b"\xff\xfe"), True
    yield "UTF-16", lambda: chat("x").decode().encode("utf-16"), True
    yield "a prompt of 10 MB", lambda: chat("word " * 2_000_000), False
    message = b'{"role": "user", "content": "%s"}' % (b"word " * 1_000)
    yield (
        "1,000 messages",
        lambda: b'{"model": "mock", "messages": [%s]}' % b",".join([message] * 1_000),
        False,
    )
    yield "many messages", lambda: b'{"model": "mock", "messages": [%s]}' % b",".join(
        [b'{"role":"user","content":""}'] * 50_000
    ), True  # fmt: skip
    values = b",".join([b"[]"] * 150_000)
    yield "many small values", lambda: chat("x")[:-1] + b', "logit_bias": [%s]}' % values, True
    yield "many keys", lambda: b"{%s}" % b",".join(b'"%d": 1' % n for n in range(200_000)), True
    yield "one key again and again", lambda: b"{%s}" % b",".join([b'"model": "a"'] * 200_000), True
    yield "a text without an end", lambda: b'{"model": "' + b"\\\\" * 5_000_000, True
    yield "quotes", lambda: b'{"model": ' + b'"' * 1_000_000, True
    yield "nothing but spaces", lambda: b" " * 10_000_000, True
    yield "tools in tools", lambda: b'{"model": "mock", "messages": [], "tools": [%s]}' % (
        b'{"type": "function", "function": {"name": "f", "parameters": ' + b'{"properties": {"a": ' * 3_000
        + b"{}" + b"}}" * 3_000 + b"}}"
    ), True  # fmt: skip
