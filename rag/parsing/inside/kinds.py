"""What kind of document a file is, by its content. Its name and its declared type decide nothing but whether
a text with few commas is a table.

Does not cover: whether it is whole; its reader finds out.
"""

import codecs
import re
import zipfile
from pathlib import Path

from foundation.jail.inside import Refused
from rag.parsing import bounds
from rag.parsing.inside.charset import decode
from rag.parsing.inside.tables import find_delimiter
from tenants.files.sniffing import sniff

EMPTY, ENCRYPTED, BROKEN, UNKNOWN = (
    "document_empty",
    "document_encrypted",
    "document_broken",
    "document_type",
)
ARCHIVE, ENTRIES, UNPACKED = "document_archive", "document_entries", "document_unpacked"
CONTROLS = "document_controls"
TEXTS = (".txt", ".text", ".md", ".csv", ".tsv", ".htm", ".html", ".eml", ".log", ".json", ".xml", ".yaml")
PICTURES = ("image/png", "image/jpeg", "image/tiff", "image/bmp", "image/gif", "image/webp")
_HEAD = 65_536
_PDF, _ZIP, _OLE = b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_MAIN_PARTS = {"word/document.xml": "docx", "xl/workbook.xml": "xlsx", "ppt/presentation.xml": "pptx"}
# by which other programs' documents are told from archives: OpenDocument, books, other files of Office
_OF_DOCUMENTS = {"mimetype", "META-INF/container.xml", "[Content_Types].xml"}
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")  # a stream of an OLE file
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_header_line = re.compile(rb"[!-9;-~]{1,78}:(?: |\t|\r?\n).*|[A-Za-z-]{1,78}:")
_tags = re.compile(
    rb"<(?:!doctype html|html|head|body|div|p|table|h[1-6]|ul|span|article|section)\b[^<>]*>", re.I
)
_markdown = re.compile(
    r"^(?:#{1,6} \S|```|\|?[ :]*-{3,}[ :]*\|[-| :]*$|[=-]{3,}$|[-*+] \S)|\]\(\S+?\)|\*\*\S", re.M
)
_LEAST_ROWS, _LONGEST_MEAN_CELL = 3, 60


def find_kind(path: Path, *, name: str, declared_type: str) -> str:
    """pdf, docx, pptx, xlsx, picture, eml, html, csv, markdown or text. Raises Refused."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head.strip(b"\0 \t\r\n"):
        raise Refused(EMPTY)
    if head.lstrip().startswith(_PDF) or (_PDF in head[:1_024] and not _is_text(head)):
        return "pdf"  # some have something before it, but a text may speak of it
    if head.startswith(_ZIP):
        return _kind_of_archive(path)
    if head.startswith(_OLE):
        raise Refused(ENCRYPTED if _ENCRYPTED_OFFICE in path.read_bytes() else UNKNOWN)
    if sniff(head) in PICTURES:
        return "picture"
    if not _is_text(head):
        is_called_text = name.lower().endswith(TEXTS) or declared_type.startswith("text/")
        raise Refused(CONTROLS if is_called_text else UNKNOWN)
    return _kind_of_text(head, is_table=name.lower().endswith((".csv", ".tsv")) or "csv" in declared_type)


def _kind_of_archive(path: Path) -> str:
    """An office file whose parts stay within the bounds. Raises Refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise Refused(BROKEN)
    names = {part.filename for part in parts}
    kind = next((kind for main, kind in _MAIN_PARTS.items() if main in names), "")
    if not kind:
        is_document = bool(names & _OF_DOCUMENTS) or any(name.endswith(".iwa") for name in names)
        raise Refused(UNKNOWN if is_document else ARCHIVE)
    if any(part.flag_bits & 1 for part in parts):
        raise Refused(ENCRYPTED)
    if len(parts) > bounds.MOST_ENTRIES:
        raise Refused(ENTRIES)
    if sum(part.file_size for part in parts) > bounds.MOST_UNPACKED_BYTES:
        raise Refused(UNPACKED)
    return kind


def _is_text(head: bytes) -> bool:
    if head.startswith(_WIDE_MARKS):
        return True
    controls = sum(head.count(code) for code in range(32) if code not in b"\t\n\r\f\x1b")
    return controls * 200 <= len(head)


def _kind_of_text(head: bytes, *, is_table: bool) -> str:
    if head.startswith(b"{\\rtf"):
        raise Refused(UNKNOWN)
    if is_mail(head):
        return "eml"
    if sniff(head[:8_192]) == "text/html" or _looks_like_page(head):
        return "html"
    text = decode(head)
    if len(head) == _HEAD:
        text = text.rpartition("\n")[0] or text
    if _is_table(text, least_rows=1 if is_table else _LEAST_ROWS):
        return "csv"
    return "markdown" if _markdown.search(text) else "text"


def is_mail(head: bytes) -> bool:
    """Whether it begins with the header of a mail, up to its empty line or the end of what was read."""
    lines = re.split(rb"\r?\n", head.lstrip(b"\r\n"))
    if lines[0].startswith(b"From "):
        lines = lines[1:]
    names: set[bytes] = set()
    for line in lines[:400]:
        if not line:
            break
        if line[:1] in b" \t":
            continue
        if not _header_line.fullmatch(line):
            return False
        names.add(line.partition(b":")[0].lower())
    return b"from" in names and bool(names & {b"date", b"subject", b"message-id", b"received"})


def _looks_like_page(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and len(_tags.findall(head)) >= 3


def _is_table(text: str, *, least_rows: int) -> bool:
    delimiter = find_delimiter(text)
    lines = [line for line in text.splitlines() if line.strip()]
    if not delimiter or len(lines) < least_rows or lines[0].lstrip().startswith("|"):
        return False
    cells = text.count(delimiter) + len(lines)
    return least_rows == 1 or len(text) / cells <= _LONGEST_MEAN_CELL
