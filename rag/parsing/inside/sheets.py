"""Excel."""

import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

from openpyxl import load_workbook

from foundation.jail.inside import Refused
from rag.parsing.inside.draft import Draft
from rag.parsing.inside.tables import add_table
from rag.parsing.inside.words import one_line

FORMULAS = "document_formulas"
# a formula without what it came to; of one that came to an empty text, t="str" says so
_uncalculated = re.compile(
    rb"""<(?:\w+:)?c\b(?![^<>]{0,300}\bt="str")[^<>]{0,300}>\s*"""
    rb"""<(?:\w+:)?f\b[^<>]{0,300}(?:/>|>[^<]{0,9000}</(?:\w+:)?f>)\s*"""
    rb"""(?:<(?:\w+:)?v\s*(?:/>|>\s*</)|</(?:\w+:)?c>)"""
)
_AS_DIGITS = 1e21  # numbers of articles and accounts are read digit by digit
_PIECE, _LONGEST_FORMULA = 1_000_000, 10_000  # bytes


def read_xlsx(draft: Draft, path: Path) -> None:
    """The sheets that people see, with the values that formulas had when it was last saved."""
    with path.open("rb") as file:  # of a path it would look at the name
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        draft.title = book.properties.title or ""
        draft.say("author", book.properties.creator)
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                draft.note("hidden_sheets")
                continue
            sheet.reset_dimensions()  # what it says of itself need not be true
            add_table(draft, enumerate(_values(sheet.iter_rows(values_only=True)), 1), title=sheet.title)
    if _lacks_results(path):
        draft.note("formulas_without_results")
        if draft.is_empty:
            raise Refused(FORMULAS)


def _lacks_results(path: Path) -> bool:
    """Whether a program wrote formulas and never calculated them."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                with archive.open(name) as part:
                    before = b""
                    while piece := part.read(_PIECE):
                        if _uncalculated.search(before + piece):
                            return True
                        before = piece[-_LONGEST_FORMULA:]
    return False


def _values(rows: Iterable[tuple[object, ...]]) -> Iterator[list[str]]:
    for row in rows:
        cells = [show(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        yield cells


def show(value: object) -> str:
    """A cell as its reader would write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "minutes")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < _AS_DIGITS else f"{value:.15g}"
    return one_line(str(value))
