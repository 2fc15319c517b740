"""Documents are read by what they are, whatever their names say; what cannot be read says why."""

import pytest

from foundation.errors import InvalidInput
from rag.parsing.run import parse

PAGE = """<!doctype html><html><head><title>Urlaub</title><style>p {}</style></head><body>
<nav>Menü</nav><h1>Urlaub</h1><p>Wer <b>verreist</b>,<br>sagt es.</p><script>alert(1)</script>
<table><tr><th>Jahr</th><th>Tage</th></tr><tr><td>2025</td><td>30</td></tr></table></body></html>"""
MARKDOWN = """# Handbook

Ask *Ann* or [Bob](https://example.org).

## Rules

- one
- two

| day | hours |
|---|---|
| Mon | 8 |
"""


def tell(content: bytes, name: str = "file") -> list[tuple]:
    parsed = parse(content, name=name)
    text = "\n\n".join(block.text for block in parsed.blocks)
    assert all(text[block.char_from : block.char_to] == block.text for block in parsed.blocks)
    return [(block.kind, block.text, block.headings) for block in parsed.blocks]


def reason(content: bytes, name: str = "file") -> str:
    with pytest.raises(InvalidInput) as caught:
        parse(content, name=name)
    assert str(caught.value.message).endswith(".")
    return caught.value.code


def test_a_page_is_read_without_what_nobody_sees():
    assert tell(PAGE.encode("cp1252"), "page.pdf") == [
        ("heading", "Urlaub", ()),
        ("paragraph", "Wer verreist,\nsagt es.", ("Urlaub",)),
        ("table", "Jahr | Tage\n2025 | 30", ("Urlaub",)),
    ]


def test_markdown_is_read_without_its_marks():
    assert tell(MARKDOWN.encode()) == [
        ("heading", "Handbook", ()),
        ("paragraph", "Ask Ann or Bob.", ("Handbook",)),
        ("heading", "Rules", ("Handbook",)),
        ("paragraph", "- one\n- two", ("Handbook", "Rules")),
        ("table", "day | hours\nMon | 8", ("Handbook", "Rules")),
    ]


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_chinese_table_is_read_in_each_charset(charset):
    table = "姓名,城市,备注\n张三,北京,新员工\n李四,上海,请假\n王五,广州,出差\n"
    assert tell(table.encode(charset)) == [
        (
            "table",
            "姓名 | 城市 | 备注\n张三 | 北京 | 新员工\n李四 | 上海 | 请假\n王五 | 广州 | 出差",
            ("A1:C4",),
        )
    ]


def test_a_long_table_is_told_in_pieces_with_their_header_and_place():
    rows = "".join(f"Müller {number};{number}\r\n" for number in range(2, 102))
    blocks = tell(f"Größe;Nr\r\n{rows}".encode("cp1252"))
    assert [headings for _kind, _text, headings in blocks] == [
        ("A1:B30",),
        ("A31:B59",),
        ("A60:B88",),
        ("A89:B101",),
    ]
    assert all(text.startswith("Größe | Nr\nMüller ") for _kind, text, _headings in blocks)
    assert blocks[1][1].splitlines()[1] == "Müller 31 | 31"


def test_plain_text_has_its_paragraphs():
    assert tell("Größe ist\nnicht alles.\r\n\r\n\r\nDer ﬁnale Absatz, ohne mehr.".encode()) == [
        ("paragraph", "Größe ist\nnicht alles.", ()),
        ("paragraph", "Der finale Absatz, ohne mehr.", ()),
    ]


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
    ],
)
def test_what_cannot_be_read_says_why(content, code):
    assert reason(content, "letter.docx") == code
