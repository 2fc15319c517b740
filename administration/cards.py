"""The system administration's card about tenants. (`administration.start_page` is the registry.)"""

from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse

from administration.start_page import card
from tenants.models import Tenant

LIMIT = 8


@card(
    site="system",
    order=20,
    permission="tenants.view_tenant",
    template="admin/cards/tenants.html",
    width="full",
)
def tenants(request: HttpRequest) -> dict[str, Any]:
    counts = dict(Tenant.objects.order_by().values_list("status").annotate(count=Count("pk")))
    special = Tenant.objects.exclude(status=Tenant.Status.ACTIVE).order_by("-updated_at")[:LIMIT]
    states = [
        (str(label), counts.get(status, 0))
        for status, label in Tenant.Status.choices
        if counts.get(status) or status == Tenant.Status.ACTIVE
    ]
    return {
        "states": states,
        "special": list(special),
        "add_url": reverse("system:tenants_tenant_add"),
        "list_url": reverse("system:tenants_tenant_changelist"),
    }
