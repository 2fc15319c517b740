"""Excel."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from pathlib import Path

from openpyxl import load_workbook

from rag.parsing.inside.draft import Draft
from rag.parsing.inside.tables import add_table
from rag.parsing.inside.words import one_line


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
            draft.begin_again()
            draft.heading(sheet.title, 1)
            add_table(draft, enumerate(_values(sheet.iter_rows(values_only=True)), 1))


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
    if isinstance(value, float):
        return f"{value:.12g}"
    return one_line(str(value))
