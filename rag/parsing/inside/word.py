"""Word: headings by their styles, lists, tables, text boxes, footnotes; what was deleted is left out. It
knows no pages: those are made by whoever shows it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE as LINK
from docx.opc.part import PartFactory
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from docx.package import Package
from docx.parts.document import DocumentPart
from lxml.etree import _Element

from foundation.jail.inside import Refused
from rag.parsing.inside.draft import Draft
from rag.parsing.inside.words import one_line

# with macros, which nobody runs here, and templates
_OTHERS = (
    "vnd.ms-word.document.macroEnabled.main",
    "vnd.ms-word.template.macroEnabledTemplate.main",
    "vnd.openxmlformats-officedocument.wordprocessingml.template.main",
)
PartFactory.part_type_for |= {f"application/{name}+xml": DocumentPart for name in _OTHERS}

_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_TEXTS, _SPECIAL = (
    {qn("w:t"), qn("m:t")},  # the second in formulas
    {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"},
)
_BOX, _TWIN = qn("w:txbxContent"), "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_AROUND = {qn(f"w:{name}") for name in ("sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo")}
_LEFT_OUT = {qn("w:moveFrom"), qn("w:del"), _TWIN}
_heading = re.compile(r"heading (\d)", re.IGNORECASE)
_TITLES, _SUBTITLES = ("title",), ("subtitle",)
_BODY_LEVEL = 9  # an outline level that says: none


def read_docx(draft: Draft, path: Path) -> None:
    part = Package.open(str(path)).main_document_part
    if not isinstance(part, DocumentPart):
        raise Refused("document_type")
    document = part.document
    about = document.core_properties
    draft.title = about.title or ""
    draft.say("author", about.author)
    levels = _levels(document)
    _Body(draft, levels).read(document.element.body)
    draft.begin_again()
    for link in (LINK.FOOTNOTES, LINK.ENDNOTES):
        for related in part.rels.values():
            if related.reltype == link and not related.is_external:
                _read_notes(draft, related.target_part.blob)


def _levels(document: Document) -> dict[str, int]:
    """Style → level of a heading."""
    found: dict[str, int] = {}
    for style in document.styles.element.style_lst:
        name = (style.name_val or "").lower()
        outline = style.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
        if match := _heading.fullmatch(name):
            found[style.styleId] = int(match[1]) + 1
        elif name in _TITLES:
            found[style.styleId] = 1
        elif name in _SUBTITLES:
            found[style.styleId] = 2
        elif outline is not None and int(outline.get(qn("w:val"), _BODY_LEVEL)) < _BODY_LEVEL:
            found[style.styleId] = int(outline.get(qn("w:val"))) + 2
        elif style.basedOn_val in found:
            found[style.styleId] = found[style.basedOn_val]
    return found


class _Body:
    """Goes through paragraphs and tables in their order; items of a list become one paragraph."""

    def __init__(self, draft: Draft, levels: dict[str, int]) -> None:
        self._draft = draft
        self._levels = levels
        self._items: list[str] = []

    def read(self, body: _Element) -> None:
        for element in _parts(body, _PARAGRAPH, _TABLE):
            if element.tag == _TABLE:
                self._end_list()
                self._draft.table(_rows(element))
            else:
                self._take(element)
        self._end_list()

    def _take(self, paragraph: _Element) -> None:
        text = _text(paragraph)
        style = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
        name = style.get(qn("w:val"), "") if style is not None else ""
        level = self._levels.get(name, 0)
        is_item = not level and paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None
        if is_item or (not level and name.lower().startswith("list")):
            if text.strip():
                self._items.append(f"- {one_line(text)}")
        elif text.strip():
            self._end_list()
            if level:
                self._draft.heading(text, level)
            else:
                self._draft.paragraph(text)
        for box in _boxes(paragraph):
            self.read(box)

    def _end_list(self) -> None:
        self._draft.paragraph("\n".join(self._items))
        self._items = []


def _parts(whole: _Element, *tags: str) -> Iterator[_Element]:
    """What it consists of, those parts in content controls and in what was inserted too."""
    waiting = list(reversed(whole))
    while waiting:
        element = waiting.pop()
        if element.tag in tags:
            yield element
        elif element.tag in _AROUND:
            waiting += reversed(element)


def _inner(element: _Element) -> Iterator[_Element]:
    """What stands in it, in order, without text boxes and what was deleted; a box itself is given."""
    waiting = list(reversed(element))
    while waiting:
        inner = waiting.pop()
        if inner.tag in _LEFT_OUT:
            continue
        yield inner
        if inner.tag != _BOX:
            waiting += reversed(inner)


def _text(paragraph: _Element) -> str:
    return "".join(
        inner.text or "" if inner.tag in _TEXTS else _SPECIAL.get(inner.tag, "")
        for inner in _inner(paragraph)
    )


def _boxes(paragraph: _Element) -> list[_Element]:
    return [inner for inner in _inner(paragraph) if inner.tag == _BOX]


def _rows(table: _Element) -> list[list[str]]:
    return [
        [" ".join(_text(part) for part in cell.iter(_PARAGRAPH)) for cell in _parts(row, _CELL)]
        for row in _parts(table, _ROW)
    ]


def _read_notes(draft: Draft, content: bytes) -> None:
    for note in parse_xml(content):
        if note.get(qn("w:type"), "normal") != "normal":
            continue
        text = " ".join(_text(part) for part in note.iter(_PARAGRAPH)).strip()
        if text:
            draft.paragraph(f"[{note.get(qn('w:id'), '')}] {text}")
