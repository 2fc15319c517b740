"""Reading work, for pages. Whoever shows it asks first whether the person may see its object."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from tenants.local.models import Work
from tenants.work.kinds import WorkObject, find_kind


def list_work(kind: str, object_id: UUID | str) -> QuerySet[Work]:
    """The work on one object, newest first."""
    return Work.objects.filter(kind=kind, object_id=str(object_id))


def find_newest_work(kind: str | Sequence[str], object_ids: Iterable[UUID | str]) -> dict[str, Work]:
    """The newest work of this kind, or of these, on each of these objects that has any, in one query."""
    kinds = [kind] if isinstance(kind, str) else list(kind)
    rows = Work.objects.filter(kind__in=kinds, object_id__in=[str(pk) for pk in object_ids])
    newest = rows.order_by("object_id", "-created_at", "-pk").distinct("object_id")
    return {row.object_id: row for row in newest}


def label_kind(name: str) -> str:
    """What people call a kind of work; its name where this release does not know it."""
    kind = find_kind(name)
    return name if kind is None else str(kind.label)


def find_work_objects(person: Any, rows: Iterable[Work]) -> dict[UUID, WorkObject]:
    """What each piece of work is done to, by the work's id, as far as the person may know it; one look for
    each kind.
    """
    by_kind: dict[str, list[Work]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    found: dict[UUID, WorkObject] = {}
    for name, same in by_kind.items():
        kind = find_kind(name)
        if kind is not None and kind.name_objects is not None:
            named = kind.name_objects(person, [row.object_id for row in same])
            found |= {row.pk: named[row.object_id] for row in same if row.object_id in named}
    return found


def label_stages(row: Work) -> list[tuple[str, int, int]]:
    """How far each stage is: what people call it, done, total."""
    kind = find_kind(row.kind)
    labels = kind.stages if kind else {}
    return [(str(labels.get(name, name)), done, total) for name, done, total in row.stages]
