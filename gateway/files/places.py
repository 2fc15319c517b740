"""How many files a process moves at once, of one tenant and of all. Each holds a buffer, a connection and an
open file, for as long as its client takes.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from foundation.errors import Unavailable
from foundation.told import gettext as _

OF_TENANT, OF_ALL = 50, 200
RETRY_AFTER_S = 5
_by_tenant: Counter[str] = Counter()


@contextmanager
def place_for(slug: str) -> Iterator[None]:
    """Raises Unavailable. Belongs to one event loop."""
    if _by_tenant[slug] >= OF_TENANT or _by_tenant.total() >= OF_ALL:
        raise Unavailable(
            _("Too many files are on the way at this moment. Try again in a few seconds."),
            code="overloaded",
            retry_after_s=RETRY_AFTER_S,
        )
    _by_tenant[slug] += 1
    try:
        yield
    finally:
        _by_tenant[slug] -= 1
        if not _by_tenant[slug]:
            del _by_tenant[slug]
