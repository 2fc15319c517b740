"""Unfold's icons from the house's own set.

Unfold writes the names of icons between tags, where screen readers read them aloud, and draws them with a
font of its own. On the way out each becomes an icon of Lucide's sprite, mute. Names that do not stand here
are Lucide's already: those that our own menus and actions give to unfold.
"""

import re

from django.template.response import SimpleTemplateResponse

from foundation.icons import icon

ICONS = {
    "add": "plus",
    "arrow_back": "arrow-left",
    "arrow_circle_down": "arrow-down",
    "arrow_circle_up": "arrow-up",
    "arrow_forward": "arrow-right",
    "cancel": "x",
    "chevron_right": "chevron-right",
    "close": "x",
    "delete": "trash-2",
    "expand_more": "chevron-down",
    "filter_list": "list-filter",
    "help": "circle-question-mark",
    "inbox": "inbox",
    "logout": "log-out",
    "more_horiz": "ellipsis",
    "more_vert": "ellipsis-vertical",
    "open_in_new": "external-link",
    "progress_activity": "loader-circle",
    "search": "search",
    "settings": "settings",
    "undo": "undo-2",
    "unfold_more": "chevrons-up-down",
    "visibility": "eye",
}
WRITTEN = re.compile(
    r"""<span(?P<before>[^>]*?)\ class="(?P<left>[^":]*)\bmaterial-symbols-outlined(?P<right>[^"]*)"
        (?P<after>[^>]*)>\s*(?P<name>[a-z0-9_-]+)\s*</span>""",
    re.VERBOSE,
)


def draw_icons(response: SimpleTemplateResponse) -> None:
    """Replace the names of icons in a page that is drawn. For `add_post_render_callback`."""
    response.content = WRITTEN.sub(_draw, response.content.decode()).encode()


def _draw(found: re.Match[str]) -> str:
    drawn = icon(ICONS.get(found["name"], found["name"]), f"{found['left']}{found['right']}".strip())
    more = f"{found['before']}{found['after']}".replace(' aria-hidden="true"', "")
    return str(drawn).replace("<svg", f"<svg{more}", 1)
