"""What several tests of the administrations begin with."""

import pytest


@pytest.fixture
def in_dollars(set_acme):
    """Acme is billed in US dollars."""
    set_acme(currency="USD")
