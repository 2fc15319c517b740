"""What the audit log's texts of budgets read as."""

import re
from decimal import Decimal
from functools import cache

from django.conf import settings
from django.utils.translation import override

from foundation.amounts import show_money
from foundation.spacing import label_value
from usage.models import Budget

# “user: 25 EUR”, “organisation: 1,250.50 EUR”, “Benutzer: 1.250,50 EUR”
KEPT = re.compile(
    r"(?P<level>[^:]+): "
    r"(?P<whole>[0-9]+?(?:[^0-9A-Z][0-9]{3})*)(?:[.,](?P<places>[0-9]+))?"
    r"\s(?P<currency>[A-Z]{3})"
)


def name_budget(text: str) -> str:
    """A budget that the audit log keeps in the words and the notation of whoever wrote it, in the reader's;
    as it is kept where it cannot be read.
    """
    found = KEPT.fullmatch(text)
    if found is None:
        return text
    level = _levels().get(found["level"])
    label = dict(Budget.Level.choices)[level] if level else found["level"]
    amount = Decimal(f"{re.sub('[^0-9]', '', found['whole'])}.{found['places'] or 0}")
    return label_value(label, show_money(amount, found["currency"]))


@cache
def _levels() -> dict[str, str]:
    """What the levels are called in each of our languages → the level."""
    words: dict[str, str] = {}
    for language, _name in settings.LANGUAGES:
        with override(language):
            words |= {str(label): value for value, label in Budget.Level.choices}
    return words
