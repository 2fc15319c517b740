"""Markdown of models into HTML: the one place where text becomes markup.

Covers: raw HTML (shown as text), scripts, event handlers, styles; texts that make much of little
(`render_budget`), which are shown plain where they end; finished texts rendered again at each view. Links and
pictures: `links`; formulas: `formulas`; tables: `tables`.
Does not cover: text that never passes here; templates escape that.
"""

import re
from collections.abc import Iterable
from functools import cache
from html import escape
from io import StringIO
from itertools import pairwise

import nh3
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, reference
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from prompts.cjk import cjk_plugin
from prompts.formulas import math_plugin
from prompts.links import links_plugin
from prompts.markers import markers_plugin
from prompts.mathml import MATH
from prompts.passages import drop_marks
from prompts.render_budget import MAX_MARKDOWN, MIN_EXPANSION, References, RenderBudget
from prompts.rendered import Rendered
from prompts.tables import read_table
from prompts.task_lists import task_lists_plugin

TAGS = {
    "p",
    "br",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "strong",
    "em",
    "s",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "span",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "input",
    "label",
    *MATH,
}
# what stands on its own runs in the direction of its first letter; what it holds follows it
DIRECTED = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "table")
ATTRIBUTES = {
    **{tag: {"dir"} for tag in DIRECTED},
    "a": {"href", "title"},
    "code": {"class"},
    "span": {"class"},
    "ol": {"start", "class", "dir"},
    "ul": {"class", "dir"},
    "li": {"class"},
    "th": {"class"},
    "td": {"class"},
    "input": {"class", "type", "checked", "disabled"},
    **MATH,
}
SCHEMES = {"http", "https", "mailto"}
BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)


_finished = Rendered()


def render_markdown(text: str, cited: Iterable[int] = ()) -> SafeString:
    """Safe HTML of a text in CommonMark with tables, strike-through and task lists. A text that this process
    rendered lately is not rendered again. `cited`: the numbers of its sources (`prompts.markers`).
    """
    text, numbers = drop_marks(text), frozenset(cited)
    name = f"{text}\0{sorted(numbers)}" if numbers else text
    budget = RenderBudget(expansion=max(MIN_EXPANSION, len(text)))
    return _finished.get(name, lambda: _render(text, budget, numbers))


def _render(text: str, budget: RenderBudget, cited: frozenset[int] = frozenset()) -> SafeString:
    """The text as HTML, as far as the budget goes."""
    read, rest = _split(text)
    return _clean(_parser().render(read, _environment(budget, cited=cited))) + _as_written(rest)


def _split(text: str) -> tuple[str, str]:
    """(what is read as Markdown, the rest): cut at the last end of a line that fits."""
    if len(text) <= MAX_MARKDOWN:
        return text, ""
    cut = text.rfind("\n", 0, MAX_MARKDOWN) + 1 or MAX_MARKDOWN
    return text[:cut], text[cut:]


def _as_written(rest: str) -> SafeString:
    """What is too long to be read as Markdown, if anything is."""
    if not rest:
        return SafeString()
    note = _("The rest of this text is too long to be formatted and is shown as it was written.")
    return SafeString(f'<p class="muted">{escape(note)}</p><pre><code>{escape(rest)}</code></pre>')


def _environment(
    budget: RenderBudget, *, grows: bool = False, cited: frozenset[int] = frozenset()
) -> EnvType:
    return {"references": References(budget), "budget": budget, "grows": grows, "cited": cited}


def _clean(html: str) -> SafeString:
    return SafeString(
        nh3.clean(
            html,
            tags=TAGS,
            attributes=ATTRIBUTES,
            url_schemes=SCHEMES,
            link_rel="noopener noreferrer nofollow",
        )
    )


@cache
def _parser() -> MarkdownIt:
    parser = _make_parser()
    parser.add_render_rule("fence", _render_fence)
    return parser


@cache
def _plain_parser() -> MarkdownIt:
    """The same without colours: for code that is still being written."""
    return _make_parser()


def _make_parser() -> MarkdownIt:
    parser = (
        MarkdownIt("commonmark", {"html": False, "breaks": True})
        .enable(["table", "strikethrough"])
        .use(cjk_plugin)
        .use(task_lists_plugin)
        .use(math_plugin)
        .use(links_plugin)
        .use(markers_plugin)
    )
    parser.core.ruler.push("directions", _mark_directions)
    parser.core.ruler.after("inline", "cell-breaks", _break_cells)
    parser.block.ruler.at("table", read_table, {"alt": ["paragraph", "reference"]})
    parser.block.ruler.at("reference", _read_reference)
    parser.add_render_rule("th_open", _render_cell)
    parser.add_render_rule("td_open", _render_cell)
    return parser


def _mark_directions(state: StateCore) -> None:
    for token in state.tokens:
        if token.level == 0 and token.nesting == 1 and token.tag in DIRECTED:
            token.attrSet("dir", "auto")


def _read_reference(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    """The library's rule, except for footnotes (`[^1]: Smith`): they stay as written, no links to `Smith`."""
    begin = state.bMarks[start] + state.tShift[start]
    return not state.src.startswith("[^", begin) and reference(state, start, last, silent)


def _break_cells(state: StateCore) -> None:
    """`<br>` ends a line in a cell, where Markdown has no way to say so; other HTML is text. Before escaped
    text is joined: `\\<br>` says that it is meant.
    """
    for cell, inline in pairwise(state.tokens):
        if cell.type in ("td_open", "th_open") and inline.children and "<" in inline.content:
            inline.children = [piece for token in inline.children for piece in _split_at_breaks(token)]


def _split_at_breaks(token: Token) -> list[Token]:
    if token.type != "text":
        return [token]
    first, *others = (Token("text", "", 0, content=piece) for piece in BREAK.split(token.content))
    return [first, *(token for text in others for token in (Token("hardbreak", "br", 0), text))]


def _render_fence(renderer, tokens: list[Token], index: int, options, env: EnvType) -> str:
    """A block of code with spans and classes where its language is known
    and the message's budget suffices.
    """
    code = tokens[index].content
    coloured = OptionsDict(options)
    coloured["highlight"] = lambda _code, language, _attributes: _colour(code, language, env["budget"])
    return renderer.fence(tokens, index, coloured, env)


def _colour(code: str, language: str, budget: RenderBudget) -> str:
    """Spans with classes; "" leaves escaping to the parser."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False) if language else None
    except ClassNotFound:
        lexer = None
    tokens = budget.colours(lexer, code) if lexer else None
    if tokens is None:
        return ""
    written = StringIO()
    HtmlFormatter(nowrap=True).format(tokens, written)
    return written.getvalue()


def _render_cell(renderer, tokens: list[Token], index: int, options, env) -> str:
    """Alignment as a class: style attributes are forbidden."""
    token = tokens[index]
    align = str(token.attrGet("style") or "").removeprefix("text-align:")
    return (
        f'<{token.tag} class="align-{align}">' if align in ("left", "right", "center") else f"<{token.tag}>"
    )


class GrowingText:
    """A text that grows at its end, rendered block by block: finished blocks once, the last one again
    and again, its code without colours.

    What has been given as finished is never changed; the page shows the whole text anew when it is complete.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._budget = RenderBudget()

    @property
    def size(self) -> int:
        """The characters that the next `grow` reads."""
        return len(self._tail)

    def add(self, text: str) -> None:
        """Add text that is to be rendered later."""
        self._tail += text

    def _for_tail(self, expansion: int = MIN_EXPANSION) -> EnvType:
        """Each time a budget of its own, but a formula is set once."""
        budget = RenderBudget(expansion=expansion, formulas=self._budget.formulas)
        return _environment(budget, grows=True)

    def grow(self, text: str) -> tuple[str, str]:
        """Add text; returns (HTML of blocks finished since the last call, HTML of the block that still
        grows).
        """
        self._tail += text
        parser = _plain_parser()
        read, rest = _split(self._tail)
        env = self._for_tail(expansion=max(MIN_EXPANSION, len(read)))
        tokens = parser.parse(read, env)
        starts = [token.map[0] for token in tokens if token.level == 0 and token.nesting >= 0 and token.map]
        if not starts or starts[-1] == starts[0]:
            return "", _clean(parser.renderer.render(tokens, parser.options, env)) + _as_written(rest)
        # not splitlines: that ends lines at U+2028 and form feeds, which Markdown does not
        lines = list(StringIO(read, newline=""))
        finished = "".join(lines[: starts[-1]])
        self._tail = "".join(lines[starts[-1] :]) + rest
        read, rest = _split(self._tail)
        tail = _clean(parser.render(read, self._for_tail()))
        return str(_render(finished, self._budget)), tail + _as_written(rest)
