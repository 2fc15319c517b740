"""Which of this room's objects keep a history: what people decide, not what the ledger counts."""

from auditlog.registry import auditlog


def register_models() -> None:
    from usage.models import Budget

    auditlog.register(
        Budget, exclude_fields=["held", "spent", "allowance", "period_start", "created_at", "updated_at"]
    )
