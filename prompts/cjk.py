"""Emphasis beside Chinese, Japanese and Korean: `**注意：**正文` is bold, though no blank follows the colon.

CommonMark wants blanks around marks that touch punctuation, and these languages write none. The rule here is
that of the CJK-friendly amendment to CommonMark: their punctuation counts as letters, and beside one of their
characters other punctuation opens and closes as beside a blank.
Does not cover: quotation marks that a selector makes wide; characters that Python's Unicode does not know.
"""

import unicodedata

from markdown_it import MarkdownIt
from markdown_it.common.utils import isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType


def cjk_plugin(parser: MarkdownIt) -> None:
    """Give a parser this rule in place of CommonMark's; before others that change `parser.inline`."""
    inline = _Inline()
    inline.ruler, inline.ruler2 = parser.inline.ruler, parser.inline.ruler2
    parser.inline = inline


class _Inline(ParserInline):
    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:
        end = start
        while end < self.posMax and self.src[end] == self.src[start]:
            end += 1
        before = _before(self.src, start)
        after = self.src[end] if end < self.posMax else " "
        opens, closes = _is_flanking(after, before), _is_flanking(before, after)
        return Scanned(
            opens and (canSplitWord or not closes or isPunctChar(before)),
            closes and (canSplitWord or not opens or isPunctChar(after)),
            end - start,
        )


def _before(text: str, start: int) -> str:
    """The character before a mark, a blank at the beginning; what selects its variant belongs to it."""
    while start and _is_selector(text[start - 1]):
        start -= 1
    return text[start - 1] if start else " "


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0e" or "\U000e0100" <= char <= "\U000e01ef"


def _is_flanking(inside: str, outside: str) -> bool:
    """Whether a mark between the two can stand at this end of an emphasis."""
    if isWhiteSpace(ord(inside)):
        return False
    if is_cjk(inside) or not isPunctChar(inside):
        return True
    return isWhiteSpace(ord(outside)) or isPunctChar(outside) or is_cjk(outside)


def is_cjk(char: str) -> bool:
    """Wide and no emoji, or Hangul."""
    is_emoji = unicodedata.category(char) in ("So", "Sk") and not "\u2e80" <= char < "\U0001f000"
    is_wide = unicodedata.east_asian_width(char) in ("W", "F", "H")
    return (is_wide and not is_emoji) or unicodedata.name(char, "").startswith("HANGUL")
