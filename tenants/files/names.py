"""Names of files as they may be kept, shown and sent.

Guards against: parts of paths, NUL and other control characters, marks that turn the reading direction (a
name that reads “gpj.exe” backwards), lengths that file systems refuse, headers that a name could split.
"""

import unicodedata
from urllib.parse import quote

from tenants.files.models import MAX_NAME_BYTES

UNNAMED = "file"
_JOINERS = "\u200c\u200d"  # within words of some scripts, and emojis
_LEFT_OUT = {"Cc", "Cf", "Cs", "Zl", "Zp"}
MAX_EXTENSION_BYTES = 32
MAX_TYPE = 120


def clean_name(raw: str) -> str:
    """The last part of what somebody called a file, without what is no letter; cut to MAX_NAME_BYTES of
    UTF-8, its extension kept.
    """
    last = raw.replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = "".join(one for one in last if one in _JOINERS or unicodedata.category(one) not in _LEFT_OUT)
    name = unicodedata.normalize("NFC", kept).strip(" .") if kept.strip(" .") else ""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name or UNNAMED
    stem, dot, extension = name.rpartition(".")
    ending = (dot + extension).encode()
    if not stem or len(ending) > MAX_EXTENSION_BYTES:
        stem, ending = name, b""
    return (_cut(stem, MAX_NAME_BYTES - len(ending)) + ending.decode()).strip(" .") or UNNAMED


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore").rstrip()


def clean_title(raw: str) -> str:
    """A title or a path in one line, without what is no letter."""
    spaced = "".join(" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in raw)
    kept = (one for one in spaced if one in _JOINERS or unicodedata.category(one) not in _LEFT_OUT)
    return " ".join("".join(kept).split())


def clean_type(raw: str) -> str:
    """A declared media type without parameters; "" for what is none."""
    kind = raw.partition(";")[0].strip().lower()
    is_one = kind.isascii() and kind.isprintable() and " " not in kind and kind.count("/") == 1
    return kind if is_one and len(kind) <= MAX_TYPE else ""


def as_attachment(name: str) -> str:
    """The value of `Content-Disposition` by which browsers keep a file under its name and never show it
    (RFC 6266, 4.3, with a name in ASCII for older readers).
    """
    plain = "".join(
        one if one.isascii() and one.isprintable() and one not in '"\\%;' else "_" for one in name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
