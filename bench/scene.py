"""What the benches share in one run: the mock upstream, the pass-through and, where one needs it, the
platform. Each starts on first use.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property

from bench import atrium, harness


class Scene(ExitStack):
    """Starts what is asked for, and stops it all at the end."""

    def __init__(self, *, quick: bool = False) -> None:
        super().__init__()
        self.quick = quick
        self.rounds = 3 if quick else 7  # many short rounds: on a busy machine the best of them counts
        self.tenants = 4 if quick else 20

    @cached_property
    def _mock(self) -> tuple[int, int]:
        return self.enter_context(harness.mock_upstream("--models", ",".join(self._models)))

    @property
    def _models(self) -> list[str]:
        from bench.gateway import MODELS

        return MODELS

    @property
    def mock_port(self) -> int:
        """The mock upstream's port."""
        return self._mock[0]

    @property
    def mock_pid(self) -> int:
        """The mock upstream's process."""
        return self._mock[1]

    @cached_property
    def _passthrough(self) -> tuple[int, int]:
        return self.enter_context(harness.passthrough(self.mock_port))

    @property
    def pass_port(self) -> int:
        """The reference gateway's port."""
        return self._passthrough[0]

    @property
    def pass_pid(self) -> int:
        """The reference gateway's process."""
        return self._passthrough[1]

    @cached_property
    def platform(self) -> atrium.Platform:
        """The platform, with its tenants and models."""
        return self.enter_context(atrium.platform(self.mock_port, self._models, self.tenants))

    @property
    def gateway_pids(self) -> list[int]:
        """The platform's processes that serve /v1."""
        return self.platform.gateway_pids()
