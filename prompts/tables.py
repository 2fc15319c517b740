r"""Tables in Markdown: the library's rule, within the message's budget, and with `|` in formulas: `$|x|$`,
`\(P(A|B)\)`.

GFM ends a cell at each `|` that no backslash stands before, in code and formulas too, and drops what a row
has too much. So only where a row has more cells than the table has columns are those in its formulas taken
for what they are; a row that fits stays as GFM reads it (`| $a | $b |`). `\|` is a bar, as in all cells.
"""

import re
from collections.abc import Iterator

from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_block.table import escapedSplit

from prompts.formulas import find_formula
from prompts.render_budget import TOKENS_OF_CELL

BAR, HIDDEN = "|", "\0"  # a character that the parser has taken out of every text
# What may open a formula, and what may hide one: code, and anything behind a backslash.
_OPENING = re.compile(r"`+[^`]*`+|\\(?:begin\{|[(\[])|\$|\\.")
_RULE = re.compile(r"[ \t|:-]++")


def read_table(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    """The library's rule, as far as the message's budget for tables goes; further ones stay text. Rows are
    filled up to the width of the head, so a table is measured before it is made.
    """
    if start + 1 >= last or state.env["budget"].tables <= 0 or not _RULE.fullmatch(_line(state, start + 1)):
        return False
    source, before = state.src, len(state.tokens)
    state.src = _hide_bars(state, start, last if not silent else start + 1)
    try:
        return _read(state, start, last, silent)
    finally:
        state.src = source
        for token in state.tokens[before:]:
            token.content = token.content.replace(HIDDEN, BAR)


def _read(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    budget = state.env["budget"]
    if not table(state, start, last, True):
        return False
    if TOKENS_OF_CELL * _count_cells(state, start, last) > budget.tables:
        budget.tables = 0  # else its lines would be counted again from each that looks like a head
        return False
    if silent:
        return True
    before = len(state.tokens)
    table(state, start, last, False)
    budget.tables -= len(state.tokens) - before
    return True


def _count_cells(state: StateBlock, start: int, last: int) -> int:
    """The most cells that a table which starts here can have: the columns of its head by its lines."""
    columns = state.src.count(BAR, state.bMarks[start], state.eMarks[start]) + 1
    return columns * sum(1 for _line in _lines(state, start, last))


def _lines(state: StateBlock, start: int, last: int) -> Iterator[int]:
    """Those from one on, up to the next empty one."""
    for number in range(start, last):
        if state.isEmpty(number):
            return
        yield number


def _hide_bars(state: StateBlock, start: int, last: int) -> str:
    """The whole text, as long as before, without the bars that stand in formulas of these lines."""
    columns = len(_line(state, start + 1).strip().strip(BAR).split(BAR))
    places = [
        state.bMarks[number] + state.tShift[number] + place
        for number in _lines(state, start, last)
        for place in _bars_in_formulas(_line(state, number), columns)
    ]
    parts, end = [], 0
    for place in places:
        parts += [state.src[end:place], HIDDEN]
        end = place + 1
    return "".join([*parts, state.src[end:]])


def _bars_in_formulas(row: str, columns: int) -> Iterator[int]:
    """Where they stand; none where the row has no more cells than there are columns."""
    if row.count(BAR) < columns or _count_row(row) <= columns:
        return
    at = 0
    while opening := _OPENING.search(row, at):
        at = opening.end()
        found = find_formula(row, opening.start()) if opening[0][0] != "`" else None
        if found is not None:
            at = found[1]
            yield from (place for place in range(opening.start(), at) if row[place] == BAR)


def _count_row(row: str) -> int:
    """Its cells, as the library splits it."""
    cells = escapedSplit(row.strip())
    return len(cells) - (cells[0] == "") - (len(cells) > 1 and cells[-1] == "")


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
