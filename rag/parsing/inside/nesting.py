"""How deep a page or a mail is nested, counted before it is parsed: what a parser does for each tag, and for
each line of a mail, takes the longer the more stand open around it.

Does not cover: pages that a browser nests otherwise than they are written; for them there is a limit of what
a text of some length may cost (`rag.parsing.run`).
"""

import re

from foundation.jail.inside import Refused
from rag.parsing import bounds

NESTED = "document_nested"
_tag = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<(script|style)\b.*?(?:</\1|\Z)|<(/?)([a-z][^\s/>]*)",
    re.DOTALL | re.IGNORECASE,
)
_boundary = re.compile(
    rb"^--([^\r\n]+)|\bboundary[*0-9]*[ \t]*=[ \t]*\"?([^\"\r\n;]+)", re.MULTILINE | re.IGNORECASE
)
# they hold nothing, or end where the next of them begins
_EMPTY = "area base br col embed hr img input link meta param source track wbr"
_ENDED_BY_THE_NEXT = "html head body p li dt dd option tr td th tbody thead tfoot colgroup"
_UNCOUNTED = frozenset(f"{_EMPTY} {_ENDED_BY_THE_NEXT}".split())
# what stands open when its paragraph ends is opened anew in the next one
_REOPENED = frozenset("b big code em font i s small strike strong tt u".split())  # noqa: SIM905 - read as a line


def check_depth(page: str) -> None:
    """Raises Refused."""
    above: list[str] = []
    tables = reopened = 0
    for tag in _tag.finditer(page):
        name = (tag[3] or "").lower()
        if not name or name in _UNCOUNTED:
            continue
        if not tag[2]:
            above.append(name)
            tables += name == "table"
            reopened += name in _REOPENED
        elif name in above:
            at = len(above) - 1 - above[::-1].index(name)
            tables -= above[at:].count("table")
            del above[at:]
            reopened -= name in _REOPENED
        if max(len(above), reopened) > bounds.DEEPEST or tables > bounds.DEEPEST_TABLES:
            raise Refused(NESTED)


def check_parts(mail: bytes) -> None:
    """Raises Refused."""
    above: list[bytes] = []
    for found in _boundary.finditer(mail):
        if found[2] is not None:
            above.append(found[2].strip())
            if len(above) > bounds.DEEPEST_PARTS:
                raise Refused(NESTED)
            continue
        said = found[1].rstrip()
        for at, boundary in enumerate(above):
            if said in (boundary, boundary + b"--"):
                del above[at + (said == boundary) :]
                break
