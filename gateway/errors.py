"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, and the statuses its clients
know.
"""

from collections.abc import Sequence

import orjson
from django.utils import translation

from foundation.errors import AtriumError, BodyTimeout, BodyTooLarge, NotAllowed, UnsupportedBody
from foundation.told import gettext as _

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    502: "upstream_error",
    503: "service_unavailable_error",
    504: "upstream_error",
}


class InvalidKey(AtriumError):
    """Unknown tenant, unknown id, wrong secret, expired, revoked: one and the same answer."""

    http_status = 401
    code = "invalid_api_key"

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message
            or _(
                "This API key is not valid: it is unknown, expired or revoked, or something was copied with "
                "it. Keys begin with “atr_” and are made on the page “API keys”."
            )
        )


class NoKey(InvalidKey):
    """None was shown where keys are read. Says nothing of any key."""

    code = "missing_api_key"


class MethodNotAllowed(AtriumError):
    http_status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        named = ", ".join(method for method in allowed if method != "HEAD")
        super().__init__(_("Use %(method)s here.") % {"method": named})
        self.allowed = ", ".join(allowed)


class UpstreamTimeout(AtriumError):
    http_status = 504
    code = "upstream_timeout"


class AccessEnded(NotAllowed):
    """The caller may call no longer; the answer that was being made ends."""

    code = "access_ended"

    def __init__(self) -> None:
        super().__init__(_("Your access ended while this answer was being written. What arrived is kept."))


def as_error_object(error: AtriumError) -> dict:
    kind = (
        "insufficient_quota"
        if error.code == "insufficient_quota"
        else _TYPES.get(error.http_status, "api_error")
    )
    return {"error": {"message": str(error.message), "type": kind, "param": error.param, "code": error.code}}


def error_body(error: AtriumError, language: str | None = None) -> bytes:
    """The JSON body, its message in the given language."""
    with translation.override(language or "en"):
        return orjson.dumps(as_error_object(error))


def error_headers(error: AtriumError) -> list[tuple[bytes, bytes]]:
    headers = [(b"retry-after", str(error.retry_after_s).encode())] if error.retry_after_s else []
    if isinstance(error, InvalidKey):
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 9110, 15.5.2
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, BodyTooLarge | BodyTimeout | UnsupportedBody):
        headers.append((b"connection", b"close"))  # nobody will read the rest
    return headers
