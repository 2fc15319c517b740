"""Which of this room's objects keep a history; secrets and look-up times stay out of it."""

from auditlog.registry import auditlog


def register_models() -> None:
    from django.contrib.auth.models import Group

    from accounts.models import ApiKey, Grant, Limit, Project, ProjectMembership, User
    from accounts.roles import name_role
    from administration.history import name_objects, name_values

    auditlog.register(User, exclude_fields=["password", "last_login"], m2m_fields={"groups"})
    auditlog.register(ApiKey, exclude_fields=["digest", "last_used_at", "maker_ids"])
    auditlog.register(Project)
    auditlog.register(ProjectMembership)
    auditlog.register(Grant, exclude_fields=["created_at", "updated_at"])
    auditlog.register(Limit, exclude_fields=["created_at", "updated_at"])
    auditlog.register(Group, m2m_fields={"permissions"})
    name_objects(Group, name_role)
    name_values(ApiKey, "scopes", lambda: dict(ApiKey.Scope.choices))
    name_objects(Limit, from_kept=Limit.name_kept)
