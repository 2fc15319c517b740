"""What a file is by its first bytes, whatever somebody declared. Says nothing of whether it is whole.

Covers: what people bring to a platform for texts and pictures. Does not cover: any other kind ("").
"""

import codecs
import re

HEAD_BYTES = 8_192
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SIGNATURES = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"{\\rtf", "application/rtf"),
    (b"\x7fELF", "application/x-executable"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (_OLE, "application/x-ole-storage"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_OFFICE = "application/vnd.openxmlformats-officedocument"
# names of the first entries of an archive say which kind of document it is
_IN_ZIP = (
    (b"word/", f"{_OFFICE}.wordprocessingml.document"),
    (b"xl/", f"{_OFFICE}.spreadsheetml.sheet"),
    (b"ppt/", f"{_OFFICE}.presentationml.presentation"),
)
_OF_ITSELF = re.compile(rb"mimetype(application/(?:epub\+zip|vnd\.oasis\.opendocument\.[a-z-]{1,40}))")
_HTML = re.compile(
    rb"\s*(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_MAIL = re.compile(
    rb"(?:(?:From|To|Subject|Date|Received|Return-Path|MIME-Version|Message-ID): .*\r?\n){2}", re.I
)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def sniff(head: bytes) -> str:
    """The media type, by at most HEAD_BYTES from the beginning."""
    if head.startswith(_ZIP):
        return _sniff_zip(head)
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return "video/mp4"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature) and (len(signature) > 2 or not _is_text(head)):
            return kind
    return _sniff_text(head) if _is_text(head) else ""


def _sniff_zip(head: bytes) -> str:
    if found := _OF_ITSELF.search(head[:200]):
        return found[1].decode()
    return next((kind for name, kind in _IN_ZIP if name in head), "application/zip")


def _sniff_text(head: bytes) -> str:
    if _HTML.match(head.removeprefix(codecs.BOM_UTF8)):
        return "text/html"
    if head.lstrip().startswith(b"<?xml"):
        return "image/svg+xml" if b"<svg" in head else "application/xml"
    if head.lstrip().startswith(b"<svg"):
        return "image/svg+xml"
    return "message/rfc822" if _MAIL.match(head) else "text/plain"


def _is_text(head: bytes) -> bool:
    """Whether it can be read as Unicode, up to a character that the end of the head cuts."""
    coding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    try:
        text = codecs.getincrementaldecoder(coding)().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and not any(one < " " and one not in "\t\n\r\f\x1b" for one in text)
