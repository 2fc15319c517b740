"""What can go wrong, in words a person understands and codes a program can rely on.

    AtriumError
    ├── InvalidInput    400  the request cannot be understood or breaks a rule; `param` names the field
    ├── NotAllowed      403  visible to the caller, but forbidden
    ├── NotFound        404  missing, or not visible to the caller: the two look the same
    ├── Conflict        409  the object's state does not allow it
    ├── BodyTimeout     408  the rest of the request's body does not come
    ├── BodyTooLarge    413  the request's body is longer than its place takes
    ├── UnsupportedBody 415  the request's body is compressed, or is no JSON by its own word
    ├── QuotaExceeded   429  a limit or a budget is used up; `retry_after_s` where waiting helps
    ├── UpstreamError   502  a provider or model server failed
    └── Unavailable     503  a part of the house is down or overloaded; `retry_after_s`

Services raise them; the page middleware, the DRF handler and the gateway translate them into answers.
"""

from collections.abc import Sequence

from django.utils.functional import Promise

from foundation.texts import as_kept


class AtriumError(Exception):
    """`message` is translated and safe to show; `code` is stable and never translated."""

    http_status = 500
    code = "internal_error"
    # of an answer at /v1: what was known of limits and deprecation when the call was refused
    headers: Sequence[tuple[bytes, bytes]] = ()
    is_overload = False  # a provider's, of all its callers: some clients know a word of its own for it

    def __init__(
        self,
        message: str | Promise,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        # servers' words and callers' names stand in it, which may hold what nobody can write or keep
        self.message = as_kept(message) if isinstance(message, str) else message
        super().__init__(self.message)
        self.code = as_kept(code or self.code)
        self.param = as_kept(param) if param is not None else None
        self.retry_after_s = retry_after_s


class InvalidInput(AtriumError):
    http_status = 400
    code = "invalid_input"


class NotAllowed(AtriumError):
    http_status = 403
    code = "not_allowed"


class NotFound(AtriumError):
    http_status = 404
    code = "not_found"


class Conflict(AtriumError):
    http_status = 409
    code = "conflict"


class BodyTimeout(AtriumError):
    http_status = 408
    code = "request_timeout"


class BodyTooLarge(AtriumError):
    http_status = 413
    code = "request_too_large"


class UnsupportedBody(AtriumError):
    http_status = 415
    code = "unsupported_media_type"


class QuotaExceeded(AtriumError):
    http_status = 429
    code = "insufficient_quota"


class UpstreamError(AtriumError):
    http_status = 502
    code = "upstream_error"


class Unavailable(AtriumError):
    http_status = 503
    code = "unavailable"


def is_not_set_up(error: Exception) -> bool:
    """Whether the database said that there is no such role, table or schema."""
    return getattr(error.__cause__, "sqlstate", "") in ("22023", "42P01", "3F000")
