"""Whose drafts a browser's tab keeps: texts that are not sent yet, in its `sessionStorage`
(static/js/drafts.js).

Guards against: a draft that the next person at the computer finds, or the same one after logging out, in
whichever tab it was written. Pages carry a mark of the person and of the last log-out here; a tab throws away
what it kept under another one.
Does not guard against: whoever sits down before anybody has logged out.
"""

import secrets
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

MARK_CHARS = 16


def mark_drafts(request: HttpRequest) -> str:
    """Of the person who is logged in; empty where nobody is, since they may come back."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ""
    last = request.COOKIES.get(settings.LEFT_COOKIE_NAME, "")
    return salted_hmac("drafts", f"{user.pk} {last}").hexdigest()[:MARK_CHARS]


def note_leaving(response: HttpResponse) -> HttpResponse:
    """Somebody has logged out with this answer."""
    response.set_cookie(
        settings.LEFT_COOKIE_NAME,
        secrets.token_hex(8),
        max_age=settings.LEFT_COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def leaving(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The same for a view that logs out whoever posts."""

    @wraps(view)
    def noting(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = view(request, *args, **kwargs)
        return note_leaving(response) if request.method == "POST" else response

    return noting
