"""Answers that do not keep the form that was asked for, and that nobody but us checks."""

from foundation.errors import UpstreamError
from gateway.calls import Correction


class BrokenForm(UpstreamError):
    """Its model is told once what is wrong, and asked again (gateway.steps.attempts)."""

    code = "upstream_broken_form"

    def __init__(self, message: str, correction: Correction) -> None:
        super().__init__(message)
        self.correction = correction
