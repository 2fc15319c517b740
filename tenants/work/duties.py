"""Periodic work without a walk over all tenants: who has something to do says so, the scheduler asks once.

A duty is noted in the tenant's own transaction (the function `public.atrium_duty` runs as its owner), so none
is lost; it may be carried out twice, so whoever carries it out must be safe to call again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from django.db import connection
from django.utils import timezone

from tenants.context import Scope, current_scope, platform, use_scope
from tenants.slugs import slug_of_schema

Worker = Callable[[], object]  # what it returns is for those who call it themselves
W = TypeVar("W", bound=Worker)
_workers: dict[str, Worker] = {}
MOST_AT_ONCE = 1_000  # duties of one round


def note_duty(kind: str, due_at: datetime | None = None) -> None:
    """Note that the active schema has work of this kind, now or at `due_at` (aware)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.atrium_duty(%s, %s)", [kind, due_at or timezone.now()])


def duty(kind: str) -> Callable[[W], W]:
    """Register the function that carries out one kind of duty, inside the
    scope of the schema that noted it.
    """

    def register(worker: W) -> W:
        if kind in _workers:
            raise ValueError(f"Two functions carry out the duty “{kind}”.")
        _workers[kind] = worker
        return worker

    return register


def scope_of_role(role: str) -> Scope:
    """The schema whose role noted a duty."""
    schema = role.removeprefix(f"{connection.settings_dict['NAME']}_")
    return Scope("platform") if schema == "platform" else Scope("tenant", slug_of_schema(schema))


def carry_out_duties(on_error: Callable[[str, str, Exception], None]) -> int:
    """Do what is due, each schema and kind once; returns how many. A
    failing one is reported and stays due.
    """
    from tenants.models import Duty

    assert_platform()
    due: dict[tuple[str, str], list[int]] = {}
    rows = Duty.objects.filter(due_at__lte=timezone.now(), kind__in=list(_workers))
    for row in rows.order_by("due_at")[:MOST_AT_ONCE]:
        due.setdefault((row.role, row.kind), []).append(row.pk)
    for (role, kind), ids in due.items():
        try:
            with use_scope(scope_of_role(role)):
                _workers[kind]()
        except Exception as exc:
            on_error(role, kind, exc)
            continue
        with platform():
            Duty.objects.filter(pk__in=ids).delete()
    return len(due)


def assert_platform() -> None:
    scope = current_scope()
    if scope is None or scope.kind != "platform":
        raise RuntimeError("Duties are read inside `with platform():`.")
