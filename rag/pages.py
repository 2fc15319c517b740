"""Web pages for collections: fetched through the house's one way out, each address on the way held against
the same policy.

Guards against: private networks, but for hosts that the operator names (ATRIUM_PRIVATE_PAGES); redirects
there; pages without end. Does not cover: pages that a browser's scripts make.
"""

from dataclasses import dataclass, replace
from urllib.parse import urljoin

import httpx
from django.conf import settings

from foundation.egress import EgressPolicy, check_url, client, parse_url
from foundation.errors import AtriumError, InvalidInput, NotFound, UpstreamError
from foundation.told import gettext as _

MOST_PAGE_BYTES = 50 * 1024**2
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
GONE = (404, 410)
# header of an answer → header by which it is asked whether the page is another one now
VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
MOST_VALIDATOR = 500  # characters
ACCEPT = "text/html, application/xhtml+xml, application/pdf, text/*;q=0.9, */*;q=0.5"
PUBLIC = EgressPolicy(timeout_read_s=20.0, timeout_total_s=60.0, max_bytes=MOST_PAGE_BYTES)


@dataclass(frozen=True, slots=True)
class Page:
    """What a server answered. `validators`: its headers that tell one version from another."""

    content: bytes
    declared_type: str
    validators: dict[str, str]


class PageGone(NotFound):
    """There is no such page, or none any more."""

    code = "page_gone"


def policy_for(url: str) -> EgressPolicy:
    """What the operator lets this address reach. Raises InvalidInput for what is none."""
    host = parse_url(url).host
    is_named = host in settings.PRIVATE_PAGES
    return replace(PUBLIC, allow_private=True, allowed_hosts=frozenset({host})) if is_named else PUBLIC


def fetch_page(url: str, validators: dict[str, str]) -> Page | None:
    """The page; None where it is still the version of which the validators were told. Blocks for a minute at
    most. Raises PageGone, InvalidInput for an address that is not allowed, UpstreamError.
    """
    asked = {VALIDATORS[name]: value for name, value in validators.items() if name in VALIDATORS}
    for _hop in range(MOST_REDIRECTS + 1):
        policy = policy_for(url)
        check_url(url, policy)
        with client(policy, tells_redirects=True, headers={"Accept": ACCEPT, **asked}) as http:
            response = _get(http, url)
        if response.status_code not in REDIRECTS:
            return _read(response)
        url = _next_address(url, response.headers.get("location", ""))
    raise UpstreamError(_("This address leads on and on to others."), code="page_redirects")


def _next_address(url: str, location: str) -> str:
    try:
        return urljoin(url, location).partition("#")[0]
    except ValueError as exc:  # what is no address
        raise UpstreamError(_WORDS["upstream_unreachable"](), code="page_unreachable") from exc


def _get(http: httpx.Client, url: str) -> httpx.Response:
    try:
        return http.get(url)
    except AtriumError as exc:
        if exc.code in ("egress_refused", "answer_too_long"):  # stays so
            raise InvalidInput(_WORDS[exc.code](), code=f"page_{exc.code}") from exc
        words = _WORDS.get(exc.code, _WORDS["upstream_unreachable"])
        raise UpstreamError(words(), code=f"page_{exc.code}") from exc
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:  # the last: where it says to go
        raise UpstreamError(_WORDS["upstream_unreachable"](), code="page_unreachable") from exc


def _read(response: httpx.Response) -> Page | None:
    status = response.status_code
    if status == 304:
        return None
    if status in GONE:
        raise PageGone(_("There is no page at this address (HTTP %(status)d).") % {"status": status})
    if not 200 <= status < 300:
        message = _("The server of this page answers with an error (HTTP %(status)d).") % {"status": status}
        is_final = 400 <= status < 500 and status not in (408, 425, 429)
        raise (InvalidInput if is_final else UpstreamError)(message, code="page_refused")
    validators = {
        name: value[:MOST_VALIDATOR] for name in VALIDATORS if (value := response.headers.get(name))
    }
    return Page(response.content, response.headers.get("content-type", ""), validators)


_WORDS = {
    "egress_refused": lambda: _("This address leads to where pages are never fetched from."),
    "answer_too_long": lambda: (
        _("This page is longer than %(limit)d MB.") % {"limit": MOST_PAGE_BYTES // 1024**2}
    ),
    "host_not_found": lambda: _("There is no server of this name."),
    "upstream_timeout": lambda: _("The server of this page did not answer in time."),
    "upstream_tls": lambda: _("The server of this page has no valid certificate for its name."),
    "upstream_unreachable": lambda: _(
        "The server of this page cannot be reached, or does not answer properly."
    ),
}
