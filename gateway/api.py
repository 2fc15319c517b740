"""`/v1`: routes, authentication, and errors in OpenAI's shape and the caller's language.

Guards against: keys of one tenant on another's host, a cookie doing a key's work, a second header
contradicting the first.
"""

import asyncio
import logging
from functools import lru_cache

from django.conf import settings
from django.http.request import validate_host
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import trans_real

from accounts.keys import read_bearer
from foundation.errors import AtriumError, NotFound, Unavailable
from foundation.ids import uuid7
from foundation.moments import wait_for_moment
from gateway.calls import Principal
from gateway.errors import InvalidKey, error_body, error_headers
from gateway.http import AsgiScope, ClientGone, Receive, Send, find_header, send_answer
from gateway.loop import GatewayLoop, get_loop
from gateway.request import Request
from gateway.routes import View, find_route, list_routes
from gateway.state.snapshot import TenantSnapshot
from gateway.steps.authenticate import authenticate
from tenants.context import in_platform
from tenants.doors import hosts

logger = logging.getLogger(__name__)

# of a key that opens nothing: from memory it takes 0.2 ms, from the database about 1.5
REFUSAL_STEP_S = 0.005


class MethodNotAllowed(AtriumError):
    http_status = 405
    code = "method_not_allowed"


async def serve(scope: AsgiScope, receive: Receive, send: Send) -> None:
    """Answer one request to `/v1`; never raises."""
    gateway = get_loop()
    begun_s = asyncio.get_running_loop().time()
    language = _activate_language(find_header(scope, b"accept-language"))
    number = uuid7()
    request_id = (b"x-request-id", f"req_{number.hex}".encode())
    try:
        view, places = _find_view(scope)
        principal, snapshot = await _authenticate(scope, gateway)
        gateway.note_key_use(principal)
        await view(
            Request(
                scope=scope,
                receive=receive,
                send=send,
                gateway=gateway,
                principal=principal,
                snapshot=snapshot,
                id=number,
                id_header=request_id,
            ),
            **places,
        )
    except AtriumError as exc:
        if isinstance(exc, InvalidKey):
            await wait_for_moment(begun_s, REFUSAL_STEP_S)
        await send_answer(
            send,
            exc.http_status,
            error_body(exc, language),
            [request_id, *error_headers(exc), *exc.headers],
        )
    except ClientGone:
        logger.info("the client left before its answer")
    except asyncio.CancelledError:
        raise
    except Exception:
        logger.exception("a request to /v1 failed")
        error = AtriumError(
            _("Something went wrong on our side. Try again; if it stays, report the request id."),
            code="internal_error",
        )
        await send_answer(send, 500, error_body(error, language), [request_id])


def _activate_language(header: bytes) -> str:
    """The caller's language, activated for this request's context; programs that name none get English."""
    if not header:
        return "en"
    for code, _weight in trans_real.parse_accept_lang_header(header.decode("latin-1").lower()):
        try:
            language = translation.get_supported_language_variant(code)
        except LookupError:
            continue
        if language != "en":
            translation.activate(language)
        return language
    return "en"


def _find_view(scope: AsgiScope) -> tuple[View, dict[str, str]]:
    path, method = scope["path"].removeprefix("/v1/"), scope["method"]
    found = find_route(path)
    if found is None:
        raise NotFound(
            _("There is no “%(path)s” here. This version serves %(paths)s.")
            % {"path": path[:100], "paths": ", ".join(one.template for one in list_routes())},
            code="unknown_url",
        )
    route, places = found
    view = route.views.get(method)
    if view is None:
        raise MethodNotAllowed(_("Use %(method)s here.") % {"method": ", ".join(sorted(route.views))})
    return view, places


async def _authenticate(scope: AsgiScope, gateway: GatewayLoop) -> tuple[Principal, TenantSnapshot]:
    host_tenant = await _tenant_of_host(scope)
    header = find_header(scope, b"authorization")
    key = read_bearer(header.decode("latin-1"))
    if key is None:
        raise InvalidKey
    return await authenticate(key, gateway.snapshots, host_tenant=host_tenant)


async def _tenant_of_host(scope: AsgiScope) -> str | None:
    """None on the platform's hosts, where every tenant's key works; else the host's tenant.
    Raises NotFound for a host nobody has.
    """
    name = find_header(scope, b"host").decode("latin-1").rsplit(":", 1)[0].lower().rstrip(".")
    if not _is_served(name):
        raise _unknown_host()
    if hosts.is_platform_host(name):
        return None
    is_known, door = hosts.recall(f"host:{name}")
    if not is_known:
        from django.db import OperationalError

        try:
            door = await in_platform(hosts.find_tenant_by_host, name)
        except OperationalError as exc:
            raise Unavailable(
                _("The database does not answer. Try again in a moment."), retry_after_s=2
            ) from exc
    if door is None:
        raise _unknown_host()
    return door.slug


@lru_cache(maxsize=1024)
def _is_served(host: str) -> bool:
    return validate_host(host, settings.ALLOWED_HOSTS)


def _unknown_host() -> NotFound:
    return NotFound(
        _(
            "No organisation is set up at this address. Use the platform's address, for instance "
            "http://localhost:8000/v1."
        ),
        code="unknown_host",
    )
