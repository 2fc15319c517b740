"""Messages of the release before, which sent a task for each mail and each set-up: those that still wait at
the broker. The next release drops this module.
"""

from typing import Any

from celery import shared_task

from tenants.work.services import order
from tenants.work.tasks import TenantTask


def take_messages(kind: str, object_argument: str = "") -> None:
    """A task of the kind's name, which orders its work."""

    @shared_task(base=TenantTask, name=kind)
    def take(**arguments: Any) -> None:
        object_id = arguments.pop(object_argument, "")
        order(kind, object_id, arguments=arguments)
