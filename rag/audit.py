"""Which of this room's objects keep a history: what people decide, not what the index counts."""

import re

from auditlog.registry import auditlog

from administration.history import name_values

UNDECIDED = [
    "content_hash",
    "state",
    "reason",
    "reason_words",
    "page_count",
    "scanned_page_count",
    "fetched_at",
    "facts",
    "validators",
    "created_at",
    "updated_at",
]
NOT_OF_COLLECTIONS = ["active_generation", "keeper_id", "conversation_id", "created_at", "updated_at"]
OF_CHECKS = ["last_checked_at", "last_error", "last_error_words"]


def register_models() -> None:
    from rag.models import Collection, Document, RagflowAccount

    auditlog.register(Collection, exclude_fields=NOT_OF_COLLECTIONS)
    auditlog.register(Document, exclude_fields=UNDECIDED)
    auditlog.register(RagflowAccount, exclude_fields=["secret", *OF_CHECKS])
    name_values(Collection, "languages", say_languages)
    name_values(Collection, "owner_id", say_person)


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
