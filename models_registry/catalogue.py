"""Asking a provider what it has."""

import time

import httpx
from django.utils.translation import gettext as _

from foundation import egress
from foundation.errors import UpstreamError
from models_registry.addresses import pinned_policy
from models_registry.providers.openai_compatible.catalogue import Catalogue
from models_registry.providers.table import find_provider
from models_registry.worlds import Connection


def fetch_catalogue(connection: Connection) -> Catalogue:
    """Ask the provider what it has. Raises UpstreamError in words for an admin, InvalidInput for an address
    that is not allowed.
    """
    policy = pinned_policy(connection.base_url, allow_private=connection.allow_private)
    provider = find_provider(connection.kind)
    url = provider.catalogue_url(connection.base_url)
    with egress.client(policy, headers=provider.catalogue_headers(connection.open_secret())) as http:
        started = time.monotonic()
        response = http.get(url)
        latency_ms = round((time.monotonic() - started) * 1_000)
    _check_status(response)
    return provider.read_catalogue(egress.read_json(response), latency_ms)


def _check_status(response: httpx.Response) -> None:
    """Raise UpstreamError unless the answer is 200. The provider's own words are not repeated: they may hold
    the key.
    """
    status = response.status_code
    if status == 200:
        return
    if status in (401, 403):
        raise UpstreamError(
            _("The provider refuses the API key (HTTP %(status)d).") % {"status": status},
            code="upstream_key_refused",
        )
    if status == 404:
        raise UpstreamError(
            _("There is no list of models at this address (HTTP 404). The base address usually ends in /v1."),
            code="upstream_not_found",
        )
    if status == 429:
        raise UpstreamError(
            _("The provider says that there are too many requests (HTTP 429). Try again later."),
            code="upstream_busy",
        )
    raise UpstreamError(
        _("The provider answers with an error (HTTP %(status)d).") % {"status": status}, code="upstream_error"
    )
