"""The system administration's card about tenants. (`administration.start_page` is the registry.)"""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from administration.start_page import card
from tenants.models import Tenant
from tenants.selectors import count_tenants_by_status, list_tenants_to_look_at

LIMIT = 8


@card(
    site="system",
    order=20,
    permission="tenants.view_tenant",
    template="admin/cards/tenants.html",
    width="full",
)
def tenants(request: HttpRequest) -> dict[str, Any]:
    counts = count_tenants_by_status()
    special = list_tenants_to_look_at(LIMIT)
    states = [
        (str(label), counts.get(status, 0))
        for status, label in Tenant.Status.choices
        if counts.get(status) or status == Tenant.Status.ACTIVE
    ]
    return {
        "states": states,
        "special": special,
        "add_url": reverse("system:tenants_tenant_add"),
        "list_url": reverse("system:tenants_tenant_changelist"),
    }
