"""What programs write and people should not have to read: found in the texts of a page, those on hover and in
its fields included. Codes, ids and addresses stand in elements of their own: `<code>`, `.technical`.
"""

import re
from functools import cache
from html.parser import HTMLParser

from django.apps import apps

UNREAD = {"script", "style", "template", "code", "svg"}
VOID = {"input", "br", "img", "meta", "link", "hr", "source"}
SAID = ("aria-label", "placeholder", "value", "alt")  # attributes
DECIMALS = "more decimals than anybody reads"
KNOWN = {
    "max_tokens",
    "max_completion_tokens",
    "json_schema",
}  # fields of requests, which people choose by these names
RAW = {
    "a Python tuple": r"\(['\"]\w+['\"],|\[['\"]\w*['\"][\],]|\{['\"]\w+['\"]:",
    "a Python object": r"<[\w.]+ (?:object|at 0x)|\b(?:Decimal|UUID|datetime\.\w+|Badge|TwoLines)\(",
    "nothing, as Python says it": r"\bNone\b",
    "an ISO timestamp": r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d",
    # behind a sign stand units, which have two places more than hundredths
    DECIMALS: r"(?<![€$£¥])\d[.,]\d{7,}|[€$£¥]\d[.,]\d{9,}",
    "a number with an exponent": r"(?<![\w-])\d(?:\.\d+)?[eE][+-]?\d+(?![\w-])",
    "a code": r"\b[a-z]+_[a-z_]+[a-z]\b",
    "a time zone on a label": r"\(UTC\)",
}


def find_raw(page: str) -> list[str]:
    """Each thing found, with what it is."""
    texts = _Texts()
    texts.feed(page)
    return [
        f"{what}: {text.strip()[:120]}"
        for said in (texts.found, texts.on_hover)
        for text in sorted(set(said))
        for what, pattern in _patterns().items()
        # amounts are exact on hover
        if not (what == DECIMALS and said is texts.on_hover)
        and {found[0] for found in pattern.finditer(text)} - KNOWN
    ]


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    constraints = {one.name for model in apps.get_models() for one in model._meta.constraints}
    names = "|".join(map(re.escape, sorted(constraints)))
    patterns = RAW | {"the name of a constraint": rf"\b(?:{names})\b"}
    return {what: re.compile(pattern) for what, pattern in patterns.items()}


class _Texts(HTMLParser):
    """What a page says: between its tags, on hover, to readers, and in fields one types into."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.on_hover: list[str] = []
        self._closed: list[str] = []  # the elements around that say nothing to people

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID and (self._closed or tag in UNREAD or "technical" in (given.get("class") or "")):
            self._closed.append(tag)
        is_typed = tag == "input" and given.get("type", "text") in ("text", "number")
        self.on_hover += [text for text in (given.get("title"),) if text]
        self.found += [text for name in SAID if (text := given.get(name)) and (name != "value" or is_typed)]

    def handle_endtag(self, tag: str) -> None:
        if self._closed and tag in self._closed:
            while self._closed.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._closed and data.strip():
            self.found.append(data)
