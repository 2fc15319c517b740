"""Task lists in Markdown (`- [ ] a`, `- [x] b`), in linear time: mdit_py_plugins' walks back to the list for
each of its items. What an item says is the label of its box.
"""

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

BOXES = {"[ ] ": "", "[x] ": 'checked="checked" ', "[X] ": 'checked="checked" '}


def task_lists_plugin(parser: MarkdownIt) -> None:
    """Give a parser the rule of this module."""
    parser.core.ruler.after("inline", "task-lists", _mark_items)


def _mark_items(state: StateCore) -> None:
    lists: list[Token] = []
    for item, paragraph, inline in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if item.type in ("bullet_list_open", "ordered_list_open"):
            lists.append(item)
        elif item.type in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
        box = (
            BOXES.get(inline.content[:4])
            if (item.type, paragraph.type) == ("list_item_open", "paragraph_open")
            else None
        )
        if (
            box is None
            or not inline.children
            or not inline.children[0].content.startswith(inline.content[:4])
        ):
            continue
        item.attrSet("class", "task-list-item")
        lists[-1].attrSet("class", "contains-task-list")
        inline.content = inline.content[3:]
        inline.children[0].content = inline.children[0].content[3:]
        checkbox = f'<label><input class="task-list-item-checkbox" {box}disabled="disabled" type="checkbox">'
        inline.children.insert(0, _markup(checkbox))
        inline.children.append(_markup("</label>"))


def _markup(content: str) -> Token:
    return Token("html_inline", "", 0, content=content)
