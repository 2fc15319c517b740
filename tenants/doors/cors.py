"""Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol): which web pages may read the
answers of `/v1` and `/api/v1`. Off until a tenant lists an origin.

Guards against: a page that no tenant listed reading an answer, and one that one tenant listed reading
another's. Cookies open nothing across origins: `Access-Control-Allow-Credentials` is never sent.
Does not guard: against calls by other programs, which heed none of this; a key is what lets in.

A preflight shows no key. On a tenant's host the host says whose list counts. Elsewhere nobody knows yet: the
preflight is answered for every origin, and the answer to the call itself only to those on the list of the
tenant whose key it was.
"""

import re
from collections.abc import Collection

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from foundation.egress import parse_url
from foundation.errors import InvalidInput, NotAllowed

MAX_AGE_S = 600  # for so long a browser asks no second time
EXPOSED = ", ".join(
    [
        "x-request-id",
        "request-id",
        "retry-after",
        *[
            f"x-ratelimit-{fact}-{kind}"
            for fact in ("limit", "remaining", "reset")
            for kind in ("requests", "tokens")
        ],
        "x-atrium-cost",
        "x-atrium-model",
        "x-atrium-attempts",
        "x-atrium-max-tokens",
        "x-atrium-dropped-params",
        "openai-processing-ms",
        "openai-version",
        "traceparent",
        "deprecation",
        "sunset",
        "www-authenticate",
    ]
)
METHODS = "GET, POST, PUT, PATCH, DELETE"
# scheme, host, port: as browsers write them (RFC 6454, 6.2)
ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
)
USUAL_PORTS = {"http": 80, "https": 443}
MAX_ORIGIN = 255
_REQUESTED = re.compile(r"[A-Za-z0-9_, -]{0,4000}")


class OriginNotListed(NotAllowed):
    code = "origin_not_listed"

    def __init__(self) -> None:
        super().__init__(
            _("Web pages of this origin may not call this organisation. An administrator can list it.")
        )


def read_origin(text: str) -> str:
    """An origin as browsers send it. Raises InvalidInput: no wildcards, no paths, no “null”, and nothing that
    no browser would send.
    """
    found = ORIGIN.fullmatch(text.strip().lower().rstrip("/"))
    if found is None or len(text) > MAX_ORIGIN:
        raise _wrong(_explain(text.strip().lower()))
    scheme, host, port = found["scheme"], found["host"], found["port"]
    if port and not 1 <= int(port) <= 65_535:
        raise _wrong(_("The port must be between 1 and 65535."))
    if scheme in USUAL_PORTS:
        try:
            host = parse_url(f"{scheme}://{host}").url_host
        except InvalidInput as exc:
            raise _wrong(exc.message) from None
    return f"{scheme}://{host}" + (f":{int(port)}" if port and int(port) != USUAL_PORTS.get(scheme) else "")


def _explain(text: str) -> Promise:
    """What is wrong with a text that is no origin."""
    if "*" in text:
        return _("Wildcards are not allowed. List each origin by itself, such as https://app.example.org.")
    if text == "null":
        return _("“null” is what pages without an origin send, and cannot be listed.")
    if ORIGIN.match(text) and re.fullmatch(r"[^/]+//[^/?#@\s]+[/?#]\S*", text) and len(text) <= MAX_ORIGIN:
        return _(
            "Remove the path: an origin ends with the host or the port, such as https://app.example.org."
        )
    return _("An origin has a scheme, a host and perhaps a port, such as https://app.example.org.")


def _wrong(message: str | Promise) -> InvalidInput:
    return InvalidInput(message, code="invalid_origin", param="origin")


def answer_headers(origin: str, allowed: Collection[str]) -> dict[str, str]:
    """Of the answer to a call from a page of this origin ("": from none)."""
    if not origin or origin not in allowed:
        return {"vary": "origin"}
    return {
        "vary": "origin",
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED,
    }


def is_preflight(method: str, origin: str, wanted_method: str) -> bool:
    return method == "OPTIONS" and bool(origin and wanted_method)


def preflight_headers(origin: str, wanted_headers: str, allowed: Collection[str] | None) -> dict[str, str]:
    """Of the answer, without a body, to a preflight. `allowed`: the list of the host's tenant; None: at a
    host of no tenant. Raises OriginNotListed.
    """
    if allowed is not None and origin not in allowed:
        raise OriginNotListed
    return {
        "vary": "origin, access-control-request-headers",
        "access-control-allow-origin": "*" if allowed is None else origin,
        "access-control-allow-methods": METHODS,
        # clients of OpenAI send a dozen names of their own
        "access-control-allow-headers": wanted_headers
        if _REQUESTED.fullmatch(wanted_headers)
        else "authorization",
        "access-control-max-age": str(MAX_AGE_S),
    }
