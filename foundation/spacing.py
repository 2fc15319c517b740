"""Spaces between Chinese characters and Latin letters or digits: one rule for all texts put together.

Between the two scripts stands one space (“添加 API 密钥”), between Chinese characters none (“添加预算”). At a
placeholder a translation cannot know which of them comes there, so each translated text knows the rule: `%`
of what gettext gives sets its values by it, in Python and in `{% blocktranslate %}`. Sentences one after the
other are put together by `join_texts`, a name and what it stands for by `label_value`, and what comes put
together already is set right by `cjk_spaced`.
Does not cover: f-strings, `join` and `str.format`; tests/foundation/test_put_together.py looks for those that
hold translated texts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django import template
from django.utils.translation import _trans, pgettext  # type: ignore[attr-defined]
from django.utils.translation import gettext as _

CJK = "\u3400-\u4dbf\u4e00-\u9fff"
_LATIN = r"A-Za-z0-9"
_between_chinese = re.compile(rf"(?<=[{CJK}]) +(?=[{CJK}])")
_missing = re.compile(rf"(?<=[{CJK}])(?=[{_LATIN}])|(?<=[{_LATIN}])(?=[{CJK}])")
_chinese, _latin = re.compile(f"[{CJK}]"), re.compile(f"[{_LATIN}]")
_wide_signs = re.compile("[、。！（），：；？]")  # they bring their own room
_placeholder = re.compile(r"%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?[a-zA-Z%]")
_TAGS = r"(?: *<[^<>]*>)* *"
_beside_chinese = re.compile(rf"[{CJK}]{_TAGS}%|%(?:\(\w+\))?\w+{_TAGS}[{CJK}]")
_tags_first, _tags_last = re.compile(f"^{_TAGS}"), re.compile(f"{_TAGS}$")
_opened_last, _closed_first = re.compile(r"(?: *<[^/<>][^<>]*>)* *$"), re.compile(r"^(?: *</[^<>]*>)*")
FUNCTIONS = ("gettext", "ngettext", "pgettext", "npgettext")
register = template.Library()


@register.filter(is_safe=True)
def cjk_spaced(text: str) -> str:
    """`{{ text|cjk_spaced }}` in every template: the text by that rule; without Chinese it stays as it is."""
    return _missing.sub(" ", _between_chinese.sub("", text.strip()))


def join_texts(texts: Iterable[object]) -> str:
    """Whole texts one after the other, each as it is, with a space between two where their script has one."""
    joined = ""
    for text in filter(None, map(str, texts)):
        joined = append(f"{joined} ", text) if joined else text
    return joined


def append(left: str, right: str) -> str:
    """`left + right`, without the spaces at the end of `left` where Chinese has none."""
    bare = left.rstrip(" ")
    last, first = bare[-1:], right[:1]
    is_chinese = _chinese.match(last) and _chinese.match(first)
    is_wide = last and first and (_wide_signs.match(last) or _wide_signs.match(first))
    return f"{bare if is_chinese or is_wide else left}{right}"


@register.filter
def label_value(label: object, value: object) -> str:
    """“label: value”, with the colon of the reader's language."""
    return _("%(label)s: %(value)s") % {"label": label, "value": value}


def listed(parts: Iterable[str]) -> str:
    """What stands beside each other, as the reader's language separates it."""
    return pgettext("between the parts of a list", ", ").join(map(str, parts))


class Spaced(str):
    """A translated text with placeholders beside Chinese."""

    __slots__ = ()

    def __mod__(self, values: Any) -> str:
        return fill(self, values)


def fill(text: str, values: Any) -> str:
    """`text % values`, each value set into it by the rule; values themselves stay as they are."""
    filled = str.__mod__(text, values)
    if not _beside_chinese.search(text):
        return filled
    result = ""
    for piece in _take_apart(text, values):
        result = _join(result, piece)
    return result


def _take_apart(text: str, values: Any) -> Iterator[str]:
    """What stands in the text and what is set into it, in turn."""
    at, rest = 0, iter(values if isinstance(values, tuple) else (values,))
    for found in _placeholder.finditer(text):
        yield text[at : found.start()]
        is_sign = found[0].endswith("%")
        yield "%" if is_sign else str.__mod__(found[0], values if isinstance(values, Mapping) else next(rest))
        at = found.end()
    yield text[at:]


def _join(left: str, right: str) -> str:
    """Two texts by the rule; tags at their ends are looked through, and keep to what they enclose."""
    last, first = _tags_last.sub("", left)[-1:], _tags_first.sub("", right)[:1]
    if _chinese.match(last) and _chinese.match(first):
        return left.rstrip(" ") + right.lstrip(" ")
    if not ((_chinese.match(last) and _latin.match(first)) or (_latin.match(last) and _chinese.match(first))):
        return left + right
    opened, closed = _opened_last.search(left)[0], _closed_first.search(right)[0]  # type: ignore[index]
    before, after = left.removesuffix(opened) + closed, opened.lstrip(" ") + right.removeprefix(closed)
    return f"{before.rstrip(' ')} {after.lstrip(' ')}"


def space_translations() -> None:
    """For the whole process, once: what Django's functions of translation give knows the rule."""
    for name in FUNCTIONS:
        setattr(_trans, name, _knowing(getattr(_trans, name)))


def _knowing(translate: Callable[..., str]) -> Callable[..., str]:
    def translate_spaced(*arguments: Any) -> str:
        text = translate(*arguments)
        return Spaced(text) if type(text) is str and "%" in text and _beside_chinese.search(text) else text

    return translate_spaced
