r"""TeX in Markdown: `$a$`, `\(a\)`, `$$a$$`, `\[a\]` are kept as they are, where CommonMark would eat
backslashes and stars. They become MathML (`mathml`) as far as the message's budget goes, else code.

Covers: what models write, in a line and in blocks. Amounts of money are no formulas: `$5 and $6`. While a
text grows, the formula that it ends in is shown as code.
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

from prompts.render_budget import RenderBudget

MAX_FORMULA_CHARS = 2_000  # an opening without its end costs at most a look that far
CLOSINGS = {r"\(": r"\)", r"\[": r"\]", "$$": "$$"}
# a look takes 100 bytes of memory for each
SINGLE_DOLLARS = re.compile(r"\$(?![\s$])((?:\\.|[^\\$\n]){1,2000}?)(?<!\s)\$(?![\d$])")
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
    closed = _find_pair(state.src, state.pos) or _find_single_dollars(state.src, state.pos)
    found = closed or _find_opened(state)
    if found is None:
        return False
    content, end = found
    if not silent:
        token = state.push("formula", "code", 0)
        token.content, token.meta = content, {"is_open": closed is None}
    state.pos = end
    return True


def _find_opened(state: StateInline) -> tuple[str, int] | None:
    """The formula that a growing text ends in, with its opening. Dollars may be money."""
    rest = state.src[state.pos : state.pos + MAX_FORMULA_CHARS]
    if not state.env.get("grows") or rest[:2] not in (r"\(", r"\[") or len(rest) == MAX_FORMULA_CHARS:
        return None
    return rest, len(state.src)


def _find_pair(text: str, start: int) -> tuple[str, int] | None:
    """(the formula, where it ends) for the delimiters of two characters."""
    closing = CLOSINGS.get(text[start : start + 2])
    end = text.find(closing, start + 2, start + MAX_FORMULA_CHARS) if closing else -1
    content = text[start + 2 : end] if end >= 0 else ""
    return (content, end + 2) if content.strip() else None


def _find_single_dollars(text: str, start: int) -> tuple[str, int] | None:
    """The same for `$`: no space inside, no letter or digit before, no digit after."""
    if text[start] != "$" or text[max(0, start - 1) : start].isalnum():
        return None
    match = SINGLE_DOLLARS.match(text, start)
    return (match[1], match.end()) if match else None


def _read_block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    """The opening begins a line, the closing ends the same or a later one; no empty line between. The next
    opening ends the look: no line is read twice.
    """
    first = _line(state, start)
    opening = first[:2]
    if opening not in (r"\[", "$$") or state.is_code_block(start):
        return False
    lines, is_closed = [first[2:]], False
    for number in range(start, last):
        body = lines[-1].rstrip().removesuffix(CLOSINGS[opening])
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
        token.content = "\n".join(lines)
        token.meta = {"is_open": not is_closed}
        token.map = [start, number + 1]
        state.line = number + 1
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
