"""Of the living house: its two tenants, what they ask, and what was booked."""

from tests.live import TENANTS

HELLO = [{"role": "user", "content": "hello there"}]
ONE, TWO = TENANTS


def events_of(slug: str, count: int = 1) -> list:
    """The latest usage events of a tenant, newest first."""
    from tenants.context import tenant
    from usage.models import UsageEvent

    with tenant(slug):
        return list(UsageEvent.objects.order_by("-created_at", "-pk")[:count])
