"""Which connection a query takes, and which apps' tables a schema holds."""

from django.conf import settings
from django_tenants.routers import TenantSyncRouter

from tenants.context import current_scope


class TenantRouter(TenantSyncRouter):
    """Queries go to the owner's connection only inside `with owner(…)`; migrations run nowhere else."""

    def _alias(self) -> str | None:
        scope = current_scope()
        return "owner" if scope and scope.kind == "owner" else None

    def db_for_read(self, model, **hints) -> str | None:
        return self._alias()

    def db_for_write(self, model, **hints) -> str | None:
        return self._alias()

    def allow_relation(self, left, right, **hints) -> bool:
        return True  # both aliases reach the same database

    def allow_migrate(self, db, app_label, model_name=None, **hints) -> bool | None:
        scope = current_scope()
        if db != "owner" or scope is None:
            return False
        apps = settings.TENANT_APPS if scope.slug else settings.SHARED_APPS
        return None if self.app_in_list(app_label, apps) else False
