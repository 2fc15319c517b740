"""`{{ page|page_numbers }}` in every template: what components/_pagination.html shows."""

from collections.abc import Iterable

from django import template
from django.core.paginator import Page

register = template.Library()


@register.filter
def page_numbers(page: Page) -> Iterable[int | str]:
    """The first, the last and those around the page, with an ellipsis for what is left out."""
    return page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
