"""Texts as they are kept: without what only a page's look needs."""

import re
import unicodedata

_SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f"
_UNSEEN = "\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff\ufffe"
_CONTROLS = [chr(code) for code in [*range(32), *range(0x7F, 0xA0)] if chr(code) not in "\t\n"]
# ligatures, radicals and doubles of ideographs are other characters to a search; other forms carry meaning
_FORMS = [*range(0xFB00, 0xFB07), *range(0x2E80, 0x2FE0), *range(0xF900, 0xFB00)]
_TABLE = str.maketrans(
    {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in _FORMS}
    | dict.fromkeys(_SPACES, " ")
    | dict.fromkeys([*_UNSEEN, *_CONTROLS], "")
)
_CJK = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_between_ideographs = re.compile(f"(?<=[{_CJK}])\\s+(?=[{_CJK}])")
_blank_lines = re.compile(r"\n{3,}")


def clean(text: str) -> str:
    """The same text in composed characters, with line ends of one kind."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_TABLE)
    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def keep_lines(text: str) -> str:
    """Its lines as they are, at most one empty one between two."""
    lines = "\n".join(line.rstrip() for line in clean(text).split("\n"))
    return _blank_lines.sub("\n\n", lines).strip("\n")


def join_ideographs(text: str) -> str:
    """Without the spaces that a line's end leaves in Chinese."""
    return text if text.isascii() else _between_ideographs.sub("", text)
