r"""TeX in Markdown: `$a$`, `\(a\)`, `$$a$$`, `\[a\]` are kept as they are, where CommonMark would eat
backslashes and stars. They become MathML (`mathml`) as far as the message's budget goes, else code.

Covers: what models write, in a line and in blocks, environments also bare: `\begin{align}…\end{align}`.
Amounts of money are no formulas: `$5 and $6`. While a text grows, the formula that it ends in is shown as
code.
Does not cover: formulas with an empty line in them, since a growing text could not tell them from prose.
Not mdit_py_plugins: its dollar blocks do not break into a paragraph, and its brackets take quadratic time
where many are left open.
"""

import re
from html import escape

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType

from prompts.cjk import is_cjk
from prompts.mathml import ENVIRONMENTS
from prompts.render_budget import RenderBudget

MAX_FORMULA_CHARS = 2_000  # an opening without its end costs at most a look that far
CLOSINGS = {r"\(": r"\)", r"\[": r"\]", "$$": "$$"}
# a look takes 100 bytes of memory for each
SINGLE_DOLLARS = re.compile(r"\$(?![\s$])((?:\\.|[^\\$\n]){1,2000}?)(?<!\s)\$(?![\d$])")
AMOUNT = re.compile(r"[\d.,]+\s*")
# these names only: a block's look ends where its name comes again, so lines are read that often at most
BARE = re.compile(rf"\\begin\{{({'|'.join(map(re.escape, ENVIRONMENTS))})\}}")
BREAKS_INTO = ["paragraph", "reference", "blockquote", "list"]


def math_plugin(parser: MarkdownIt) -> None:
    """Give a parser the rules of this module. Order: before the rule for backslashes, and before the blocks
    a formula's lines could look like.
    """
    parser.inline.ruler.before("escape", "formula", _read_inline)
    parser.block.ruler.before("fence", "formula", _read_block, {"alt": BREAKS_INTO})
    parser.add_render_rule("formula", _render_inline)
    parser.add_render_rule("formula_block", _render_block)


def _render_inline(_renderer, tokens: list[Token], index: int, _options, env: EnvType) -> str:
    return _render(tokens[index], env["budget"], is_block=False)


def _render_block(_renderer, tokens: list[Token], index: int, _options, env: EnvType) -> str:
    return f"<p>{_render(tokens[index], env['budget'], is_block=True)}</p>\n"


def _render(token: Token, budget: RenderBudget, *, is_block: bool) -> str:
    tex = token.content.strip()
    mathml = None if token.meta.get("is_open") else budget.formula(tex, is_block)
    if mathml is not None:
        return mathml
    return f'<code class="math{" math-block" if is_block else ""}">{escape(tex)}</code>'


def _read_inline(state: StateInline, silent: bool) -> bool:
    closed = find_formula(state.src, state.pos)
    found = closed or _find_opened(state)
    if found is None:
        return False
    content, end = found
    if not silent:
        token = state.push("formula", "code", 0)
        token.content, token.meta = content, {"is_open": closed is None}
    state.pos = end
    return True


def find_formula(text: str, start: int) -> tuple[str, int] | None:
    """(the formula that begins at a place, where it ends); None where none does."""
    return _find_pair(text, start) or _find_single_dollars(text, start)


def _find_opened(state: StateInline) -> tuple[str, int] | None:
    """The formula that a growing text ends in, with its opening. Dollars may be money."""
    rest = state.src[state.pos : state.pos + MAX_FORMULA_CHARS]
    if not state.env.get("grows") or len(rest) == MAX_FORMULA_CHARS:
        return None
    if rest[:2] not in (r"\(", r"\[") and not BARE.match(rest):
        return None
    return rest, len(state.src)


def _find_pair(text: str, start: int) -> tuple[str, int] | None:
    """(the formula, where it ends) for the delimiters of two characters, and for bare environments."""
    opening, closing = _delimiters(text, start)
    end = text.find(closing, start + len(opening), start + MAX_FORMULA_CHARS) if closing else -1
    content = text[start + len(opening) : end] if end >= 0 else ""
    if not content.strip():
        return None
    return _whole(opening, content, closing), end + len(closing)


def _delimiters(text: str, start: int) -> tuple[str, str]:
    """What opens a formula here, and what closes it; nothing where none begins."""
    bare = BARE.match(text, start)
    opening = bare[0] if bare else text[start : start + 2]
    return opening, rf"\end{{{bare[1]}}}" if bare else CLOSINGS.get(opening, "")


def _whole(opening: str, content: str, closing: str) -> str:
    """The formula: the environment's name is a part of it, other delimiters are not."""
    return opening + content + closing if opening.startswith(r"\begin") else content


def _find_single_dollars(text: str, start: int) -> tuple[str, int] | None:
    """The same for `$`: no space inside, no digit after, and before it no digit and no letter of languages
    that part words (`US$5`); no amount that goes on in one that does not (`$5，涨到$x$`).
    """
    before = text[max(0, start - 1) : start]
    if text[start] != "$" or (before.isascii() and before.isalnum()):
        return None
    match = SINGLE_DOLLARS.match(text, start)
    amount = AMOUNT.match(match[1]) if match else None
    if match is None or (amount and is_cjk(match[1][amount.end() :][:1] or " ")):
        return None
    return match[1], match.end()


def _read_block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    """The opening begins a line, the closing ends the same or a later one; no empty line between. The next
    opening ends the look: no line is read twice.
    """
    first = _line(state, start)
    opening, closing = _delimiters(first, 0)
    if opening == r"\(" or not closing or state.is_code_block(start):
        return False
    lines, is_closed = [first[len(opening) :]], False
    for number in range(start, last):
        body = lines[-1].rstrip().removesuffix(closing)
        is_closed = body != lines[-1].rstrip()
        lines[-1] = body
        if is_closed or opening in body:
            break
        if number + 1 == last or state.isEmpty(number + 1) or state.sCount[number + 1] < state.blkIndent:
            break
        lines.append(_line(state, number + 1))
    is_open = not is_closed and state.env.get("grows") and number + 1 == state.lineMax
    if not (is_closed or is_open) or opening in lines[-1] or not any(lines):
        return False
    if not silent:
        token = state.push("formula_block", "code", 0)
        token.content = _whole(opening, "\n".join(lines), closing if is_closed else "")
        token.meta = {"is_open": not is_closed}
        token.map = [start, number + 1]
        state.line = number + 1
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
