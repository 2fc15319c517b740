"""What unfold asks for while it draws a page: names, badge, style sheets. Named as dotted paths in
config.settings.admin.
"""

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

BADGES = {"development": "warning", "test": "info"}


def tenant_name(request: HttpRequest) -> str:
    return request.tenant.name if request.tenant else ""


def platform_name(request: HttpRequest) -> str:
    return _("Platform, all tenants")


def environment_badge(request: HttpRequest) -> list[str] | None:
    """The environment's name and colour, unless it is production."""
    names = {"development": _("Development"), "test": pgettext("environment", "Test")}
    name = names.get(settings.ATRIUM_ENV)
    return [name, BADGES[settings.ATRIUM_ENV]] if name else None


def icon(request: HttpRequest) -> str:
    return static("img/icon.svg")


def fonts(request: HttpRequest) -> str:
    return static("css/fonts.css")


def icon_styles(request: HttpRequest) -> str:
    return static("css/components/icon.css")


def unfold_styles(request: HttpRequest) -> str:
    return static("css/admin/unfold.css")


def tokens(request: HttpRequest) -> str:
    return static("css/tokens.css")


def charts(request: HttpRequest) -> str:
    return static("css/components/chart.css")


def start_styles(request: HttpRequest) -> str:
    return static("css/admin/start.css")


def page_styles(request: HttpRequest) -> str:
    return static("css/admin/pages.css")


def list_styles(request: HttpRequest) -> str:
    return static("css/admin/lists.css")


def theme_script(request: HttpRequest) -> str:
    return static("js/admin-theme.js")


def access_script(request: HttpRequest) -> str:
    return static("js/admin-access.js")
