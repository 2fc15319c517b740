"""The house for clients that others wrote: used as their documentation says, with its address and a key."""

import pytest

from tests.live import TENANTS, House


@pytest.fixture
def key(house: House) -> str:
    return house.keys[TENANTS[0]]
