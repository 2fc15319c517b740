"""Asking a provider what it has."""

import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from foundation import egress
from foundation.errors import AtriumError, UpstreamError
from foundation.told import gettext as _
from models_registry.addresses import pinned_policy
from models_registry.providers.openai_compatible import OpenAICompatible
from models_registry.providers.openai_compatible.catalogue import MAX_MODELS, Catalogue, ListedModel
from models_registry.providers.table import find_provider
from models_registry.worlds import Connection

MAX_PAGES = 50
MAX_TIME_S = 60.0  # no page is asked for later


def fetch_catalogue(connection: Connection) -> Catalogue:
    """Ask the provider what it has, page by page. Raises UpstreamError in words for an admin, InvalidInput
    for an address that is not allowed.
    """
    policy = pinned_policy(connection.base_url, allow_private=connection.allow_private)
    provider = find_provider(connection.kind)
    url = provider.catalogue_url(connection.base_url)
    asked: list[str] = []
    found: dict[str, ListedModel] = {}
    skipped, latency_ms, is_whole = 0, 0, True
    started = time.monotonic()
    with egress.client(policy, headers=provider.catalogue_headers(connection.open_secret())) as http:
        # a server that knows no pages gives the first one again
        while url not in asked and len(asked) < MAX_PAGES and len(found) < MAX_MODELS:
            if time.monotonic() - started > MAX_TIME_S:  # half a catalogue would switch off the other half
                raise UpstreamError(_("The provider did not answer in time."), code="upstream_timeout")
            asked.append(url)
            response = http.get(url)
            latency_ms = latency_ms or round((time.monotonic() - started) * 1_000)
            _check_status(response)
            body = egress.read_json(response)
            page = provider.read_catalogue(body)
            found |= {model.name: model for model in page.models if model.name not in found}
            skipped += page.skipped
            is_whole = is_whole and page.is_whole
            url = _next_url(url, provider, body)
        if len(found) == 1 and (details := provider.details_url(connection.base_url)):
            found = {name: _with_details(http, provider, details, model) for name, model in found.items()}
    is_whole = is_whole and url in asked and len(found) <= MAX_MODELS
    return Catalogue(list(found.values())[:MAX_MODELS], skipped, latency_ms, is_whole)


def _with_details(
    http: httpx.Client, provider: OpenAICompatible, url: str, model: ListedModel
) -> ListedModel:
    """What is missing there is missing: the list alone is enough to call the model."""
    try:
        response = http.get(url)
        is_told = response.status_code == 200
        return provider.read_details(model, egress.read_json(response)) if is_told else model
    except AtriumError:
        return model


def _next_url(url: str, provider: OpenAICompatible, body: Any) -> str:
    """Raises UpstreamError for a page that nobody can ask for: of what is not whole nothing may vanish."""
    try:
        return _with_query(url, provider.find_next_page(body))
    except ValueError as exc:  # no address, or half of a surrogate pair in it
        raise UpstreamError(
            _("What answers there names a next page that is no address."), code="upstream_protocol"
        ) from exc


def _with_query(url: str, query: str) -> str:
    """The address with these parameters in place of its own of their names."""
    parts = urlsplit(url)
    return parts._replace(query=urlencode(dict(parse_qsl(parts.query)) | dict(parse_qsl(query)))).geturl()


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
