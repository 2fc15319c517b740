"""The audit log as people read it: who changed what, when, from which value to which. Used below
each object and for the whole log.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from auditlog.models import LogEntry
from django.conf import settings
from django.core.exceptions import FieldDoesNotExist, PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import (
    BooleanField,
    DateField,
    DateTimeField,
    DecimalField,
    Field,
    ForeignKey,
    JSONField,
    Model,
    QuerySet,
)
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import date_format, number_format
from django.utils.text import capfirst
from django.utils.timezone import localtime, make_aware
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

PER_PAGE = 25
MAX_CHARS = 400
NOTHING = ("None", "", None)
ACTIONS = {
    LogEntry.Action.CREATE: gettext_lazy("created"),
    LogEntry.Action.UPDATE: gettext_lazy("changed"),
    LogEntry.Action.DELETE: gettext_lazy("deleted"),
    LogEntry.Action.ACCESS: gettext_lazy("read"),
}
UNSAID = {"id", "created_at", "updated_at"}  # the entry itself says it


# what the log keeps of a field: its text, or the texts of objects that were added or removed
Values = str | list[str]


@dataclass(frozen=True, slots=True)
class Change:
    """One field's change, as text. Values of secrets never reach the log (the rooms' `audit.py` exclude
    them).
    """

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """The same as the log keeps it. Without a field: the running code no longer has one of this name."""

    name: str
    field: Any
    before: Values
    after: Values


_namers: dict[type[Model], Callable[[str], str]] = {}
_namers_from_kept: dict[type[Model], Callable[[dict[str, Any]], str]] = {}
_narrowed: dict[type[Model], Callable[[QuerySet], QuerySet]] = {}
_value_namers: dict[tuple[type[Model], str], Callable[[str], str]] = {}


def name_objects(
    model: type[Model],
    from_text: Callable[[str], str] | None = None,
    *,
    from_kept: Callable[[dict[str, Any]], str] | None = None,
) -> None:
    """Register what people call objects of a kind, in the reader's language: made of the text that the log
    keeps of each, or of what it keeps beside that (the model's `get_additional_data`).
    """
    if from_text is not None:
        _namers[model] = from_text
    if from_kept is not None:
        _namers_from_kept[model] = from_kept


def name_only(model: type[Model], narrow: Callable[[QuerySet], QuerySet]) -> None:
    """Register which objects of a kind are named where a change points to them; others keep their id."""
    _narrowed[model] = narrow


def name_values(model: type[Model], field: str, from_text: Callable[[str], str]) -> None:
    """Register what people call the values of a field that holds codes, where its choices do not say it."""
    _value_namers[model, field] = from_text


def name_object(model: type[Model] | None, text: str) -> str:
    """What people call an object of which the log keeps this text."""
    return _namers[model](text) if model in _namers else text


def name_entry(entry: LogEntry) -> str:
    """What people call the object that an entry is about."""
    model = model_of(entry)
    if entry.additional_data and model in _namers_from_kept:
        return _namers_from_kept[model](entry.additional_data)
    return name_object(model, entry.object_repr)


def model_of(entry: LogEntry) -> type[Model] | None:
    """The kind of object an entry is about; None where the running code has none of this name."""
    return entry.content_type.model_class() if entry.content_type_id else None


def list_fields(entry: LogEntry) -> list[str]:
    """The fields that an entry says something of, under the names people know."""
    return [_label(kept) for kept in _read_changes(entry)]


def list_changes(entries: Iterable[LogEntry]) -> list[list[Change]]:
    """What each entry says, field by field, in the reader's language: one query for each kind of object that
    the fields point to.
    """
    found = [list(_read_changes(entry)) for entry in entries]
    names = _load_names(kept for row in found for kept in row)
    return [
        [
            Change(_label(kept), _say(kept.field, kept.before, names), _say(kept.field, kept.after, names))
            for kept in row
        ]
        for row in found
    ]


def _read_changes(entry: LogEntry) -> Iterator[_Kept]:
    model = model_of(entry)
    for name, values in sorted(entry.changes_dict.items()):
        if name in UNSAID or _is_reverse(model, name):
            continue
        if isinstance(values, dict):  # a relation: objects were added or removed
            objects = values.get("objects", [])
            added = values.get("operation") == "add"
            yield _Kept(name, _field(model, name), [] if added else objects, objects if added else [])
        elif isinstance(values, list | tuple) and len(values) == 2:
            before, after = ("" if value in NOTHING else str(value) for value in values)
            if before != after:
                yield _Kept(name, _field(model, name), before, after)


def _is_reverse(model: type[Model] | None, name: str) -> bool:
    """Whether it is another object's relation to this one, which auditlog notes as an empty field."""
    return model is not None and any(
        relation.get_accessor_name() == name or relation.name == name
        for relation in model._meta.related_objects
    )


def _field(model: type[Model] | None, name: str) -> Any:
    try:
        return model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        return None


def _label(kept: _Kept) -> str:
    return capfirst(str(getattr(kept.field, "verbose_name", kept.name)))


def _load_names(changes: Iterable[_Kept]) -> dict[tuple[type[Model], str], str]:
    """(model, id) → what the object is called; those that are gone are missing."""
    wanted: dict[type[Model], set[str]] = defaultdict(set)
    for kept in changes:
        if isinstance(kept.field, ForeignKey):
            wanted[kept.field.related_model] |= {kept.before, kept.after} - {""}
    rows = (
        (model, row)
        for model, ids in wanted.items()
        for row in _narrowed.get(model, QuerySet.all)(model._base_manager.filter(pk__in=ids))
    )
    return {(model, str(row.pk)): name_object(model, str(row)) for model, row in rows}


def _say(field: Any, value: Values, names: dict) -> str:
    if isinstance(value, list):
        return ", ".join(name_object(field and field.related_model, text) for text in value)
    if not value or field is None:
        return _shorten(value)
    if isinstance(field, ForeignKey):
        return names.get((field.related_model, value), value)
    if field.name == "language":
        return str(dict(settings.LANGUAGES).get(value, value))
    if field.flatchoices:
        return str({str(choice): label for choice, label in field.flatchoices}.get(value, value))
    try:
        namer = _value_namers.get((field.model, field.name))
        return namer(value) if namer else _localize(field, value)
    except (ValidationError, ValueError):  # of a time when the field was of another kind
        return _shorten(value)


def _localize(field: Field, text: str) -> str:
    if isinstance(field, BooleanField):
        return _("Yes") if field.to_python(text) else _("No")
    if isinstance(field, DateTimeField):  # which auditlog keeps in UTC, without saying so
        return date_format(localtime(make_aware(datetime.fromisoformat(text), UTC)), "DATETIME_FORMAT")
    if isinstance(field, DateField):
        return date_format(field.to_python(text), "DATE_FORMAT")
    if isinstance(field, JSONField):
        return _shorten(_list_values(field, json.loads(text)))
    if isinstance(field, DecimalField):
        return number_format(field.to_python(text).normalize(), use_l10n=True, force_grouping=True)
    return _shorten(text)


def _list_values(field: JSONField, found: Any) -> str:
    """“a, b”, and “a: 1, b: 2”: without the signs of JSON."""
    if isinstance(found, dict):
        return ", ".join(f"{key}: {value}" for key, value in found.items())
    if isinstance(found, list):
        return ", ".join(str(one) for one in found)
    return str(found)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


def actor_of(entry: LogEntry) -> str:
    """Who did it. Without an actor it was the command line or the platform itself."""
    if entry.actor_id and entry.actor:
        return str(entry.actor)
    return entry.actor_email or _("Command line or the platform")


def show_history(model_admin, request: HttpRequest, object_id: str) -> HttpResponse:
    """The page below an object. The entries show what the object's list shows anyway, so its view permission
    is enough; without it, what is there and what is not are refused alike.
    """
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    row = model_admin.get_object(request, object_id)
    if row is None:
        raise Http404
    if not model_admin.has_view_or_change_permission(request, row):
        raise PermissionDenied
    entries = (
        LogEntry.objects.get_for_object(row)
        .select_related("actor", "content_type")
        .order_by("-timestamp", "-pk")
    )
    page = Paginator(entries, PER_PAGE).get_page(request.GET.get("p"))
    said = zip(page, list_changes(page), strict=True)
    rows = [
        {"entry": entry, "action": ACTIONS[entry.action], "actor": actor_of(entry), "changes": changes}
        for entry, changes in said
    ]
    context = model_admin.admin_site.each_context(request) | {
        "title": _("History of %(name)s") % {"name": name_object(type(row), str(row))},
        "rows": rows,
        "page": page,
        "page_range": page.paginator.get_elided_page_range(page.number),
        "media": model_admin.media,
        "opts": model_admin.model._meta,
        "original": row,
        "object": row,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/object_history.html", context)
