"""The icons that pages show, and the sprite that holds them."""

import re
from pathlib import Path

from django.contrib.staticfiles import finders
from django.template import Context, Template

from foundation.icons import SPRITE
from requirements.web.vendor import find_icons


def test_the_sprite_holds_the_icons_that_are_used_and_no_others():
    """As `requirements/web/vendor.py` finds them, which would make the sprite anew without the rest."""
    sprite = Path(finders.find(SPRITE)).read_text()
    used = find_icons()
    assert len(used) > 30
    assert re.findall(r'<symbol id="([^"]+)"', sprite) == used


def test_an_icon_is_drawn_without_loading_anything():
    html = Template('{% icon "x" %}{% icon "plus" "rail-label" %}').render(Context())
    assert html == (
        f'<svg class="icon" aria-hidden="true"><use href="/static/{SPRITE}#x"></use></svg>'
        f'<svg class="icon rail-label" aria-hidden="true"><use href="/static/{SPRITE}#plus"></use></svg>'
    )
