"""What several modules of the gateway's tests need."""

import pytest

from gateway.steps import attempts


@pytest.fixture
def short_pauses(monkeypatch):
    """Between the attempts at one server."""
    monkeypatch.setattr(attempts, "PAUSES_S", (0.01, 0.02))
