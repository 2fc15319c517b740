"""What all of `/api/v1` shares: cursor paging and problem details (RFC 9457)."""

from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from django.utils.translation import gettext as _
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from rest_framework import pagination
from rest_framework.exceptions import APIException, ErrorDetail, NotFound, PermissionDenied, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from foundation.error_pages import PROBLEM, describe_problem
from foundation.errors import AtriumError, Conflict


class CursorPagination(pagination.CursorPagination):
    """`limit` of 1 to 200 rows; `next` and `previous` are whole addresses. A view's `ordering`
    decides the order, else newest first.
    """

    ordering = ("-created_at", "-pk")
    page_size_query_param = "limit"
    max_page_size = 200

    def get_ordering(self, request, queryset, view) -> tuple[str, ...]:
        return tuple(getattr(view, "ordering", None) or self.ordering)

    def get_page_size(self, request) -> int:
        text = request.query_params.get(self.page_size_query_param)
        if text is None:
            return self.page_size
        # the length first: Python refuses to read more than some thousand digits
        if not (
            text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= self.max_page_size
        ):
            raise ValidationError({"limit": [_("A number from 1 to %(max)d.") % {"max": self.max_page_size}]})
        return int(text)

    def decode_cursor(self, request):
        try:
            return super().decode_cursor(request)
        except NotFound as exc:
            raise ValidationError(
                {"cursor": [_("This is no cursor of this list. Take it from `next` or `previous`.")]}
            ) from exc


def problem_details(exc: Exception, context: dict) -> Response | None:
    """Every error of the API as application/problem+json; Django's ValidationError is a 400, and a row that
    somebody else wrote between our look and our writing a 409, not a 500.
    """
    if isinstance(exc.__cause__, UniqueViolation | ForeignKeyViolation):
        exc = Conflict(_("Others changed the same at this moment. Try again."))
    elif isinstance(exc, DjangoValidationError):
        exc = ValidationError(exc.message_dict if hasattr(exc, "error_dict") else exc.messages)
    elif isinstance(exc, Http404):
        exc = NotFound()
    elif isinstance(exc, DjangoPermissionDenied):
        exc = PermissionDenied()
    response: Any
    if isinstance(exc, AtriumError):
        body = {"detail": str(exc.message), "code": exc.code} | ({"param": exc.param} if exc.param else {})
        response = Response(
            body,
            status=exc.http_status,
            headers={"Retry-After": str(exc.retry_after_s)} if exc.retry_after_s else None,
        )
    else:
        response = exception_handler(exc, context)
        if response is None:
            return None
        response.data = _describe(exc)
    response.data = describe_problem(context["request"], response.status_code, **response.data)
    response.content_type = PROBLEM
    return response


def _describe(exc: APIException) -> dict[str, Any]:
    if isinstance(exc, ValidationError):
        return {
            "detail": _("The request is not valid."),
            "code": "invalid_input",
            "errors": _texts(exc.detail),
        }
    codes = exc.get_codes()
    return {"detail": str(exc.detail), "code": codes if isinstance(codes, str) else "error"}


def _texts(detail: Any) -> Any:
    """The errors by field, as plain JSON."""
    if isinstance(detail, dict):
        return {str(name): _texts(value) for name, value in detail.items()}
    if isinstance(detail, list):
        return [_texts(value) for value in detail]
    return str(detail) if isinstance(detail, ErrorDetail) else detail
