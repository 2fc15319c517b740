"""The URLs of the platform's hosts."""

from django.urls import include, path

from config import urls_common, views
from config.admin_sites import system_admin

urlpatterns = [
    *urls_common.urlpatterns,
    path("admin/", system_admin.urls),
    path("accounts/", include("config.urls_account")),
    path("", include("accounts.urls_platform")),
    path("", views.platform_home, name="platform-home"),
]
handler400, handler403 = "config.views.bad_request", "config.views.forbidden"
handler404, handler500 = "config.views.not_found", "config.views.server_error"
