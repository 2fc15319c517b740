"""`{% icon "pencil" %}` in every template, without loading anything: a Lucide icon that tells screen readers
nothing. Whatever it stands beside has a label or an accessible name. `requirements/web/vendor.py` puts the
icons that are used into the sprite.
"""

from functools import cache

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

SPRITE = "vendor/lucide/icons.svg"
register = template.Library()


@register.simple_tag
@cache
def icon(name: str, more_classes: str = "") -> SafeString:
    """The icon with this name in the sprite, in the size and colour of the text around it. Made once: a page
    may show thousands.
    """
    classes = f"icon {more_classes}".strip()
    markup = '<svg class="{}" aria-hidden="true"><use href="{}#{}"></use></svg>'
    return format_html(markup, classes, static(SPRITE), name)


@register.simple_tag
def icon_sprite() -> str:
    """The address of all icons, for scripts."""
    return static(SPRITE)
