"""Reading work, for pages. Whoever shows it asks first whether the person may see its object."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import QuerySet

from tenants.local.models import Work
from tenants.work.kinds import find_kind


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


def label_stages(row: Work) -> list[tuple[str, int, int]]:
    """How far each stage is: what people call it, done, total."""
    kind = find_kind(row.kind)
    labels = kind.stages if kind else {}
    return [(str(labels.get(name, name)), done, total) for name, done, total in row.stages]
