"""Which of this room's objects keep a history, and who stands behind a request."""

from typing import Any

from auditlog.context import auditlog_value
from auditlog.registry import auditlog


def register_models() -> None:
    from tenants.local.models import WebOrigin
    from tenants.models import Domain, Plan, PlanLimit, Tenant

    auditlog.register(Tenant, exclude_fields=["created_at", "updated_at", "schema_name"])
    auditlog.register(Domain)
    auditlog.register(WebOrigin)
    auditlog.register(Plan, exclude_fields=["created_at", "updated_at"])
    auditlog.register(PlanLimit, exclude_fields=["created_at", "updated_at"])


def note_actor(user: Any) -> None:
    """Whoever logs in, or comes with an API key, during this request: the middleware noted only
    whose session it was when it began.
    """
    noted = auditlog_value.get(None)
    if noted is not None and user.is_authenticated:
        noted["actor"] = user
