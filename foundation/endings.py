"""What a process does at its end while it still can: its threads, its database and its log are open.

Covers: commands, workers among them (`manage.py` calls `end`), and tests. Does not cover: other programs;
theirs is done at `atexit`, before which Python has closed every executor, so that steps may fail there.
"""

import atexit
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)
_steps: list[Callable[[], None]] = []


def at_end(step: Callable[[], None]) -> None:
    """Have this done once when the process ends; what was noted last comes first."""
    _steps.append(step)


@atexit.register
def end() -> None:
    """Do what was noted. Again does nothing."""
    while _steps:
        step = _steps.pop()
        try:
            step()
        except Exception:
            logger.exception("a process did not end cleanly")
