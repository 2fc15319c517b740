"""What several tests of the administrations begin with."""

import pytest

from tenants.context import platform
from tenants.doors import hosts
from tenants.models import Tenant


@pytest.fixture
def in_dollars(db):
    """Acme is billed in US dollars."""
    with platform():
        Tenant.objects.filter(slug="acme").update(currency="USD")
    hosts.forget("acme")
    yield
    hosts.forget("acme")
