"""How many values a JSON body may hold, counted before it is parsed.

Guards against: a few megabytes of `[[],[],…`, each of which becomes an object of Python: reading
them holds up everybody else's calls.
Does not guard against: depth and size, which whoever reads the body bounds.
"""

import re

from django.utils.translation import gettext as _

from foundation.errors import InvalidInput

MAX_VALUES = 100_000  # elements and members, at all depths
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MARKS = (b"[", b"{", b",", b":")


def check_value_count(raw: bytes) -> None:
    """Raises InvalidInput (`invalid_json`) for JSON of more than MAX_VALUES values. Takes linear time,
    and a parser's only for long texts.
    """
    if _count(raw) > MAX_VALUES and _count(_STRINGS.sub(b"", raw)) > MAX_VALUES:
        limit = f"{MAX_VALUES:,}"
        raise InvalidInput(
            _("The body holds more than %(limit)s values. Send fewer at once.") % {"limit": limit},
            code="invalid_json",
        )


def _count(raw: bytes) -> int:
    """At least the number of values, twice that where they are members or containers."""
    return sum(map(raw.count, _MARKS))
