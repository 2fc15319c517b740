"""Which of this room's objects keep a history, and who stands behind a request."""

from collections.abc import Iterable
from typing import Any

from auditlog.cid import get_cid
from auditlog.context import auditlog_value
from auditlog.diff import model_instance_diff
from auditlog.registry import auditlog
from django.db.models import Model
from django.db.models.signals import pre_save

AT_ONCE = 500  # rows of one statement


def register_models() -> None:
    from tenants.local.models import WebOrigin, Work
    from tenants.models import Domain, Plan, PlanLimit, Tenant

    auditlog.register(Tenant, exclude_fields=["created_at", "updated_at", "schema_name", "setup_error_words"])
    auditlog.register(Domain)
    auditlog.register(WebOrigin)
    # what people do: workers write past it
    auditlog.register(Work, include_fields=["state", "cancel_wanted_at"])
    auditlog.register(Plan, exclude_fields=["created_at", "updated_at"])
    auditlog.register(PlanLimit, exclude_fields=["created_at", "updated_at"])


def note_actor(user: Any) -> None:
    """Whoever logs in, or comes with an API key, during this request: the middleware noted only
    whose session it was when it began.
    """
    noted = auditlog_value.get(None)
    if noted is not None and user.is_authenticated:
        noted["actor"] = user


def note_changes(changes: Iterable[tuple[Model | None, Model]]) -> None:
    """Keep the history of rows that one statement wrote, of which auditlog hears nothing: each as it was
    (None: new) and as it is.
    """
    from auditlog.models import LogEntry
    from django.contrib.contenttypes.models import ContentType

    entries = []
    for before, row in changes:
        if not (differences := model_instance_diff(before, row)):
            continue
        entry = LogEntry(
            content_type=ContentType.objects.get_for_model(row),
            object_pk=str(row.pk),
            object_repr=str(row),
            action=LogEntry.Action.CREATE if before is None else LogEntry.Action.UPDATE,
            changes=differences,
            cid=get_cid(),
        )
        # by which auditlog adds who it was and from where
        pre_save.send(LogEntry, instance=entry, raw=False, using=None, update_fields=None)
        entries.append(entry)
    LogEntry.objects.bulk_create(entries, batch_size=AT_ONCE)
