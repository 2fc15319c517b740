"""Which security headers an answer carries: one policy for each kind of route, in one table.

Covers: pages, both administrations, `/api/v1`, `/v1`, static files, probes of health, and what is refused
before any of these is asked: Django's answers get theirs by `config.middleware`, those of `/v1` by
`gateway.door`, those of the server by `foundation.http_server`. S45 asks every route for them.
Does not cover: cookies (`config.settings.security`), who may read an answer from another web page
(`tenants.doors.cors`).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from django.conf import settings

Headers = Mapping[str, str]
CSP, CACHING, HSTS = "Content-Security-Policy", "Cache-Control", "Strict-Transport-Security"
PERSONAL = "private, no-store"


class Kind(StrEnum):
    """Of a route. Its answers have one policy, whatever their status."""

    PAGE = "page"
    ADMIN = "admin"
    DOCS = "docs"  # the pages over the API's document
    DIAGRAM = "diagram"  # the frame that draws one
    DOCUMENT = "document"  # the bytes of a file that somebody brought
    API = "api"
    V1 = "v1"
    HEALTH = "health"
    STATIC = "static"
    SERVER = "server"  # refused by the server itself, before anybody reads which route it is


_OWN = (
    "default-src 'none'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'; "
)
# The policy pdf-worker knows one address, that of PDF.js' worker (static/js/pdf-view.js): no other begins.
_PAGES_OWN = (
    "script-src 'self'; style-src 'self'; frame-src 'self'; worker-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types default dompurify pdf-worker"
)
# django-unfold's Alpine, and the API's pages, need these; neither renders Markdown or HTML of anybody's.
_WIDE = "script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
# An origin of its own, which reaches nothing but its two scripts. Mermaid writes styles.
_FRAME = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'; sandbox allow-scripts"
)
_NOTHING = "default-src 'none'; frame-ancestors 'none'"

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    CACHING: PERSONAL,
}
_DOCUMENT = _EVERYWHERE | {
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_DATA = _EVERYWHERE | {CSP: _NOTHING, "Referrer-Policy": "no-referrer"}

POLICIES: dict[Kind, Headers] = {
    Kind.PAGE: _DOCUMENT | {CSP: _OWN + _PAGES_OWN},
    Kind.ADMIN: _DOCUMENT | {CSP: _OWN + _WIDE},
    Kind.DOCS: _DOCUMENT | {CSP: _OWN + _WIDE},
    Kind.DIAGRAM: _DOCUMENT | {CSP: _FRAME, "X-Frame-Options": "SAMEORIGIN"},
    Kind.DOCUMENT: _DATA | {CSP: f"{_NOTHING}; sandbox"},
    Kind.API: _DATA,
    Kind.V1: _DATA,
    Kind.HEALTH: _DATA,
    # the diagrams' frame has no origin, so that its scripts are of another one
    Kind.STATIC: _DATA | {CACHING: "no-store", "Cross-Origin-Resource-Policy": "cross-origin"},
    Kind.SERVER: _DATA,
}
# what an answer may say itself: files say how long they stay as they are
_BY_ITSELF = {Kind.STATIC: frozenset({CACHING})}

_AREAS = (
    ("/static/", Kind.STATIC),
    ("/healthz/", Kind.HEALTH),
    ("/admin/", Kind.ADMIN),
    ("/api/v1/docs/", Kind.DOCS),
    ("/api/", Kind.API),
    ("/c/diagram/", Kind.DIAGRAM),
    ("/knowledge/files/", Kind.DOCUMENT),
)


def find_kind(path: str) -> Kind:
    """Of what Django answers at this path."""
    return next((kind for start, kind in _AREAS if path.startswith(start)), Kind.PAGE)


def headers_of(kind: Kind, *, is_secure: bool) -> Headers:
    """`is_secure`: the request came by https. Only then may a browser be told to come by nothing else."""
    return _POLICIES[kind, is_secure]


def encoded_headers_of(kind: Kind, *, is_secure: bool = False) -> tuple[tuple[bytes, bytes], ...]:
    """The same, as ASGI has it."""
    return _ENCODED[kind, is_secure]


def may_say(kind: Kind, name: str) -> bool:
    """Whether an answer's own header of this name counts more than its policy's."""
    return name in _BY_ITSELF.get(kind, ())


def _with_transport(headers: Headers, *, is_secure: bool) -> Headers:
    if not (is_secure and settings.SECURE_HSTS_SECONDS):
        return MappingProxyType(dict(headers))
    bound = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
    return MappingProxyType({**headers, HSTS: bound})


_POLICIES = {
    (kind, is_secure): _with_transport(headers, is_secure=is_secure)
    for kind, headers in POLICIES.items()
    for is_secure in (False, True)
}
_ENCODED = {
    place: tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
    for place, headers in _POLICIES.items()
}
