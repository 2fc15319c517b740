"""Which of this room's objects keep a history: what people decide, not what the index counts."""

from auditlog.registry import auditlog


def register_models() -> None:
    from rag.models import Collection, Document

    auditlog.register(Collection, exclude_fields=["active_generation", "created_at", "updated_at"])
    auditlog.register(
        Document,
        exclude_fields=["content_hash", "state", "reason", "reason_words", "created_at", "updated_at"],
    )
