"""PDF: the text of each page in its order, with its places. Pages that are pictures are named."""

import ctypes
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from pathlib import Path
from statistics import median

import pypdfium2
import pypdfium2.raw as pdfium

from foundation.jail.inside import Refused
from foundation.texts import mend_text
from rag.parsing import bounds
from rag.parsing.inside.draft import TOO_LARGE, Box, Draft
from rag.parsing.inside.layout import Piece, Row, arrange, surround
from rag.parsing.inside.paragraphs import Paragraph, gather
from rag.parsing.inside.words import clean

ENCRYPTED, BROKEN = "document_encrypted", "document_broken"
# U+0002 and U+FFFE are pdfium's marks of a hyphen at a line's end
_HYPHENS = {0x02: "-", 0xFFFE: "-"}
_line = re.compile("[^\\0\r\n\x02\ufffe]+[\x02\ufffe]?")
_word = re.compile(r"\S+")
_leader = re.compile(r"\s?(?:\. ?){5,}")  # to the page in a table of contents
_WIDE_GAP = 1.2  # between words, in heights of their letters
_WIDEST_SPACE = 3.0  # in a line that is stretched to its column's width
_BOLD = 600
_PICTURE_SHARE = 0.6  # of the page
_FEW_LETTERS = 60
_EDGE = 0.14  # of the page's height, in which running heads stand
_number = re.compile(r"\d+")
_hyphened = re.compile(r"\w+-\w+")
_LARGER = 1.15
_LONGEST_HEADING, _MOST_HEADING_ROWS, _MOST_LEVELS = 200, 3, 4
# by how far the page is shown turned to the right, in degrees: what makes its places those that people see
_TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
_UNWRITTEN = (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP)


@dataclass(slots=True)
class _Page:
    """As it is shown: turned, where it says so."""

    number: int
    turned: int  # degrees
    height: float
    bottom: float
    columns: list[list[Row]]


def read_pdf(draft: Draft, path: Path) -> None:
    document = open_pdf(path)
    draft.page_count = len(document)
    about = document.get_metadata_dict(skip_empty=True)
    draft.title = about.get("Title", "")
    draft.say("author", about.get("Author"))
    pages = [_read_page(draft, document, number) for number in range(1, len(document) + 1)]
    running = _running_heads(pages)
    for page in pages:
        page.columns = [[row for row in rows if not _is_running(page, row, running)] for rows in page.columns]
    _fill(draft, pages)


def open_pdf(path: Path) -> pypdfium2.PdfDocument:
    """Raises Refused."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as exc:
        raise Refused(ENCRYPTED if exc.err_code == pdfium.FPDF_ERR_PASSWORD else BROKEN)
    document.init_forms()
    if not 0 < len(document) <= bounds.MOST_PAGES:
        raise Refused(TOO_LARGE if len(document) else BROKEN)
    return document


def _read_page(draft: Draft, document: pypdfium2.PdfDocument, number: int) -> _Page:
    page = _with_notes(document, number)
    try:
        turned = page.get_rotation()
        left, bottom, right, top = _turn(page.get_bbox(), turned)
        text = page.get_textpage()
        try:
            pieces = list(_pieces(text.raw, turned))
        finally:
            text.close()
        if _is_scanned(page, pieces, abs((right - left) * (top - bottom))):
            draft.scanned_pages.append(number)
            pieces = []
    finally:
        page.close()
    return _Page(number, turned, top - bottom, bottom, arrange(pieces))


def _with_notes(document: pypdfium2.PdfDocument, number: int) -> pypdfium2.PdfPage:
    """With what was filled into its form and written upon it."""
    page = document[number - 1]
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        note = pdfium.FPDFPage_GetAnnot(page, index)
        kind = pdfium.FPDFAnnot_GetSubtype(note)
        pdfium.FPDFPage_CloseAnnot(note)
        if kind not in _UNWRITTEN:
            pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
            page.close()
            return document[number - 1]
    return page


def _turn(box: Box, degrees: int) -> Box:
    if degrees not in _TURNS:
        return box
    a, b, c, d = _TURNS[degrees]
    left, bottom, right, top = box
    across = sorted((a * left + b * bottom, a * right + b * top))
    upright = sorted((c * left + d * bottom, c * right + d * top))
    return (across[0], upright[0], across[1], upright[1])


def _is_scanned(page: pypdfium2.PdfPage, pieces: list[Piece], area: float) -> bool:
    """Whether it is a picture of a text: pictures, or drawings without end, and hardly a letter that can be
    read. An empty page is not.
    """
    said = "".join(piece.text for piece in pieces)
    unread = sum(char == "\ufffd" or "\ue000" <= char <= "\uf8ff" for char in said)
    letters = len(said) - unread
    if letters >= _FEW_LETTERS:
        return unread > letters
    pictures, drawings = 0.0, 0
    for thing in page.get_objects(max_depth=3):
        if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = thing.get_bounds()
            pictures += abs((right - left) * (top - bottom))
        drawings += thing.type == pdfium.FPDF_PAGEOBJ_PATH
    if not letters:
        return pictures > 0.05 * area or drawings > 200 or unread > 0
    return pictures > _PICTURE_SHARE * area


def _pieces(text: object, turned: int) -> Iterator[Piece]:
    """What pdfium takes for lines, cut where a gap is too wide for a space."""
    units = _units(text)
    for line in _line.finditer(units):
        words = [word.span() for word in _word.finditer(units, line.start(), line.end())]
        if words:
            yield from _cut(text, units, words, turned)


def _units(text: object) -> str:
    """The page's text, a code unit of UTF-16 for each of pdfium's characters."""
    count = pdfium.FPDFText_CountChars(text)
    buffer = (ctypes.c_ushort * (count + 1))()
    if pdfium.FPDFText_GetText(text, 0, count, buffer) == count + 1:
        return "".join(map(chr, buffer[:count]))
    codes = (pdfium.FPDFText_GetUnicode(text, index) for index in range(count))
    return "".join(chr(code) if code < 0x10000 else "\ufffd" for code in codes)


def _cut(text: object, units: str, words: list[tuple[int, int]], turned: int) -> Iterator[Piece]:
    boxes = [_turn(_box_of(text, *word), turned) for word in words]
    gaps = [after[0] - before[2] for before, after in pairwise(boxes)]
    height = max(1.0, *(box[3] - box[1] for box in boxes))
    usual = median(gaps) if gaps else 0.0
    is_stretched = len(gaps) > 2 and usual <= _WIDEST_SPACE * height
    least = max(_WIDE_GAP * height, 1.8 * usual if is_stretched else 0.0)
    begin = 0
    for number, gap in enumerate([*gaps, None], 1):
        # what stands further left than what came before is another line, of which pdfium saw no end
        if gap is None or gap > least or gap < -2 * height:
            yield _piece(text, units, words[begin:number], surround(boxes[begin:number]))
            begin = number


def _box_of(text: object, begin: int, end: int) -> Box:
    first, last = pdfium.FS_RECTF(), pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text, begin, first)
    pdfium.FPDFText_GetLooseCharBox(text, end - 1, last)
    return (
        min(first.left, last.left),
        min(first.bottom, last.bottom),
        max(first.right, last.right),
        max(first.top, last.top),
    )


def _piece(text: object, units: str, words: list[tuple[int, int]], box: Box) -> Piece:
    said = " ".join(units[begin:end] for begin, end in words).translate(_HYPHENS)
    said = _leader.sub(" … ", clean(mend_text(said)))
    index = words[len(words) // 2][0]
    matrix = pdfium.FS_MATRIX()
    scale = 1.0
    if pdfium.FPDFText_GetMatrix(text, index, matrix):
        scale = hypot(matrix.c, matrix.d) or 1.0
    size = pdfium.FPDFText_GetFontSize(text, index) * scale
    return Piece(said, box, round(size * 2) / 2, _is_bold(text, index))


def _is_bold(text: object, index: int) -> bool:
    if pdfium.FPDFText_GetFontWeight(text, index) >= _BOLD:
        return True
    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    length = pdfium.FPDFText_GetFontInfo(text, index, name, len(name), flags)
    return 0 < length <= len(name) and b"bold" in name.value.lower()


def _is_at_edge(page: _Page, row: Row) -> bool:
    edge = _EDGE * page.height
    return row.box[1] > page.bottom + page.height - edge or row.box[3] < page.bottom + edge


def _running_heads(pages: list[_Page]) -> set[str]:
    """What stands at the edge of several pages, whatever its number."""
    seen = Counter(
        said
        for page in pages
        for said in {
            _number.sub("#", row.text) for rows in page.columns for row in rows if _is_at_edge(page, row)
        }
    )
    return {said for said, count in seen.items() if count >= max(3, 0.3 * len(pages))}


def _is_running(page: _Page, row: Row, running: set[str]) -> bool:
    return _is_at_edge(page, row) and _number.sub("#", row.text) in running


def _fill(draft: Draft, pages: list[_Page]) -> None:
    rows = [row for page in pages for column in page.columns for row in column]
    words = frozenset(word.lower() for row in rows for word in _hyphened.findall(row.text))
    usual = Counter[float]()
    for row in rows:
        usual[row.size] += len(row.text)
    body = usual.most_common(1)[0][0] if usual else 0.0
    larger = sorted({row.size for row in rows if row.size >= _LARGER * body}, reverse=True)
    bold = sum(len(row.text) for row in rows if row.is_bold)
    levels = {size: min(level, _MOST_LEVELS) for level, size in enumerate(larger, 1)}
    is_mostly_bold = bold > 0.5 * sum(usual.values())
    for page in pages:
        for column in page.columns:
            for paragraph in gather(column, words):
                level = _level(paragraph, body, levels, is_mostly_bold=is_mostly_bold)
                _add(draft, paragraph, level, page)


def _level(paragraph: Paragraph, body: float, levels: dict[float, int], *, is_mostly_bold: bool) -> int:
    """Of a heading; 0 of any other text."""
    is_short = len(paragraph.text) <= _LONGEST_HEADING and paragraph.row_count <= _MOST_HEADING_ROWS
    if paragraph.cells or not is_short or not any(char.isalpha() for char in paragraph.text):
        return 0
    if " … " in paragraph.text:
        return 0
    if paragraph.size in levels:
        return levels[paragraph.size]
    is_title = paragraph.is_bold and not is_mostly_bold and paragraph.size >= 0.95 * body
    return _MOST_LEVELS + 1 if is_title and paragraph.text[-1] not in ".,;:。，；：" else 0


def _add(draft: Draft, paragraph: Paragraph, level: int, page: _Page) -> None:
    box = _turn(paragraph.box, -page.turned % 360)
    if paragraph.cells:
        draft.table(paragraph.cells, page=page.number, box=box)
    elif level:
        draft.heading(paragraph.text, level, page=page.number, box=box)
    else:
        draft.paragraph(paragraph.text, page=page.number, box=box)
