"""The audit log as people read it: who changed what, when, from which value to which. Used below each object and for the whole log."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from auditlog.models import LogEntry
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
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


@dataclass(frozen=True, slots=True)
class Change:
    """One field's change, as text. Values of secrets never reach the log (the rooms' `audit.py` exclude them)."""

    field: str
    before: str
    after: str


def list_changes(entry: LogEntry) -> list[Change]:
    """What an entry says, field by field, under the names people know."""
    model = entry.content_type.model_class() if entry.content_type_id else None
    return list(_read_changes(entry.changes_dict, model))


def _read_changes(changes: dict[str, Any], model: type[Model] | None) -> Iterator[Change]:
    for name, values in sorted(changes.items()):
        if name in UNSAID or _is_reverse(model, name):
            continue
        if isinstance(values, dict):  # a relation: objects were added or removed
            objects = ", ".join(values.get("objects", []))
            added = values.get("operation") == "add"
            yield Change(_label(model, name), "" if added else objects, objects if added else "")
        elif isinstance(values, list | tuple) and len(values) == 2:
            before, after = (_shorten(value) for value in values)
            if before != after:
                yield Change(_label(model, name), before, after)


def _is_reverse(model: type[Model] | None, name: str) -> bool:
    """Whether it is another object's relation to this one, which auditlog notes as an empty field."""
    return model is not None and any(relation.get_accessor_name() == name or relation.name == name for relation in model._meta.related_objects)


def _label(model: type[Model] | None, name: str) -> str:
    try:
        return capfirst(str(model._meta.get_field(name).verbose_name)) if model else name
    except (FieldDoesNotExist, AttributeError):
        return name


def _shorten(value: Any) -> str:
    text = "" if value in NOTHING else str(value)
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


def actor_of(entry: LogEntry) -> str:
    """Who did it. Without an actor it was the command line or the platform itself."""
    if entry.actor_id and entry.actor:
        return str(entry.actor)
    return entry.actor_email or _("Command line or the platform")


def show_history(model_admin, request: HttpRequest, object_id: str) -> HttpResponse:
    """The page below an object. The entries show what the object's list shows anyway, so its view permission is enough."""
    row = model_admin.get_object(request, object_id)
    if row is None:
        raise Http404
    if not model_admin.has_view_or_change_permission(request, row):
        raise PermissionDenied
    entries = LogEntry.objects.get_for_object(row).select_related("actor", "content_type").order_by("-timestamp", "-pk")
    page = Paginator(entries, PER_PAGE).get_page(request.GET.get("p"))
    rows = [{"entry": entry, "action": ACTIONS[entry.action], "actor": actor_of(entry), "changes": list_changes(entry)} for entry in page]
    context = model_admin.admin_site.each_context(request) | {
        "title": _("History of %(name)s") % {"name": row}, "rows": rows, "page": page, "opts": model_admin.model._meta, "original": row, "object": row,
        "page_range": page.paginator.get_elided_page_range(page.number), "media": model_admin.media,
    }  # fmt: skip
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/object_history.html", context)
