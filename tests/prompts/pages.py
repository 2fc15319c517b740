"""The chat's pages, for tests that get and post them."""

import re

from django.urls import reverse

from tests.prompts.visitor import text_of

HTMX = {"HX-Request": "true"}


def url(name: str, *args, query: str = "") -> str:
    return reverse(f"prompts:{name}", args=args, urlconf="config.urls_tenant") + query


def options(html: str) -> dict[str, str]:
    """The model picker's words, by the model's name."""
    return {
        name: text_of(words)
        for name, words in re.findall(r'<option value="([^"]*)"[^>]*>(.*?)</option>', html, re.DOTALL)
    }
