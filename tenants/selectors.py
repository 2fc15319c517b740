"""What other rooms may know of tenants and plans. All functions enter the platform's scope themselves."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db.models import Count

from tenants.context import current_tenant, find_tenant, platform
from tenants.links import address_of
from tenants.models import Domain, Plan, PlanLimit, Tenant

MAX_DEMO_HOSTS = 20


@dataclass(frozen=True, slots=True)
class DemoHost:
    """Where an organisation of the demonstration is found."""

    organisation: str
    address: str  # scheme, host and port


def get_currency() -> str:
    """The currency in which the active tenant is billed."""
    slug = current_tenant()
    with platform():
        return Tenant.objects.values_list("currency", flat=True).get(slug=slug)


def get_organisation_name() -> str:
    """What people call whom they belong to: the active tenant's name, or the platform's."""
    slug = find_tenant()
    if slug is None:
        return "Atrium"
    with platform():
        return Tenant.objects.values_list("name", flat=True).get(slug=slug)


def get_plan(plan_id: str) -> Plan:
    """With its limits."""
    with platform():
        return Plan.objects.prefetch_related("limits").get(pk=UUID(plan_id))


def get_plan_id() -> UUID:
    """The plan of the active tenant."""
    slug = current_tenant()
    with platform():
        return Tenant.objects.values_list("plan_id", flat=True).get(slug=slug)


def get_plan_limits() -> dict[str, int]:
    """Measure → what the plan of the active tenant allows of it; what has no limit is missing."""
    slug = current_tenant()
    with platform():
        rows = PlanLimit.objects.filter(plan__tenants__slug=slug)
        return dict(rows.values_list("measure", "amount"))


def get_plan_budget(slug: str) -> Decimal | None:
    """What the plan of a tenant allows to be spent in a month; None: no limit."""
    with platform():
        return Tenant.objects.values_list("plan__monthly_budget", flat=True).get(slug=slug)


@dataclass(frozen=True, slots=True)
class StorageAllowance:
    """What a plan allows to be kept, and how large one file may be; None: no limit."""

    storage_bytes: int | None
    largest_file_bytes: int | None


def get_storage_allowance() -> StorageAllowance:
    """Of the active tenant's plan."""
    slug = current_tenant()
    with platform():
        rows = Tenant.objects.values_list("plan__storage_bytes", "plan__largest_file_bytes")
        return StorageAllowance(*rows.get(slug=slug))


def list_plans(names: list[str]) -> list[Plan]:
    """The plans with these names; those that there are not are missing."""
    with platform():
        return list(Plan.objects.filter(name__in=names))


def list_tenants_billed_otherwise(currency: str) -> list[Tenant]:
    """Those that pay in another currency, by name."""
    with platform():
        return list(Tenant.objects.exclude(currency=currency).order_by("name"))


def count_tenants_by_status() -> dict[str, int]:
    with platform():
        return dict(Tenant.objects.order_by().values_list("status").annotate(count=Count("pk")))


def list_tenants_to_look_at(limit: int) -> list[Tenant]:
    """Those that are not simply active, the latest change first."""
    with platform():
        rows = Tenant.objects.exclude(status=Tenant.Status.ACTIVE).order_by("-updated_at")
        return list(rows[:limit])


def list_demo_hosts() -> list[DemoHost]:
    """The organisations whose hosts end in .localhost, which only this machine reaches."""
    with platform():
        rows = Domain.objects.filter(domain__endswith=".localhost").select_related("tenant")
        return [DemoHost(row.tenant.name, address_of(row.domain)) for row in rows[:MAX_DEMO_HOSTS]]
