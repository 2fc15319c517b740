"""Spaces between Chinese characters and Latin letters or digits: one rule for all texts put together.

Between the two scripts stands one space (“添加 API 密钥”), between Chinese characters none (“添加预算”). At a
placeholder a translation cannot know which of them comes there.
"""

import re

from django import template

CJK = "\u3400-\u4dbf\u4e00-\u9fff"
_LATIN = r"A-Za-z0-9"
_between_chinese = re.compile(rf"(?<=[{CJK}]) +(?=[{CJK}])")
_missing = re.compile(rf"(?<=[{CJK}])(?=[{_LATIN}])|(?<=[{_LATIN}])(?=[{CJK}])")
register = template.Library()


@register.filter(is_safe=True)
def cjk_spaced(text: str) -> str:
    """`{{ text|cjk_spaced }}` in every template: the text by that rule; without Chinese it stays as it is."""
    return _missing.sub(" ", _between_chinese.sub("", text.strip()))
