"""Celery tasks that carry their tenant, and the outbox through which they are sent.

A task is sent in three steps: an outbox row in the transaction that wants it, a message with the row's id
once that has committed, and the relay for rows whose message was never sent. Messages without a tenant are
refused. Receivers must be safe to run twice.
"""

import logging
from datetime import timedelta
from typing import Any

from celery import Task, current_app, shared_task
from django.db import connection, transaction
from django.utils import timezone

from tenants.context import Scope, current_scope, use_scope
from tenants.work.duties import duty, note_duty

logger = logging.getLogger(__name__)

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


def enqueue(task: Task, *, queue: str = "", **arguments: Any) -> None:
    """Send a task when the running transaction commits; if the broker is
    down then, the relay sends it later.
    """
    from tenants.local.models import OutboxMessage

    message = OutboxMessage.objects.create(task=task.name, arguments=arguments, queue=queue)
    note_duty("outbox", timezone.now() + timedelta(seconds=15))
    transaction.on_commit(lambda: _send(message), robust=True)


def _send(message) -> None:
    options = {"queue": message.queue} if message.queue else {}
    current_app.tasks[message.task].apply_async(kwargs=message.arguments, task_id=str(message.pk), **options)
    message.sent_at = timezone.now()
    message.save(update_fields=["sent_at"])


@duty("outbox")
def relay_outbox() -> None:
    """Send the messages of the active schema that no process has sent. A lock keeps two relays from sending
    one twice.
    """
    from tenants.local.models import OutboxMessage

    with transaction.atomic():
        for message in (
            OutboxMessage.objects.select_for_update(skip_locked=True)
            .filter(sent_at=None)
            .order_by("created_at")[:500]
        ):
            _send(message)
        OutboxMessage.objects.filter(sent_at__lt=timezone.now() - timedelta(days=7)).delete()


@shared_task(base=TenantTask, name="tenants.work.wake")
def wake(queue: str) -> None:
    """There is work in a queue. The message may be lost, come twice or too late: the rows are the queue."""
    from tenants.work.crew import wake_crew

    wake_crew(queue)
