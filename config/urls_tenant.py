"""The URLs of a tenant's hosts."""

from django.conf import settings
from django.urls import include, path

from config import styleguide, urls_common
from config.admin_sites import service_admin

urlpatterns = [
    *urls_common.urlpatterns,
    path("admin/", service_admin.urls),
    path("accounts/", include("config.urls_account")),
    path("", include("accounts.urls")),
    path("models/", include("models_registry.urls")),
    path("usage/", include("usage.urls")),
    path("knowledge/", include("rag.urls")),
    path("api/v1/", include("config.urls_api")),
    path("", include("prompts.urls")),
]
if settings.ATRIUM_ENV != "production":
    urlpatterns.append(path("styleguide/", styleguide.show, name="styleguide"))
handler400, handler403 = "config.views.bad_request", "config.views.forbidden"
handler404, handler500 = "config.views.not_found", "config.views.server_error"
