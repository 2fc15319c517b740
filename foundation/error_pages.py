"""An error as the whole answer, where nothing of the house can be relied on: it needs no session, no user and
no database.

Problem details (RFC 9457) for programs, a notice for htmx, a page of its own for everybody else.
"""

from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from foundation.errors import AtriumError, Unavailable

RETRY_AFTER_S = 5
PROBLEM = "application/problem+json"


class DatabaseAway(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            _("The database does not answer. Try again in a moment."), retry_after_s=RETRY_AFTER_S
        )


def is_outage(error: BaseException | None) -> bool:
    """Whether the error, or one of those it came from, says that the database refused, broke off or
    took too long: trying again helps.
    """
    while error is not None:
        if isinstance(error, OperationalError | InterfaceError):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_program(request: HttpRequest) -> bool:
    """Whether JSON is wanted rather than a page: below /api/, and where only JSON is asked for or sent."""
    accepted = request.headers.get("Accept", "")
    speaks_json = "json" in accepted or request.content_type == "application/json"
    return request.path_info.startswith("/api/") or (speaks_json and "html" not in accepted)


def speak_to(request: HttpRequest) -> Any:
    """The language of whoever asks: their profile's if it was read already, else the browser's. A context
    manager.
    """
    return translation.override(
        getattr(request, "LANGUAGE_CODE", None) or translation.get_language_from_request(request)
    )


def answer_error(request: HttpRequest, error: AtriumError) -> HttpResponse:
    """See the module."""
    with speak_to(request):
        response = _render(request, error)
        response["Content-Language"] = translation.get_language() or "en"
    if error.retry_after_s:
        response["Retry-After"] = str(error.retry_after_s)
    return response


def describe_problem(request: HttpRequest, status: int, **members: Any) -> dict[str, Any]:
    """The body of problem details; `members` are `detail`, `code` and what else the error says."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        **members,
        "request_id": getattr(request, "request_id", ""),
    }


def answer_problem(request: HttpRequest, status: int, code: str, detail: str | Promise) -> JsonResponse:
    body = describe_problem(request, status, detail=str(detail), code=code)
    return JsonResponse(body, status=status, content_type=PROBLEM)


def _render(request: HttpRequest, error: AtriumError) -> HttpResponse:
    status, request_id = error.http_status, getattr(request, "request_id", "")
    if is_program(request):
        return answer_problem(request, status, error.code, error.message)
    template = "errors/_notice.html" if request.headers.get("HX-Request") == "true" else "errors/refused.html"
    return HttpResponse(render_to_string(template, {"error": error, "request_id": request_id}), status=status)
