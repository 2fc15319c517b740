"""Plain text."""

import re

from rag.parsing.inside.charset import decode
from rag.parsing.inside.draft import Draft

_empty_line = re.compile(r"\n[ \t\f]*\n\s*")


def read_text(draft: Draft, data: bytes) -> None:
    for paragraph in _empty_line.split(
        decode(data).replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    ):
        draft.paragraph(paragraph.strip("\n"))
