"""Django's sessions in the database, with an end: short for those who are not logged in, and expired ones are
deleted.

Covers: whoever only looks at the log-in form leaves a row for two hours at most; the first new
session of an hour notes the duty.
Does not cover: sessions saved by async code (`asave`), which nothing here does: they note no duty.
"""

import re
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Min
from django.http import HttpRequest
from django.utils import timezone

from tenants.context import scope_label
from tenants.doors.hosts import DoorState, find_tenant_by_slug
from tenants.work.duties import duty, note_duty

SESSIONS = "sessions"
KEY = re.compile(f"[{VALID_KEY_CHARS}]{{8,40}}")
AT_ONCE, MOST_BATCHES = 1_000, 50

# by scope, what this process has noted last: a note an hour, not one a visit
_noted: dict[str, datetime] = {}


class SessionStore(db.SessionStore):
    """The class keeps its parent's name, with which sessions are signed."""

    def _validate_session_key(self, key: str | None) -> bool:
        """Only such as are made here are looked for: a quoted cookie can hold any character, NUL too."""
        return bool(KEY.fullmatch(key or ""))

    def get_session_cookie_age(self) -> int:
        return settings.SESSION_COOKIE_AGE if SESSION_KEY in self else settings.ANONYMOUS_SESSION_AGE

    def save(self, must_create: bool = False) -> None:
        if not must_create:
            return super().save()
        with transaction.atomic():
            super().save(must_create=True)
            _note_sweep()


def _note_sweep() -> None:
    scope = scope_label()
    due_at = _next_hour(timezone.now() + timedelta(seconds=settings.ANONYMOUS_SESSION_AGE))
    if _noted.get(scope) != due_at:
        note_duty(SESSIONS, due_at)
        transaction.on_commit(partial(_noted.__setitem__, scope, due_at))


def _next_hour(moment: datetime) -> datetime:
    """A common grid, so that the notes of several processes fall together into one duty."""
    return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def has_access(slug: str, session_key: str, user_id: UUID) -> bool:
    """Whether the session still logs this person in, and their tenant is not suspended: what each new request
    is asked.
    """
    request = HttpRequest()
    request.session = SessionStore(session_key)
    door = find_tenant_by_slug(slug)
    return door is not None and door.state != DoorState.SUSPENDED and get_user(request).pk == user_id


def is_logged_in(session_key: str) -> bool:
    """Whether somebody of the active tenant is, by this session."""
    request = HttpRequest()
    request.session = SessionStore(session_key)
    return get_user(request).is_authenticated


@duty(SESSIONS)
def sweep_sessions() -> None:
    """Delete expired sessions, and look again when the next have expired; at once where there were
    too many. Safe to call at any time.
    """
    delete_expired_sessions()
    first = Session.objects.aggregate(first=Min("expire_date"))["first"]
    if first is not None:
        note_duty(SESSIONS, _next_hour(first) if first > timezone.now() else first)


def delete_expired_sessions() -> int:
    """Delete the active schema's expired sessions, MOST_BATCHES times AT_ONCE of them at most; returns how
    many.
    """
    deleted = 0
    for _batch in range(MOST_BATCHES):
        ids = list(_expired().values_list("pk", flat=True)[:AT_ONCE])
        deleted += _expired().filter(pk__in=ids).delete()[0]
        if len(ids) < AT_ONCE:
            break
    return deleted


def _expired():
    return Session.objects.filter(expire_date__lt=timezone.now())
