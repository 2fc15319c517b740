"""How many values a JSON text may hold, counted before it is parsed.

Guards against: a few megabytes of `[[],[],…`, each of which becomes an object of Python: reading
them holds up everybody else's calls.
Does not guard against: depth and size, which whoever reads the body bounds.
"""

import re

from foundation.errors import InvalidInput
from foundation.told import gettext as _

MAX_VALUES = 100_000  # elements and members, at all depths
# Possessive, and one that does not end goes to the end: else each quote of its rest would be tried again.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_MARKS = (b"[", b"{", b",", b":")
_NUMBERS = re.compile(rb"[0-9]\s*+,")  # all of a list but its last one


def check_value_count(raw: bytes, more_numbers: int = 0) -> None:
    """Raises InvalidInput (`invalid_json`) for JSON of more than MAX_VALUES values, and so many numbers in
    lists beside them, which are read faster than all else. Takes linear time, and a parser's only for long
    texts.
    """
    if _count(raw) <= MAX_VALUES:
        return
    bare = _STRINGS.sub(b"", raw)
    count, most = _count(bare), MAX_VALUES + more_numbers
    if more_numbers and count <= most:
        most = MAX_VALUES + len(_NUMBERS.findall(bare))
    if count <= most:
        return
    raise InvalidInput(
        _("The body holds more than %(limit)s values. Send fewer at once.") % {"limit": f"{most:,}"},
        code="invalid_json",
    )


def has_more_values(raw: bytes, most: int) -> bool:
    """In linear time, and with a parser's only for long texts."""
    return _count(raw) > most and _count(_STRINGS.sub(b"", raw)) > most


def _count(raw: bytes) -> int:
    """At least the number of values, twice that where they are members or containers."""
    return sum(map(raw.count, _MARKS))
