"""The database wrapper that follows the scope.

Guards against: rows of another tenant after a task switch, a thread hop, a rollback, a savepoint rollback or
a pooled connection; queries without a tenant (they run as a login without rights, which sees no table).
Does not guard against: SQL that itself says SET ROLE.
"""

from django_tenants.postgresql_backend import base as django_tenants_base

from tenants.context import Scope, current_scope
from tenants.slugs import role_name

NOBODY = ("none", "pg_catalog")  # the app login has no rights of its own (INHERIT FALSE)


class ScopeMismatch(RuntimeError):
    """The owner's connection was used outside `with owner(…)`."""


class DatabaseWrapper(django_tenants_base.DatabaseWrapper):
    _booted = False
    _setting_search_path: bool
    search_path_set_schemas: tuple[str, str] | None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._booted = True

    # The parent keeps the tenant on the connection; here these names are views of the context.
    @property
    def schema_name(self) -> str:
        scope = current_scope()
        return scope.schema if scope else "public"

    @schema_name.setter
    def schema_name(self, value) -> None: ...

    @property
    def tenant(self):
        return django_tenants_base.FakeTenant(schema_name=self.schema_name)

    @tenant.setter
    def tenant(self, value) -> None: ...

    def set_tenant(self, tenant, include_public=True) -> None:
        if self._booted:
            raise RuntimeError("The active tenant is set with tenants.context, not on the connection.")

    def set_settings_schema(self, schema_name) -> None:
        """The parent would write the schema into shared settings."""

    def _wanted(self) -> tuple[str, str]:
        """Role and search_path for the active scope."""
        scope = current_scope()
        if self.alias == "owner":
            if scope is None or scope.kind != "owner":
                raise ScopeMismatch("The owner's connection is used only inside `with owner(…)`.")
            return "none", self._search_path(scope)
        if scope is None or scope.kind == "owner":
            return NOBODY
        schema = "platform" if scope.kind == "platform" else scope.schema
        return role_name(self.settings_dict["NAME"], schema), self._search_path(scope)

    @staticmethod
    def _search_path(scope: Scope) -> str:
        return f'"{scope.schema}", public' if scope.slug else "public"

    def _handle_search_path(self, cursor=None) -> None:
        """Bring the connection to the active scope: one statement, only when
        something changed. Errors raise.
        """
        wanted = self._wanted()
        if self._setting_search_path or self.search_path_set_schemas == wanted:
            return
        self.search_path_set_schemas = None
        self._setting_search_path = True
        try:
            # The psycopg connection itself, so that query logs and counts show
            # only the application's statements.
            with self.wrap_database_errors, self.connection.cursor() as switch:
                switch.execute(
                    "SELECT set_config('role', %s, false), set_config('search_path', %s, false)", wanted
                )
            self.search_path_set_schemas = wanted
        finally:
            self._setting_search_path = False

    def savepoint_rollback(self, sid) -> None:
        """The transaction may be aborted: no switch of scope can run before the rollback, the next statement
        makes it.
        """
        self._setting_search_path = True
        super().savepoint_rollback(sid)  # the parent clears the flag and forgets the path
