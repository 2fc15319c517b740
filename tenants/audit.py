"""Which of this room's objects keep a history."""

from auditlog.registry import auditlog


def register_models() -> None:
    from tenants.models import Domain, Plan, Tenant

    auditlog.register(Tenant, exclude_fields=["created_at", "updated_at", "schema_name"])
    auditlog.register(Domain)
    auditlog.register(Plan, exclude_fields=["created_at", "updated_at"])
