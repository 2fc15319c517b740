"""S17: files of strangers. Whatever a file is called and whatever lies in it, its bytes lie in the tenant's
folder under names of ours, and it is sent as something to keep that no browser runs.

Archives that lead out of their folder: `tests/proof/test_s13_bombs.py`; links and special files in the jail:
`tests/foundation/test_jail.py`; ranges: `tests/rag/test_faces.py`.
"""

import random
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.core.files.storage import default_storage
from django.urls import reverse

from rag.models import Document
from rag.services import create_collection
from tests.estate import make_people
from tests.rag.works import bring

pytestmark = pytest.mark.django_db
MARK = "s17mark"
PIECES = (
    *("..", "/", "\\", "../", "..\\", "%2e%2e%2f", "\0", "\r\n", "\r\nSet-Cookie: a=b", '"', ";", "'", "C:"),
    *(
        "\u202e",
        "\u2066",
        "\u200f",
        "\x7f",
        "\x1b[31m",
        ".",
        " ",
        "~",
        "$(id)",
        "`id`",
        "|",
        "<svg onload=a>",
    ),
    *("字", "ü", "👩", "/etc/passwd", "/proc/self/environ", "NUL", "CON.txt", "::$DATA", "a" * 200),
)
ENDINGS = ("", ".txt", ".html", ".svg", ".pdf", ".xhtml", ".js", ".pdf.exe", ".htaccess")
CONTENTS = (
    b"<!DOCTYPE html><script>alert(1)</script>",
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    b"%PDF-1.7\n<html><script>alert(1)</script>",
    b"GIF89a/*<svg/onload=alert(1)>*/=1;",
    b"PK\x03\x04<script>alert(1)</script>",
    b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
)


def list_names(count: int) -> list[str]:
    draw = random.Random(17)
    return [
        f"{''.join(draw.choices(PIECES, k=3))}{MARK}{number}{draw.choice(PIECES)}{draw.choice(ENDINGS)}"
        for number in range(count)
    ]


def list_faults(client, count: int) -> list[str]:
    """What is wrong with these files, as they are kept and sent."""
    client.login_as(make_people("acme")["owner"])
    collection = create_collection(actor=None, name="Of strangers")
    faults = []
    for number, name in enumerate(list_names(count)):
        content = CONTENTS[number % len(CONTENTS)] + b"%d" % number
        file = bring(content, name)
        row = Document.objects.create(
            collection=collection, title="x", content_hash=file.sha256, file=file, source="upload"
        )
        answer = client.get(reverse("rag:document-file", urlconf="config.urls_tenant", args=[row.pk]))
        faults += [f"{fault}: {name!r}" for fault in _faults_of(answer)]
    base = Path(default_storage.path("files")).parent.parent
    return faults + [f"kept as {path}" for path in base.rglob(f"*{MARK}*")]


def _faults_of(answer) -> list[str]:
    told = answer.headers.get("Content-Disposition", "")
    shown = unquote(told.partition("filename*=UTF-8''")[2])
    safe = {
        "an error": answer.status_code == 200,
        "shown": told.startswith("attachment; "),
        "a line of its own": told.isascii() and told.isprintable(),
        "a path": not set(shown) & set("/\\"),
        "hidden letters": not any(letter < " " or letter in "\x7f\u202e\u2066\u200f" for letter in shown),
        "a type that runs": answer.headers.get("Content-Type") == "application/octet-stream",
        "guessed": answer.headers.get("X-Content-Type-Options") == "nosniff",
        "no sandbox": "sandbox" in answer.headers.get("Content-Security-Policy", ""),
    }
    return [fault for fault, is_safe in safe.items() if not is_safe]


def test_files_of_strangers_stay_in_their_place_and_are_downloads(acme):
    assert list_faults(acme, 200) == []


def test_planted_bug_names_that_are_believed_are_found_out(acme, monkeypatch):
    monkeypatch.setattr("tenants.files.services.clean_name", lambda name: name.replace("\0", "")[:200])
    assert any("a path" in fault for fault in list_faults(acme, 20))


def test_planted_bug_files_that_are_shown_are_found_out(acme, monkeypatch):
    monkeypatch.setattr("rag.original.as_attachment", lambda name: "inline")
    assert any("shown" in fault for fault in list_faults(acme, 1))
