"""Markdown. Apart from plain text: its library takes longer to import than a text to read."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag.parsing.inside.charset import decode
from rag.parsing.inside.draft import Draft
from rag.parsing.inside.words import clean

_front_matter = re.compile(r"\A---\n.{0,10000}?\n---\n", re.DOTALL)
_DEEPEST = 100
_LEVELS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}


def read_markdown(draft: Draft, data: bytes) -> None:
    """Headings, paragraphs, items one a line, code, tables; without the marks of emphasis and addresses."""
    text = _front_matter.sub("", clean(decode(data)))
    tokens = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable(["table"]).parse(text)
    at = 0
    while at < len(tokens):
        at = _take(draft, tokens, at)
    first = next((token.children for token in tokens if token.type == "inline"), None)
    if tokens and tokens[0].type == "heading_open":
        draft.title = _said(first or [])


def _take(draft: Draft, tokens: list[Token], at: int) -> int:
    """One thing of the outermost level; where the next begins."""
    token = tokens[at]
    end = at if token.nesting < 1 else _end_of(tokens, at)
    body = tokens[at : end + 1]
    if token.type == "heading_open":
        draft.heading(_lines(body), _LEVELS[token.tag])
    elif token.type == "table_open":
        draft.table(_rows(body))
    elif token.type == "html_block":
        draft.paragraph(re.sub(r"<[^<>]{0,2000}>", " ", token.content))
    else:
        draft.paragraph(token.content if token.type in ("fence", "code_block") else _lines(body))
    return end + 1


def _end_of(tokens: list[Token], at: int) -> int:
    closing = tokens[at].type.removesuffix("_open") + "_close"
    level = tokens[at].level
    return next(
        number
        for number in range(at + 1, len(tokens))
        if tokens[number].type == closing and tokens[number].level == level
    )


def _lines(tokens: list[Token]) -> str:
    """What stands in a paragraph, a quotation or a list, items with a dash or their number."""
    lines, mark, depth = [], "", -1
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
        elif token.type == "list_item_open":
            mark = "  " * depth + (f"{token.info}{token.markup} " if token.info else "- ")
        elif token.type == "inline":
            lines.append(mark + _said(token.children or []))
            mark = ""
        elif token.type in ("fence", "code_block"):
            lines.append(token.content.rstrip("\n"))
    return "\n".join(lines)


def _said(children: list[Token]) -> str:
    said = []
    for child in children:
        if child.type in ("softbreak", "hardbreak"):
            said.append("\n")
        elif child.type in ("text", "code_inline", "image"):
            said.append(child.content)
    return "".join(said)


def _rows(tokens: list[Token]) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_said(token.children or []))
    return rows
