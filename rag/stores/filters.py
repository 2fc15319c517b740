"""Filters of a search at `/v1`, over what is noted of a file (`attributes`).

Equal is equal in kind too: 1 is 1.0, and neither "1" nor true. Greater and smaller compare numbers with
numbers and texts with texts. A file that lacks the key is not equal: `ne` and `nin` find it, all others do
not. No match means no result.
"""

from typing import Any
from uuid import UUID

from django.db.models import F, Func, JSONField, Q, TextField, Value
from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from rag.models import Collection
from rag.stores.bodies import refuse_unknown

COMPARISONS = {
    "gt": GreaterThan,
    "gte": GreaterThanOrEqual,
    "lt": LessThan,
    "lte": LessThanOrEqual,
}
TYPES = ("eq", "ne", *COMPARISONS, "in", "nin")
MOST_FILTERS, DEEPEST, MOST_VALUES = 100, 10, 500


def list_filtered(collection: Collection, filters: Q) -> list[UUID]:
    """The documents of which it holds, with what they brought."""
    found = level = list(collection.documents.filter(filters, parent=None).values_list("pk", flat=True))
    while level:
        level = list(collection.documents.filter(parent__in=level).values_list("pk", flat=True))
        found = found + level
    return found


def read_filters(given: Any) -> Q:
    """Documents of which it holds. Raises InvalidInput."""
    return _Reader().read(given, "filters", 1)


class _Reader:
    def __init__(self) -> None:
        self._count = self._values = 0

    def read(self, given: Any, place: str, depth: int) -> Q:
        self._count += 1
        if self._count > MOST_FILTERS or depth > DEEPEST:
            told = _("At most %(count)d filters in %(depth)d levels can be asked for.")
            raise InvalidInput(told % {"count": MOST_FILTERS, "depth": DEEPEST}, param="filters")
        if not isinstance(given, dict):
            raise _wrong(place, _("must be an object with a “type”"))
        if given.get("type") in ("and", "or"):
            return self._read_compound(given, place, depth)
        values = given.get("value")
        self._values += len(values) if isinstance(values, list) else 1
        if self._values > MOST_VALUES:  # of all together: each is looked for in each document
            told = _("At most %(limit)d values can be asked for in all.")
            raise InvalidInput(told % {"limit": MOST_VALUES}, param="filters")
        return _read_comparison(given, place)

    def _read_compound(self, given: dict[str, Any], place: str, depth: int) -> Q:
        refuse_unknown(given, ("type", "filters"), f"{place}.")
        filters = given.get("filters")
        if not isinstance(filters, list) or not filters:
            raise _wrong(f"{place}.filters", _("must be an array of filters, with one at least"))
        parts = [
            self.read(one, f"{place}.filters[{number}]", depth + 1) for number, one in enumerate(filters)
        ]
        found = parts[0]
        for part in parts[1:]:
            found = found & part if given["type"] == "and" else found | part
        return found


def _read_comparison(given: dict[str, Any], place: str) -> Q:
    kind, key, value = given.get("type"), given.get("key"), given.get("value")
    if kind not in TYPES:
        names = ", ".join((*TYPES, "and", "or"))
        raise _wrong(f"{place}.type", _("must be one of: %(names)s") % {"names": names})
    refuse_unknown(given, ("type", "key", "value"), f"{place}.")
    if not isinstance(key, str) or not key or "\0" in key:
        raise _wrong(f"{place}.key", _("must name an attribute"))
    place = f"{place}.value"
    if kind in ("in", "nin"):
        return _read_choice(key, value, place, is_wanted=kind == "in")
    _check_scalar(value, place)
    if kind in ("eq", "ne"):
        is_equal = Q(metadata__contains={key: value})
        return is_equal if kind == "eq" else ~is_equal
    if isinstance(value, bool):
        raise _wrong(place, _("must be a number or a text, to be compared"))
    found = Func(
        F("metadata"), Value(key, TextField()), function="jsonb_extract_path", output_field=JSONField()
    )
    sort = Func(found, function="jsonb_typeof", output_field=TextField())
    return Q(Exact(sort, Value("string" if isinstance(value, str) else "number"))) & Q(
        COMPARISONS[str(kind)](found, Value(value, JSONField()))
    )


def _read_choice(key: str, values: Any, place: str, *, is_wanted: bool) -> Q:
    if not isinstance(values, list) or len(values) > MOST_VALUES:
        raise _wrong(place, _("must be an array of at most %(limit)d values") % {"limit": MOST_VALUES})
    found = Q(pk__in=[])
    for value in values:
        _check_scalar(value, place)
        found |= Q(metadata__contains={key: value})
    return found if is_wanted else ~found


def _check_scalar(value: Any, place: str) -> None:
    if not isinstance(value, (str, bool, int, float)) or (isinstance(value, str) and "\0" in value):
        raise _wrong(place, _("must be a text, a number, true or false"))


def _wrong(place: str, reason: str) -> InvalidInput:
    return InvalidInput(
        _("“%(name)s” %(reason)s.") % {"name": place[:120], "reason": reason},
        code="invalid_value",
        param=place[:120],
    )
