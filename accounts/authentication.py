"""API keys at `/api/v1`: the same keys as at `/v1`, with the scopes `read` and `manage`."""

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied

from accounts import keys
from accounts.models import ApiKey
from tenants.context import find_tenant

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer atr_…`. Unknown tenant, unknown id and wrong secret get the same answer."""

    def authenticate(self, request):
        header = request.headers.get("Authorization", "")
        if not header.startswith("Bearer "):
            return None
        parsed = keys.parse_key(header.removeprefix("Bearer ").strip())
        row = self._find(parsed)
        if parsed is None or not keys.is_same(bytes(row.digest) if row else None, parsed) or not row.is_usable or not row.user.is_active:
            raise AuthenticationFailed(_("This API key is not valid: it is unknown, expired or revoked."), code="invalid_api_key")
        needed = ApiKey.Scope.READ if request.method in SAFE_METHODS else ApiKey.Scope.MANAGE
        if needed not in row.scopes and ApiKey.Scope.MANAGE not in row.scopes:
            raise PermissionDenied(_("This API key lacks the scope “%(scope)s”.") % {"scope": needed}, code="missing_scope")
        return row.user, row

    @staticmethod
    def _find(parsed: keys.ParsedKey | None) -> ApiKey | None:
        if parsed is None or parsed.slug != find_tenant():
            return None
        return ApiKey.objects.select_related("user").filter(key_id=parsed.key_id).first()

    def authenticate_header(self, request) -> str:
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """What the OpenAPI document says of it."""

    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "atr_<tenant>_<id>_<secret>"}
