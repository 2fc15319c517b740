"""What every page may show of its surroundings: the tenant, the environment, the theme."""

from django.conf import settings

from foundation.drafts import mark_drafts
from tenants.doors import hosts


def surroundings(request) -> dict:
    user, tenant = getattr(request, "user", None), getattr(request, "tenant", None)
    is_known = user is not None and user.is_authenticated
    return {
        "chat_tenant": tenant,
        "environment": settings.ATRIUM_ENV,
        # no tenant's either is a host that nobody has
        "is_platform_host": hosts.is_platform_host(hosts.name_of(request.META.get("HTTP_HOST", ""))),
        # whether errors and the pages of the account are shown inside the shell, with the rail beside them
        "is_in_shell": is_known and tenant is not None,
        "drafts_of": mark_drafts(request),
        "theme": getattr(user, "theme", "system") if is_known else "system",
        "mails_go_to_folder": str(settings.EMAIL_FILE_PATH) if settings.MAILS_GO_TO_FOLDER else "",
        "languages": settings.LANGUAGES,
        "request_id": getattr(request, "request_id", ""),
    }
