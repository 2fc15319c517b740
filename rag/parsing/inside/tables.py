"""Rows under a header, and CSV: thirty rows a block, with the header and the place they come from."""

import csv
import io
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from foundation.jail.inside import Refused
from rag.parsing import bounds
from rag.parsing.inside.charset import decode
from rag.parsing.inside.draft import Draft

CELLS_TOO_MANY = "document_cells"
DELIMITERS = ";,\t|"
_SAMPLE_ROWS = 50
_LONGEST_CELL = 2_000_000
_said_delimiter = re.compile(
    r"sep=([;,\t|])\r?\n", re.IGNORECASE
)  # Excel's first line, which it does not show


def read_csv(draft: Draft, data: bytes) -> None:
    text = decode(data)
    delimiter = find_delimiter(text) or ","
    text = _said_delimiter.sub("", text, count=1) if _said_delimiter.match(text) else text
    csv.field_size_limit(_LONGEST_CELL)
    add_table(draft, enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 1))


def find_delimiter(text: str) -> str:
    """What stands between the cells of its first rows, in each row as often; "" where it is no table. What
    parts the first row as the others goes before what does not: commas of numbers stand below a header only.
    """
    if said := _said_delimiter.match(text):
        return said[1]
    lines = text[:200_000].splitlines(keepends=True)[: _SAMPLE_ROWS * 4]
    found = {}
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in islice(csv.reader(lines, delimiter=delimiter), _SAMPLE_ROWS) if row]
        except csv.Error:
            continue
        widths = [len(row) for row in rows]
        usual = max(set(widths), key=widths.count, default=0)
        if usual > 1 and widths.count(usual) >= 0.9 * len(widths):
            found[delimiter] = (widths[0] == usual, usual)
    return max(found, key=lambda delimiter: found[delimiter], default="")


def add_table(draft: Draft, rows: Iterable[tuple[int, list[str]]], *, title: str = "") -> None:
    """Numbered rows; the first that holds something is the header. `title`: of a sheet, where it holds
    something. Raises Refused.
    """
    filled = ((number, row) for number, row in _count_cells(rows) if any(cell.strip() for cell in row))
    first = next(filled, None)
    if first is None:
        return
    if title:
        draft.begin_again()
        draft.heading(title, 1)
    begin, header = first
    body: Iterable[tuple[int, list[str]]] = islice(filled, bounds.ROWS_OF_A_TABLE - 1)
    while group := list(body):
        numbers = [number for number, _row in group]
        width = max(len(header), *(len(row) for _number, row in group))
        cells = _name_cells(begin, numbers[-1], width)
        draft.table(_without_empty_columns([header, *(row for _number, row in group)]), below=[cells])
        following = next(filled, None)
        if following is None:
            return
        begin = following[0]
        body = chain([following], islice(filled, bounds.ROWS_OF_A_TABLE - 2))
    draft.table([header], below=[_name_cells(begin, begin, len(header))])


def _count_cells(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """An empty row counts four cells: it takes its time, too."""
    count = 0
    for number, row in rows:
        count += len(row) or 4
        if count > bounds.MOST_CELLS or len(row) > bounds.MOST_COLUMNS:
            raise Refused(CELLS_TOO_MANY)
        yield number, row


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    """Also without what is empty to the right of a row's last cell."""
    filled = sorted({place for row in rows for place, cell in enumerate(row) if cell.strip()})
    return [[row[place] for place in filled[: bisect_left(filled, len(row))]] for row in rows]


def _name_cells(first: int, last: int, width: int) -> str:
    """`A1:F30`, as spreadsheets say it."""
    column = ""
    while width:
        width, letter = divmod(width - 1, 26)
        column = chr(ord("A") + letter) + column
    return f"A{first}:{column}{last}"
