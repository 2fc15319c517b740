"""What one message may make of itself when it is rendered: a short text must not become a long page or a long
calculation.

Covers: link references used again and again, cells that short rows of wide tables are filled up with, colours
of code, formulas, Markdown of any length. Does not cover: how many messages a page shows, and how often one
is rendered (`rendering` keeps what is finished).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pygments.lexer import Lexer

from prompts.mathml import make_mathml

MIN_EXPANSION = 100_000  # characters that references may put into any text, as in cmark
MAX_COLOURED = 20_000  # characters of code in one message that get colours
MAX_COLOURED_LINE = 500  # one step of a lexer takes time by the square of what is left of its line
MAX_COLOURING_S = 0.3  # CPU seconds for them: some of Pygments' lexers take quadratic time
MAX_TYPESET = 20_000  # characters of TeX in one message that are set; each becomes about thirty of MathML
MAX_TYPESETTING_S = 0.3  # CPU seconds for them
MAX_TABLES = 30_000  # tokens of tables; three to four for each cell
TOKENS_OF_CELL = 3
MAX_MARKDOWN = 200_000  # characters read as Markdown; the rest is shown as it is


@dataclass(slots=True)
class RenderBudget:
    """What is left for one message, over all pieces of it that are rendered."""

    expansion: int = MIN_EXPANSION
    coloured: int = MAX_COLOURED
    colouring_s: float = MAX_COLOURING_S
    tables: int = MAX_TABLES
    typeset: int = MAX_TYPESET
    typesetting_s: float = MAX_TYPESETTING_S
    formulas: dict[tuple[str, bool], str | None] = field(default_factory=dict)  # those that are set already
    clock: Callable[[], float] = field(default=time.thread_time, repr=False)

    def colours(self, lexer: Lexer, code: str) -> list[Any] | None:
        """The lexer's tokens of a block of code; None where the budget does not suffice."""
        is_dense = max(map(len, code.split("\n"))) > MAX_COLOURED_LINE
        if is_dense or len(code) > self.coloured or self.colouring_s <= 0:
            return None
        self.coloured -= len(code)
        found = []
        began = self.clock()
        for token in lexer.get_tokens(code):
            found.append(token)
            if self.clock() - began > self.colouring_s:
                self.colouring_s = 0
                return None
        self.colouring_s -= self.clock() - began
        return found

    def formula(self, tex: str, is_block: bool) -> str | None:
        """The formula as MathML; None where the budget does not suffice, or it is none."""
        name = (tex, is_block)
        if name not in self.formulas:
            if len(tex) > self.typeset or self.typesetting_s <= 0:
                return None
            began = self.clock()
            self.formulas[name] = make_mathml(tex, is_block=is_block)
            self.typesetting_s -= self.clock() - began
        self.typeset -= len(tex)
        return self.formulas[name] if self.typeset >= 0 else None


class References(dict[str, Any]):
    """A message's link references. Each use is paid for; beyond the budget the brackets stay as they were
    written.
    """

    def __init__(self, budget: RenderBudget) -> None:
        super().__init__()
        self._budget = budget

    def get(self, label: str, default: Any = None) -> Any:
        found = super().get(label, default)
        if found is not None:
            self._budget.expansion -= len(found["href"]) + len(found["title"])
            if self._budget.expansion < 0:
                return default
        return found
