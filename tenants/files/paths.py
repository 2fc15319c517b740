"""Paths of pages that take files: rooms register theirs, beside the view that reads the form.

    upload_path(r"/knowledge/[^/]+/documents/", most_bytes=MOST_FILE_BYTES)

`config.intake` lets larger bodies in there, of people who are logged in; every other path keeps the limit of
all. `/v1` reads its files itself (`gateway.files`).
"""

import re
from dataclasses import dataclass

RIM_BYTES = 65_536  # of a form, around its file


@dataclass(frozen=True, slots=True)
class UploadPath:
    pattern: re.Pattern[str]
    most_bytes: int  # of a file; the plan may allow less


_registered: dict[str, UploadPath] = {}


def upload_path(pattern: str, *, most_bytes: int) -> None:
    """Whoever registers a pattern again changes its limit."""
    _registered[pattern] = UploadPath(re.compile(pattern), most_bytes)


def find_most_bytes(path: str) -> int | None:
    """How large a file may be that is sent to this path; None: none is taken there."""
    return next((one.most_bytes for one in _registered.values() if one.pattern.fullmatch(path)), None)
