"""System checks of tenancy: impossible combinations stop the start, with a hint."""

from django.apps import apps
from django.conf import settings
from django.core.checks import Error, Info, Warning, register

from foundation.jail.state import describe_jail


def _tables(app_names) -> set[str]:
    wanted = {config.name for config in apps.get_app_configs() if config.name in app_names}
    return {
        table
        for config in apps.get_app_configs()
        if config.name in wanted
        for model in config.get_models(include_auto_created=True)
        if not model._meta.proxy
        for table in [model._meta.db_table]
    }


@register()
def readable_public_tables_exist_in_public_only(app_configs, **kwargs):
    """A name a tenant may read in `public` must not exist in its own schema, or search_path would hide one of
    the two.
    """
    shared, per_tenant = _tables(settings.SHARED_APPS), _tables(settings.TENANT_APPS)
    errors = []
    for table in settings.TENANT_READABLE_PUBLIC_TABLES:
        if table not in shared:
            errors.append(
                Error(
                    f"TENANT_READABLE_PUBLIC_TABLES names {table}, which no shared app has.", id="atrium.E001"
                )
            )
        if table in per_tenant:
            errors.append(
                Error(
                    f"{table} exists in public and in tenant schemas.",
                    hint="Rename one of the two models.",
                    id="atrium.E002",
                )
            )
    return errors


@register()
def tables_live_in_one_world(app_configs, **kwargs):
    """Apart from the identity apps, an app is shared or per tenant, never both."""
    both = set(settings.SHARED_APPS) & set(settings.TENANT_APPS) - set(settings.IDENTITY_APPS)
    return [
        Error(
            f"{name} is in SHARED_APPS and in TENANT_APPS but not in IDENTITY_APPS.",
            hint="Decide for one.",
            id="atrium.E003",
        )
        for name in sorted(both)
    ]


@register()
def tenant_schemas_stay_small(app_configs, **kwargs):
    """At most 64 tables per tenant: each costs catalogue rows and memory per connection, times tenants."""
    count = len(_tables(settings.TENANT_APPS)) + 1
    return (
        [Error(f"A tenant schema would have {count} tables, at most 64.", id="atrium.E004")]
        if count > 64
        else []
    )


@register(deploy=True)
def untrusted_files_are_read_in_a_jail(app_configs, **kwargs):
    """Tried with a jailed process; so only with `check --deploy`."""
    state = describe_jail()
    if not state.is_working:
        return [Error("No process can be jailed: documents cannot be read.", id="atrium.E005")]
    if state.open:
        hint = "Install bubblewrap and allow user namespaces, or use a kernel with Landlock (5.13)."
        return [Warning(f"Jailed processes reach: {', '.join(state.open)}.", hint=hint, id="atrium.W005")]
    walls = "bubblewrap, Landlock and seccomp" if state.has_bubblewrap else "Landlock and seccomp"
    return [Info(f"Untrusted files are read behind {walls}.", id="atrium.I005")]
