"""Making tenants, and changing what the platform decides about them. Needs the owner's login."""

import re

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from psycopg import sql

from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.spacing import join_texts
from foundation.told import gettext as _
from foundation.told import words_of
from tenants.context import owner, platform, tenant
from tenants.database.roles import grant_tenant_role
from tenants.measures import Measure
from tenants.models import Domain, Plan, Tenant
from tenants.notify import announce
from tenants.occasions import new_tenant
from tenants.provisioning.people import people
from tenants.slugs import TEMPLATE_SCHEMA, schema_name

DEFAULT_PLAN = "standard"
HOST_PATTERN = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)


def create_tenant(
    *,
    slug: str,
    name: str = "",
    host: str,
    plan: str = DEFAULT_PLAN,
    language: str = "en",
    currency: str = "EUR",
    owner_email: str = "",
    owner_password: str | None = None,
) -> Tenant:
    """Clone the template into a new schema, make its role, let every room seed itself, and make the
    first owner if an address is given.

    Raises InvalidInput (slug, host, plan, owner) and Conflict (taken). If anything fails, nothing remains.
    """
    with owner(), transaction.atomic(using="owner"):
        insert_tenant(slug=slug, name=name, host=host, plan=plan, language=language, currency=currency)
        _make_schema(slug)
    try:
        with tenant(slug), transaction.atomic():
            new_tenant.run(slug)
        if owner_email:
            people().make_owner(slug, owner_email, owner_password)
    except Exception:
        drop_schema(slug)
        raise
    return _open(slug)


def set_up_tenant(slug: str) -> Tenant:
    """Make the schema of a tenant that was ordered, seed it, give it its first owner, and open its
    door. Safe to call again after a kill.
    """
    with owner(), transaction.atomic(using="owner"):
        row = Tenant.objects.select_for_update().get(slug=slug)
        if row.status not in Tenant.UNREADY:
            return row
        if not _has_schema(slug):
            _make_schema(slug)
    with tenant(slug), transaction.atomic():
        new_tenant.run(slug)
    if row.contact_email:
        try:
            people().make_owner(slug, row.contact_email, None)
        except Conflict as exc:
            if exc.code != "user_exists":  # an earlier attempt made the owner and was killed after that
                raise
    return _open(slug)


def _has_schema(slug: str) -> bool:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema_name(slug)])
        return cursor.fetchone() is not None


def _make_schema(slug: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT public.atrium_clone_schema(%s, %s)", [TEMPLATE_SCHEMA, schema_name(slug)])
    grant_tenant_role(schema_name(slug))
    announce("tenant", slug)


def _open(slug: str) -> Tenant:
    with owner(), transaction.atomic(using="owner"):
        row = Tenant.objects.get(slug=slug)
        row.status = Tenant.Status.ACTIVE
        row.setup_error, row.setup_error_words = "", None
        row.save(update_fields=["status", "setup_error", "setup_error_words", "updated_at"])
        announce("tenant", slug)
    return row


def insert_tenant(
    slug: str,
    name: str,
    host: str,
    plan: str,
    language: str,
    currency: str,
    contact_email: str = "",
    data_policy: str = "",
) -> Tenant:
    """The rows of a new tenant, which is not set up yet. Call inside a transaction. Raises InvalidInput,
    Conflict.
    """
    host, chosen = read_host(host), _find_plan(plan)
    _refuse_taken(slug, host)
    row = Tenant(
        slug=slug,
        schema_name=schema_name(slug),
        name=name or slug,
        plan=chosen,
        language=language,
        currency=currency,
        contact_email=contact_email,
        data_policy=data_policy,
    )
    try:
        row.full_clean()
    except ValidationError as exc:
        raise InvalidInput(join_texts(exc.messages), param=next(iter(exc.message_dict), None)) from exc
    row.save()
    Domain.objects.create(domain=host, tenant=row, is_primary=True)
    return row


def _find_plan(name: str) -> Plan:
    try:
        return Plan.objects.get(name=name)
    except Plan.DoesNotExist:
        raise InvalidInput(_("There is no plan “%(plan)s”.") % {"plan": name}, param="plan") from None


def _refuse_taken(slug: str, host: str) -> None:
    if Tenant.objects.filter(slug=slug).exists():
        raise Conflict(
            _("The slug “%(slug)s” is taken.") % {"slug": slug}, code="tenant_exists", param="slug"
        )
    if Domain.objects.filter(domain=host).exists():
        raise Conflict(
            _("The host “%(host)s” leads to another tenant.") % {"host": host},
            code="domain_exists",
            param="host",
        )


def read_host(text: str) -> str:
    """A host name in its one form. Raises InvalidInput for what is none, or belongs to the platform."""
    host = text.strip().lower().rstrip(".")
    if not HOST_PATTERN.fullmatch(host):
        raise InvalidInput(
            _("Enter a host name such as chat.example.org, without https:// and without a port."),
            param="host",
        )
    if host in settings.PLATFORM_HOSTS:
        raise InvalidInput(_("“%(host)s” is a host of the platform itself.") % {"host": host}, param="host")
    return host


def drop_schema(slug: str) -> None:
    """Undo a provisioning that failed half-way: schema, role and rows. Not
    an erasure: that keeps a protocol.
    """
    schema = schema_name(slug)
    with owner(), transaction.atomic(using="owner"):
        database = connections["owner"].settings_dict["NAME"]
        with connections["owner"].cursor() as cursor:
            cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
            role = sql.Identifier(f"{database}_{schema}")
            cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE").format(role))
            cursor.execute(sql.SQL("DROP OWNED BY {}").format(role))
            cursor.execute(sql.SQL("DROP ROLE {}").format(role))
        Domain.objects.filter(tenant__slug=slug).delete()
        Tenant.objects.filter(slug=slug)._raw_delete("owner")
        announce("tenant", slug)


def get_tenant(slug: str, *, is_locked: bool = False) -> Tenant:
    """The tenant's row; locked, for those who write it. Raises NotFound. Call inside `with platform():` or
    `with owner():`.
    """
    rows = Tenant.objects.select_related("plan")
    try:
        return (rows.select_for_update(of=("self",)) if is_locked else rows).get(slug=slug)
    except Tenant.DoesNotExist:
        raise NotFound(
            _("There is no tenant “%(slug)s”.") % {"slug": slug}, code="tenant_not_found"
        ) from None


def set_tenant_status(*, slug: str, status: Tenant.Status) -> Tenant:
    """Suspend or resume a tenant; every door follows within a second. Its data stays. Raises NotFound,
    Conflict for one that is not set up.
    """
    with platform(), transaction.atomic():
        row = get_tenant(slug, is_locked=True)
        if row.status in Tenant.UNREADY:
            raise Conflict(
                _("“%(slug)s” is not set up yet. Set it up again first.") % {"slug": slug},
                code="tenant_not_ready",
            )
        row.status = status
        row.save(update_fields=["status", "updated_at"])
        announce("tenant", slug)
    return row


def ensure_default_plans() -> None:
    """Create the plans that a new installation starts with; never changes existing ones. Call inside `with
    platform():`.
    """
    standard, is_new = Plan.objects.get_or_create(name=DEFAULT_PLAN, defaults={"label": "Standard"})
    if is_new:
        standard.limits.create(measure=Measure.REQUESTS_PER_MINUTE, amount=1_000)
    Plan.objects.get_or_create(name="unlimited", defaults={"label": "Unlimited"})


def fail_setup(*, slug: str, reason: str) -> None:
    """Note why a set-up did not succeed, for the operator to read."""
    with platform(), transaction.atomic():
        row = Tenant.objects.select_for_update().get(slug=slug)
        if row.status in Tenant.UNREADY:
            row.status = Tenant.Status.FAILED
            row.setup_error, row.setup_error_words = reason[:300], words_of(reason)
            row.save(update_fields=["status", "setup_error", "setup_error_words", "updated_at"])
