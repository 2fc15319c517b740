"""How long what is under way may go on when this process is told to end: DRAIN_S from the first signal, for
requests, and for work that outlives its request.
"""

import time

from django.conf import settings

LEAST_S = 1.0  # for what saves itself when it is cut off
_told_s: float | None = None


def begin() -> None:
    """The process was told to end. Again changes nothing."""
    global _told_s
    if _told_s is None:
        _told_s = time.monotonic()


def left_s() -> float:
    """All of it, where nobody was told: tests, and servers other than ours."""
    passed_s = time.monotonic() - _told_s if _told_s is not None else 0.0
    return max(settings.DRAIN_S - passed_s, LEAST_S)
