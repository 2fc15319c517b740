"""Every icon that a template names is in the sprite."""

import re
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.template import Context, Template

from foundation.icons import SPRITE

NAMED = re.compile(r'\{% icon "([\w-]+)"')


def test_every_icon_that_a_template_names_exists():
    sprite = Path(finders.find(SPRITE)).read_text()
    named = {
        name
        for path in Path(settings.BASE_DIR / "templates").rglob("*.html")
        for name in NAMED.findall(path.read_text())
    }
    assert len(named) > 30
    assert {name for name in named if f'id="{name}"' not in sprite} == set()


def test_an_icon_is_drawn_without_loading_anything():
    html = Template('{% icon "x" %}{% icon "plus" "rail-label" %}').render(Context())
    assert html == (
        f'<svg class="icon" aria-hidden="true"><use href="/static/{SPRITE}#x"></use></svg>'
        f'<svg class="icon rail-label" aria-hidden="true"><use href="/static/{SPRITE}#plus"></use></svg>'
    )
