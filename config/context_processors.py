"""What every page may show of its surroundings: the tenant, the environment, the theme."""

from django.conf import settings


def surroundings(request) -> dict:
    user = getattr(request, "user", None)
    return {
        "chat_tenant": getattr(request, "tenant", None),
        "environment": settings.ATRIUM_ENV,
        "is_platform_host": getattr(request, "tenant", None) is None,
        "theme": getattr(user, "theme", "system") if user is not None and user.is_authenticated else "system",
        "mails_go_to_folder": str(settings.EMAIL_FILE_PATH) if settings.MAILS_GO_TO_FOLDER else "",
        "languages": settings.LANGUAGES,
        "request_id": getattr(request, "request_id", ""),
    }
