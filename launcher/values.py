"""Values that come from a file or a pipe, as people and other systems write them: with a line end of any
kind, or a mark of their editor's.
"""

from pathlib import Path
from typing import IO

LINE_ENDS = ("\r\n", "\n", "\r")


def read_line(stream: IO[str]) -> str:
    """The stream's next line without its end; blanks stay, since a password may begin or end with one."""
    text = stream.readline()
    end = next((end for end in LINE_ENDS if text.endswith(end)), "")
    return text.removesuffix(end)


def read_value(path: Path) -> str:
    """What a file holds, without blanks, line ends and a byte order mark around it: no key or address of ours
    has any. Raises OSError, and ValueError where it is not text.
    """
    return path.read_text(encoding="utf-8-sig").strip()
