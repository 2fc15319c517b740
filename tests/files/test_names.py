"""Names, types, and how a file is sent: pure functions, no database."""

import io
import zipfile
from email.message import Message
from urllib.parse import unquote

import pytest

from tenants.files.names import as_attachment, clean_name, clean_title, clean_type
from tenants.files.sniffing import sniff

pytestmark = pytest.mark.scope(None)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\a\\Größe.xlsx", "Größe.xlsx"),
        ("folder/", "folder"),
        ("a\0b\r\nSet-Cookie: x.txt", "abSet-Cookie: x.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u200f\u2066name\u2069.txt", "name.txt"),
        ("报告 2026.docx", "报告 2026.docx"),
        ("👩\u200d🔬.png", "👩\u200d🔬.png"),
        ("Gro\u0308ße", "Größe"),
        ("half \ud83d of.txt", "half  of.txt"),
        ("..", "file"),
        ("  . ", "file"),
        ("", "file"),
        ("/", "file"),
    ],
)
def test_names_are_kept_without_what_is_no_letter(raw, name):
    assert clean_name(raw) == name


def test_titles_stand_in_one_line_and_read_as_they_are_written():
    assert clean_title(" The\r\nCrew\0\u2028of \u202e2026\u2066 👩\u200d🔬 ") == "The Crew of 2026 👩\u200d🔬"


@pytest.mark.parametrize("letter", ["a", "ü", "字", "👩"])
def test_long_names_are_cut_and_keep_their_extension(letter):
    name = clean_name(letter * 300 + ".tar.gz")
    assert name.endswith(".gz") and 250 <= len(name.encode()) <= 255 and name[0] == letter
    assert len(clean_name(letter * 300).encode()) <= 255
    assert len(clean_name("a." + letter * 300).encode()) <= 255


@pytest.mark.parametrize(
    "name", ["a.txt", 'quo"te;\\.txt', "报告.pdf", "a%20b.txt", "x'y.txt", "new\x7fline.txt", "a;filename=b"]
)
def test_a_file_is_sent_under_its_name_as_something_to_keep(name):
    value = as_attachment(name)
    assert value.isascii() and value.isprintable() and value.startswith("attachment; ")
    assert unquote(value.partition("filename*=UTF-8''")[2]) == name
    message = Message()
    message["Content-Disposition"] = value.partition("; filename*")[0]
    plain = message.get_filename()
    assert len(plain) == len(name) and "/" not in plain and message.get_content_disposition() == "attachment"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("Application/PDF; charset=x", "application/pdf"),
        ("", ""),
        ("nothing", ""),
        ("a/b/c", ""),
        ("text/plain\r\nx: y", ""),
        ("tèxt/plain", ""),
        ("a/" + "x" * 200, ""),
    ],
)
def test_declared_types_are_kept_where_they_are_some(raw, kind):
    assert clean_type(raw) == kind


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


OFFICE = "application/vnd.openxmlformats-officedocument"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (zipped("[Content_Types].xml", "word/document.xml"), f"{OFFICE}.wordprocessingml.document"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}.spreadsheetml.sheet"),
        (zipped("[Content_Types].xml", "ppt/slides/a.xml"), f"{OFFICE}.presentationml.presentation"),
        (zipped("a.txt"), "application/zip"),
        (b"<!-- x -->\n<!DOCTYPE html><p>", "text/html"),
        (b"\xef\xbb\xbf<HTML>", "text/html"),
        (b"<svg xmlns=", "image/svg+xml"),
        (b"<?xml version='1.0'?><a/>", "application/xml"),
        (b"From: a@b.example\r\nSubject: Hi\r\n\r\nHello", "message/rfc822"),
        (b"BMW builds cars.", "text/plain"),
        (b"MZ is text too", "text/plain"),
        (b"MZ\x90\0\x03", "application/vnd.microsoft.portable-executable"),
        ("Grüße, 你好".encode(), "text/plain"),
        ("Grüße, 你好".encode()[:-1], "text/plain"),
        ("x,y\n".encode("utf-16"), "text/plain"),
        (b"\x01\x02\x03", ""),
        (b"", ""),
        ("Größe".encode("latin-1"), ""),
    ],
)
def test_types_are_known_by_content(head, kind):
    assert sniff(head) == kind
