"""Dates and times are written in one way in each language, in the chat and the administrations."""

import re
from datetime import UTC, datetime

import pytest
from django.utils import translation
from django.utils.formats import date_format

from config.settings.env import BASE_DIR

MOMENT = datetime(2026, 11, 2, 7, 6, tzinfo=UTC)
KINDS = ("DATE", "SHORT_DATE", "TIME", "DATETIME", "SHORT_DATETIME", "MONTH_DAY")
NAMED = {f"{kind}_FORMAT" for kind in KINDS} | {"c"}  # the last for `datetime` attributes
FILTER = re.compile(r"""\|(?:date|time)(?::["']([^"']*)["'])?""")


@pytest.mark.parametrize(
    ("language", "day", "time", "both", "of_a_year"),
    [
        ("en", "Nov 2, 2026", "07:06", "Nov 2, 2026, 07:06", "Nov 2"),
        ("de", "2. Nov. 2026", "07:06", "2. Nov. 2026, 07:06", "2. Nov."),
        ("zh-hans", "2026年11月2日", "07:06", "2026年11月2日 07:06", "11月2日"),
    ],
)
def test_a_language_has_one_notation(language, day, time, both, of_a_year):
    with translation.override(language):
        said = [date_format(MOMENT, f"{kind}_FORMAT") for kind in KINDS]
    assert said == [day, day, time, both, both, of_a_year]


def test_templates_ask_for_the_languages_notation():
    odd = [
        f"{path.relative_to(BASE_DIR)}: {found[0]}"
        for path in (BASE_DIR / "templates").rglob("*.*")
        for found in FILTER.finditer(path.read_text())
        if found[1] not in NAMED
    ]
    assert not odd, odd
