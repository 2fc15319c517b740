"""Numbers of sources in what models write: `[2]` becomes a small number where the answer cites that source;
any other stays the text that it is, and so does one in code or in a link.

The HTML that is kept holds `<span class="cite">2</span>`; `link_numbers` makes of these what a reader may
open, which is asked anew each time.
"""

import re
from collections.abc import Callable

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from prompts.passages import split_markers

_NUMBER = re.compile(r'<span class="cite">(\d{1,3})</span>')


def markers_plugin(parser: MarkdownIt) -> None:
    """Give a parser the rule; the environment's `cited` says which numbers there are."""
    parser.core.ruler.push("markers", _mark_numbers)
    parser.add_render_rule("cite", _render_number)


def _mark_numbers(state: StateCore) -> None:
    cited = state.env.get("cited")
    if not cited:
        return
    for inline in state.tokens:
        if inline.type == "inline" and inline.children:
            inline.children = _read(inline.children, cited)


def _read(children: list[Token], cited: frozenset[int]) -> list[Token]:
    tokens: list[Token] = []
    links = 0
    for token in children:
        links += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type == "text" and not links:
            for piece in split_markers(token.content, cited):
                if isinstance(piece, str):
                    tokens.append(Token("text", "", 0, content=piece))
                    continue
                if tokens and tokens[-1].type == "text" and tokens[-1].content.endswith(" "):
                    # a number begins no line
                    tokens[-1].content = f"{tokens[-1].content[:-1]}\N{NO-BREAK SPACE}"
                tokens += [Token("cite", "", 0, content=str(number)) for number in piece]
        else:
            tokens.append(token)
    return tokens


def _render_number(renderer, tokens: list[Token], index: int, options, env) -> str:
    return f'<span class="cite">{tokens[index].content}</span>'


def link_numbers(html: str, show: Callable[[int], str]) -> SafeString:
    """Each number as `show` has it, which gives safe HTML."""
    linked = _NUMBER.sub(lambda match: show(int(match[1])), html)
    return mark_safe(linked)  # noqa: S308 - cleaned before, and from templates
