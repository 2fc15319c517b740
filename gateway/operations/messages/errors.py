"""Errors at `/v1/messages…` as Anthropic's clients read them, and the headers that they know."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from django.utils import translation

from foundation.errors import AtriumError
from foundation.ids import show_request_id
from gateway.addresses import is_v2
from gateway.dialects import OPENAIS, Dialect, Header
from gateway.http import AsgiScope
from gateway.operations.messages import models
from gateway.operations.rerank.errors import COHERES

PATH = "/v1/messages"  # and what stands below it
OVERLOADED = 529
KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}
USED_UP = "insufficient_quota"
STATUSES = {503: OVERLOADED}  # Anthropic's own word for a house that is full
REQUEST_ID, LIMIT = b"x-request-id", b"x-ratelimit-"
OF_OPENAI = frozenset({b"openai-version", b"openai-processing-ms"})


def status_of(error: AtriumError) -> int:
    if error.code == USED_UP:
        return 402  # to ask again changes nothing
    if error.is_overload:
        return OVERLOADED
    return STATUSES.get(error.http_status, error.http_status)


def as_error_object(error: AtriumError, request_id: UUID) -> dict:
    status = status_of(error)
    kind = KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
    told = {"type": kind, "message": str(error.message)}
    return {"type": "error", "error": told, "request_id": show_request_id(request_id)}


def error_event(error: AtriumError, request_id: UUID) -> bytes:
    return b"event: error\ndata: " + orjson.dumps(as_error_object(error, request_id)) + b"\n\n"


def write_headers(headers: Iterable[Header]) -> list[Header]:
    """Those of an answer under Anthropic's names, beside the house's own."""
    written = []
    for name, value in headers:
        if name in OF_OPENAI:
            continue
        written.append((name, value))
        if name == REQUEST_ID:
            written.append((b"request-id", value))
        elif name.startswith(LIMIT):
            fact, _dash, kind = name[len(LIMIT) :].partition(b"-")
            told = _moment_in(value) if fact == b"reset" else value
            written.append((b"anthropic-ratelimit-" + kind + b"-" + fact, told))
    return written


def _moment_in(seconds: bytes) -> bytes:
    """When it is over, of what takes so long (`12.5s`), by RFC 3339."""
    moment = datetime.now(UTC) + timedelta(seconds=float(seconds.rstrip(b"s")))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").encode()


class AnthropicsDialect:
    """See `gateway.dialects.Dialect`."""

    def status_of(self, error: AtriumError) -> int:
        return status_of(error)

    def error_body(self, error: AtriumError, language: str, request_id: UUID) -> bytes:
        with translation.override(language):
            return orjson.dumps(as_error_object(error, request_id))

    def write_headers(self, headers: list[Header]) -> list[Header]:
        return write_headers(headers)


ANTHROPICS: Dialect = AnthropicsDialect()


def find_dialect(scope: AsgiScope) -> Dialect:
    """In which everything about a request is told."""
    path: str = scope["path"]
    if is_v2(scope):
        return COHERES
    return ANTHROPICS if path == PATH or path.startswith(f"{PATH}/") or models.is_asked(scope) else OPENAIS
