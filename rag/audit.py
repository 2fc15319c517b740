"""Which of this room's objects keep a history: what people decide, not what the index counts.

Guards against: names of private collections, of their documents and of files in conversations in the audit
log, which every administrator reads. Such an entry says who did what to which id, and when.
"""

import re
from typing import Any

from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.signals import pre_save

from administration.history import model_of, name_only, name_values

UNDECIDED = [
    "content_hash",
    "key_id",
    "project_id",
    "held_bytes",
    "state",
    "reason",
    "reason_words",
    "page_count",
    "scanned_page_count",
    "read_by",
    "fetched_at",
    "facts",
    "twins",
    "validators",
    "created_at",
    "updated_at",
]
NOT_OF_COLLECTIONS = ["active_generation", "keeper_id", "conversation_id", "created_at", "updated_at"]
OF_CHECKS = ["last_checked_at", "last_error", "last_error_words"]
NAMING = ("name", "title", "address", "description", "metadata", "file", "parent")


def register_models() -> None:
    from rag.models import Collection, Document, RagflowAccount
    from tenants.files.models import File

    auditlog.register(Collection, exclude_fields=NOT_OF_COLLECTIONS)
    auditlog.register(Document, exclude_fields=UNDECIDED)
    auditlog.register(RagflowAccount, exclude_fields=["secret", *OF_CHECKS])
    name_values(Collection, "languages", say_languages)
    name_values(Collection, "owner_id", say_person)
    pre_save.connect(leave_names_out, sender=LogEntry, dispatch_uid="rag.audit")
    name_only(Collection, lambda rows: rows.filter(owner_id=None, conversation_id=None))
    name_only(Document, _list_shared)
    name_only(
        File, lambda rows: rows.filter(Exists(_list_shared(Document.objects.filter(file=OuterRef("pk")))))
    )


def _list_shared(documents: QuerySet) -> QuerySet:
    return documents.filter(collection__owner_id=None, collection__conversation_id=None)


def leave_names_out(instance: LogEntry, **_told: Any) -> None:
    """Before an entry is written: what is private is called by its id. An entry that does not say whether it
    is counts as private.
    """
    from rag.models import Collection, Document

    if model_of(instance) not in (Collection, Document):
        return
    if (instance.additional_data or {}).get("is_private", True):
        instance.object_repr = instance.object_pk
        changes = instance.changes or {}
        instance.changes = {field: values for field, values in changes.items() if field not in NAMING}


def say_person(kept: str) -> str:
    """Of the id that the log keeps; everybody of the organisation where it keeps none."""
    from accounts.models import User

    row = User.objects.filter(pk=kept).first() if re.fullmatch(r"[0-9a-f-]{36}", kept) else None
    return str(row) if row else kept


def say_languages(kept: str) -> str:
    """Of the text that the log keeps of a list of codes."""
    from rag.models import Language

    known = dict(Language.choices)
    return ", ".join(str(known[code]) for code in re.findall(r"[a-z]{2}", kept) if code in known)
