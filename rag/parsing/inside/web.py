"""Web pages: what a reader sees of them, without menus, scripts and forms."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag.parsing.inside.charset import decode
from rag.parsing.inside.draft import Draft
from rag.parsing.inside.nesting import check_depth
from rag.parsing.inside.words import join_ideographs, one_line

_UNREAD = "script, style, noscript, template, nav, iframe, object, svg, math, form button, select, [hidden]"
_charset = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE)
_white = re.compile(r"\s+")
_LEVELS = {f"h{level}": level for level in range(1, 7)}
_INLINE_NAMES = """
    a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark q rp rt ruby s samp
    small span strike strong sub sup time tt u var wbr
"""
_INLINE = frozenset(_INLINE_NAMES.split())
_WORD_END = frozenset({"img", "td", "th"})


def read_html(draft: Draft, data: bytes) -> None:
    found = _charset.search(data[:4_096])
    read_page(draft, decode(data, found[1].decode() if found else ""))


def read_page(draft: Draft, text: str) -> None:
    """Raises Refused."""
    check_depth(text)
    tree = LexborHTMLParser(text)
    title = tree.css_first("title")
    draft.title = draft.title or (one_line(title.text()) if title else "")
    for node in tree.css(_UNREAD):
        node.decompose()
    if tree.body is not None:
        _Walk(draft).read(tree.body)


class _Walk:
    """Goes through a page in its order: inline text gathers until a block begins or ends."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._gathered: list[str] = []
        self._mark = ""

    def read(self, root: LexborNode) -> None:
        for node, is_end in _visit(root):
            name = node.tag or ""
            if name == "-text":
                self._gathered.append(_white.sub(" ", node.text_content or ""))
            elif name == "br":
                self._gathered.append("\n")
            elif name in _WORD_END:
                self._gathered.append(" ")
            elif name not in _INLINE:
                self._flush(_LEVELS.get(name, 0) if is_end else 0)
                self._mark = "- " if name == "li" and not is_end else self._mark
                if not is_end and _is_whole(node):
                    self._take_whole(node)
        self._flush(0)

    def _take_whole(self, node: LexborNode) -> None:
        if node.tag == "table":
            for caption in node.css("caption"):
                self._draft.paragraph(one_line(caption.text()))
            self._draft.table(_rows(node))
        else:
            self._draft.paragraph(node.text())

    def _flush(self, level: int) -> None:
        lines = [one_line(line) for line in "".join(self._gathered).split("\n")]
        text = join_ideographs("\n".join(line for line in lines if line))
        self._gathered = []
        if not text:
            return
        if level:
            self._draft.heading(text, level)
        else:
            self._draft.paragraph(self._mark + text)
        self._mark = ""


def _visit(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every node, and those that are looked into once more at their end."""
    open_nodes: list[tuple[LexborNode, bool]] = [(root, False)]
    while open_nodes:
        node, is_end = open_nodes.pop()
        yield node, is_end
        if is_end or _is_whole(node):
            continue
        if node.first_child is not None:
            open_nodes.append((node, True))
            child = node.last_child
            while child is not None:
                open_nodes.append((child, False))
                child = child.prev


def _is_whole(node: LexborNode) -> bool:
    return node.tag == "pre" or (node.tag == "table" and _is_data(node))


def _is_data(table: LexborNode) -> bool:
    """Whether it is a table, and not a page's scaffolding."""
    if len(table.css("table")) > 1:  # itself is one of them
        return False
    rows = table.css("tr")
    return table.css_first("th") is not None or (
        len(rows) > 1 and all(len(row.css("td")) > 1 for row in rows[:3])
    )


def _rows(table: LexborNode) -> list[list[str]]:
    return [[one_line(cell.text(separator=" ")) for cell in row.css("td, th")] for row in table.css("tr")]
