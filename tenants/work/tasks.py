"""Celery tasks that carry their tenant. Messages without a tenant are refused. What must not be lost is no
message but work (`tenants.work.services`), for which these only wake.
"""

from typing import Any

from celery import Task, shared_task
from django.db import connection

from tenants.context import Scope, current_scope, use_scope

WAKE_EXPIRES_S = 30  # workers look by themselves every two seconds
HEADER = "atrium_tenant"
PLATFORM = "*platform"  # no slug contains an asterisk


class TenantlessMessage(RuntimeError):
    """A message came without its tenant: refused, because it would run in nobody's name."""


class TenantTask(Task):
    """The base of every task: runs inside the scope that its message names."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        scope = _scope_of(self.request)
        with use_scope(scope):
            try:
                return self.run(*args, **kwargs)
            finally:
                if not connection.in_atomic_block:
                    connection.close()

    def apply_async(self, args=None, kwargs=None, headers=None, **options):
        scope = current_scope()
        if scope is None or scope.kind == "owner":
            raise TenantlessMessage(f"{self.name} was sent outside a tenant's scope.")
        return super().apply_async(
            args, kwargs, headers={**(headers or {}), HEADER: scope.slug or PLATFORM}, **options
        )


def _scope_of(request) -> Scope:
    label = (getattr(request, HEADER, None) or (request.headers or {}).get(HEADER)) if request else None
    if not label:
        raise TenantlessMessage(f"a message for {request.task if request else 'a task'} names no tenant")
    return Scope("platform") if label == PLATFORM else Scope("tenant", label)


@shared_task(base=TenantTask, name="tenants.work.wake")
def wake(queue: str) -> None:
    """There is work in a queue. The message may be lost, come twice or too late: the rows are the queue."""
    from tenants.work.crew import wake_crew

    wake_crew(queue)
