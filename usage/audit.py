"""Which of this room's objects keep a history: what people decide, not what the ledger counts. Of the events
that is refunds alone: bills, estimates and corrections are written past the models' signals.
"""

from auditlog.registry import auditlog


def register_models() -> None:
    from administration.history import name_objects
    from usage.budget_names import name_budget
    from usage.models import Budget, UsageEvent

    name_objects(Budget, name_budget, from_kept=Budget.name_kept)

    auditlog.register(
        Budget, exclude_fields=["held", "spent", "allowance", "period_start", "created_at", "updated_at"]
    )
    auditlog.register(UsageEvent, include_fields=["request_id", "kind", "cost", "currency"])
