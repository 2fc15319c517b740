"""API keys at `/api/v1`: the same keys as at `/v1`, with the scopes `read` and `manage`.

A key is proved twice: by `tenants.doors.middleware`, which asks before it says anything about the tenant,
and by the view, which acts in its person's name.
"""

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts import keys
from accounts.models import ApiKey
from tenants.context import find_tenant
from tenants.doors.key_reader import KeyReader, register_key_reader

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def _find_usable(text: str, rows: QuerySet[ApiKey]) -> ApiKey | None:
    """The key with this text, if it is one of the active tenant and nothing is wrong with it."""
    parsed = keys.parse_key(text)
    row = rows.filter(key_id=parsed.key_id).first() if parsed and parsed.slug == find_tenant() else None
    if parsed is None or not keys.is_same(bytes(row.digest) if row else None, parsed):
        return None
    return row if row and row.is_usable and row.user.is_active else None


def read_key(request: HttpRequest) -> str | None:
    """The key that a request to `/api/v1` shows."""
    return keys.read_key(
        (name.lower().encode(), value.encode("latin-1")) for name, value in request.headers.items()
    )


def is_good_key(text: str) -> bool:
    """Reads only columns that every version of the schema has had: a half-migrated tenant is asked too."""
    rows = ApiKey.objects.select_related("user").only("digest", "revoked_at", "expires_at", "user__is_active")
    return _find_usable(text, rows) is not None


def key_of(request: Request) -> ApiKey | None:
    """The key by which a request to `/api/v1` came, if it is not a session's."""
    return request.auth if isinstance(request.auth, ApiKey) else None


class ApiKeyAuthentication(BaseAuthentication):
    """A key in one of the headers of keys.read_key. Unknown tenant, unknown id and wrong secret get the same
    answer.
    """

    def authenticate(self, request):
        text = read_key(request)
        if text is None:
            return None
        row = _find_usable(text, ApiKey.objects.select_related("user"))
        if row is None:  # it was revoked a moment ago
            raise AuthenticationFailed(
                _("This API key is not valid: it is unknown, expired or revoked."), code="invalid_api_key"
            )
        needed = ApiKey.Scope.READ if request.method in SAFE_METHODS else ApiKey.Scope.MANAGE
        if needed not in row.scopes and ApiKey.Scope.MANAGE not in row.scopes:
            raise PermissionDenied(
                _("This API key lacks the scope “%(scope)s”.") % {"scope": needed}, code="missing_scope"
            )
        return row.user, row

    def authenticate_header(self, request) -> str:
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """What the OpenAPI document says of it."""

    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "atr_<tenant>_<id>_<secret>"}


register_key_reader(KeyReader(read=read_key, slug_of=keys.slug_of, is_good=is_good_key))
