"""What administrators do about background tasks of any kind (tenants.work)."""

from accounts.models import User
from accounts.permissions import require
from tenants.local.models import Work
from tenants.work import services

CHANGE = "local.change_work"


def cancel_work(*, actor: User | None, row: Work) -> None:
    """Raises NotAllowed, Conflict for one that has ended."""
    require(actor, CHANGE)
    services.cancel(row)


def retry_work(*, actor: User | None, row: Work) -> None:
    """Raises NotAllowed, Conflict for one that did not fail, or whose object has newer work."""
    require(actor, CHANGE)
    services.retry(row)
