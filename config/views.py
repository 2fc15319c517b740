"""Pages of the house itself: health, errors, the platform's front door."""

import logging
import sys

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from foundation.error_pages import DatabaseAway, answer_error, answer_problem, is_outage, is_program
from tenants.context import platform
from tenants.selectors import list_demo_hosts

logger = logging.getLogger(__name__)


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Whether this process can serve: database, migrations, cache and broker (one and the same server by
    default).
    """
    parts = {"database": _database_is_ready, "migrations": _migrations_are_applied, "cache": _cache_is_ready}
    states = {name: _state(check) for name, check in parts.items()}
    is_ready = all(state == "ok" for state in states.values())
    return JsonResponse(
        {"status": "ok" if is_ready else "not ready", **states}, status=200 if is_ready else 503
    )


def _state(check) -> str:
    try:
        with platform():
            return "ok" if check() else "missing"
    except Exception as exc:
        return type(exc).__name__


def _database_is_ready() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone() == (1,)


def _migrations_are_applied() -> bool:
    from tenants.database.schemas import count_missing_migrations

    return count_missing_migrations() == 0


def _cache_is_ready() -> bool:
    cache.set("ready", 1, 5)
    return cache.get("ready") == 1


def bad_request(request: HttpRequest, exception=None) -> HttpResponse:
    if is_outage(exception):  # Django takes a session that could not be saved for one that was deleted
        return answer_error(request, DatabaseAway())
    return _error_page(request, "errors/400.html", 400)


def not_found(request: HttpRequest, exception=None) -> HttpResponse:
    return _error_page(request, "errors/404.html", 404)


def forbidden(request: HttpRequest, exception=None) -> HttpResponse:
    return _error_page(request, "errors/403.html", 403)


def server_error(request: HttpRequest) -> HttpResponse:
    """Called where the exception is being handled, in threads too: asgiref raises it there again."""
    if is_outage(sys.exception()):
        return answer_error(request, DatabaseAway())
    if is_program(request):
        return _problem(request, 500)
    return HttpResponse(_show_failure(request), status=500)


def _show_failure(request: HttpRequest) -> str:
    """Inside the shell while that can be shown: what failed may be the shell, or what it needs."""
    template, context = "errors/500.html", {"request_id": getattr(request, "request_id", "")}
    try:
        return render_to_string(template, context, request)
    except Exception:
        logger.exception("The page that tells of a failure could not be shown inside the shell.")
        return render_to_string(template, context)


def _error_page(request: HttpRequest, template: str, status: int) -> HttpResponse:
    if is_program(request):
        return _problem(request, status)
    return render(request, template, status=status)


def _problem(request: HttpRequest, status: int) -> JsonResponse:
    texts = {
        400: ("bad_request", _("The request could not be read, or is larger than allowed.")),
        403: ("permission_denied", _("You are not allowed to do this.")),
        404: (
            "not_found",
            _(
                "There is nothing at this address. Models are called below /v1, for instance at "
                "/v1/chat/completions; this service is managed below /api/v1/."
            ),
        ),
        500: ("internal_error", _("Something failed on the server.")),
    }
    code, detail = texts[status]
    return answer_problem(request, status, code, detail)


@require_safe
def platform_home(request: HttpRequest) -> HttpResponse:
    hosts = [] if settings.ATRIUM_ENV == "production" else list_demo_hosts()
    return render(request, "platform_home.html", {"demo_hosts": hosts})
