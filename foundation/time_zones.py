"""The names of the time zones that this machine knows."""

import zoneinfo
from functools import cache


@cache
def list_time_zones() -> frozenset[str]:
    """Read once a process: zoneinfo opens each of some 600 files to answer."""
    return frozenset(zoneinfo.available_timezones())
