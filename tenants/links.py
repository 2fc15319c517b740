"""Addresses for mails, which are written where there is no request: the tenant's own host, or the
platform's; and for whoever came to the wrong host.
"""

from django.conf import settings
from django.http import HttpRequest

from tenants.context import platform


def base_url(slug: str | None) -> str:
    """Scheme, host and port of a tenant's primary domain (None: the platform), without a slash at the end."""
    from tenants.models import Domain

    host = settings.PLATFORM_HOSTS[0]
    if slug is not None:
        with platform():
            host = (
                Domain.objects.filter(tenant__slug=slug)
                .order_by("-is_primary", "domain")
                .values_list("domain", flat=True)
                .first()
                or host
            )
    return address_of(host)


def address_of(host: str) -> str:
    """Scheme, host and port, as a browser reaches the host."""
    scheme, usual_port = ("https", "443") if settings.USES_TLS else ("http", "80")
    port = "" if settings.PORT in ("", usual_port) else f":{settings.PORT}"
    return f"{scheme}://{host}{port}"


def platform_address(request: HttpRequest) -> str:
    """Scheme, host and port of the platform for whoever sent this request: the port by which they came, which
    only they know where another leads to ours.
    """
    _name, _colon, port = request.META.get("HTTP_HOST", f":{request.META['SERVER_PORT']}").rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) <= 5
    return f"{request.scheme}://{settings.PLATFORM_HOSTS[0]}{f':{port}' if is_port else ''}"
