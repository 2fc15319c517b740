"""`/v1`: routes, answers, and errors in OpenAI's shape and the caller's language. Who comes in: `door`."""

import asyncio
import logging

import orjson
from django.utils import translation
from django.utils.translation import trans_real

from foundation.errors import AtriumError, NotFound
from foundation.moments import wait_for_moment
from foundation.told import gettext as _
from gateway import door
from gateway.addresses import ASKED, V1
from gateway.errors import InvalidKey, MethodNotAllowed, error_headers
from gateway.http import AsgiScope, ClientGone, Receive, Send, find_header, send_answer
from gateway.loop import get_loop
from gateway.operations.messages.errors import find_dialect
from gateway.request import Request
from gateway.routes import View, find_route, find_similar, list_routes

logger = logging.getLogger(__name__)

# of a key that opens nothing: from memory it takes 0.2 ms, from the database 1.5 to 6; 5 ms let some of the
# latter leave a step later (S22, 20,000 times)
REFUSAL_STEP_S = 0.02


async def serve(scope: AsgiScope, receive: Receive, send: Send) -> None:
    """Answer one request to `/v1`; never raises."""
    gateway = get_loop()
    visit = door.begin_visit(scope)
    visit.dialect = find_dialect(scope)
    language = _activate_language(find_header(scope, b"accept-language"))
    try:
        if door.is_preflight(scope, visit):
            await door.answer_preflight(scope, send, visit)
            return
        if scope["path"] == V1 and scope["method"] in ("GET", "HEAD"):
            await send_answer(send, 200, describe(), visit.headers())
            return
        view, places = _find_view(scope)
        principal, snapshot = await door.enter(scope, gateway.snapshots, visit)
        gateway.note_key_use(principal)
        await view(
            Request(
                scope=scope,
                receive=receive,
                send=send,
                gateway=gateway,
                principal=principal,
                snapshot=snapshot,
                visit=visit,
            ),
            **places,
        )
    except AtriumError as exc:
        await _refuse(exc, send, visit, language)
    except ClientGone:
        logger.info("the client left before its answer")
    except asyncio.CancelledError:
        raise
    except Exception:
        logger.exception("a request to /v1 failed")
        await _tell_error(_fault_of_ours(), send, visit, language)


async def _refuse(error: AtriumError, send: Send, visit: door.Visit, language: str) -> None:
    if isinstance(error, InvalidKey):
        visit.tells_time = False
        await wait_for_moment(visit.begun_s, REFUSAL_STEP_S)
    await _tell_error(error, send, visit, language)


async def _tell_error(error: AtriumError, send: Send, visit: door.Visit, language: str) -> None:
    dialect, headers = visit.dialect, visit.headers([*error_headers(error), *error.headers])
    body = dialect.error_body(error, language, visit.request_id)
    await send_answer(send, dialect.status_of(error), body, headers)


def _fault_of_ours() -> AtriumError:
    return AtriumError(
        _("Something went wrong on our side. Try again; if it stays, report the request id."),
        code="internal_error",
    )


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
    found = find_route(scope["path"].removeprefix("/v1/"))
    if found is None:
        raise _unknown(scope)
    route, places = found
    view = route.find_view(scope["method"])
    if view is None:
        raise MethodNotAllowed(route.methods)
    return view, places


def _unknown(scope: AsgiScope) -> NotFound:
    path: str = scope["path"]
    asked: str = scope.get(ASKED, path)
    similar = find_similar(path.removeprefix("/v1/")) if path != V1 else None
    if similar is not None:
        text = _("There is no “%(path)s” here. Perhaps you mean “%(similar)s”: base addresses end in “/v1”.")
        if _lies_below(asked, similar.address):
            text = _("There is no “%(path)s” here. Perhaps you mean “%(similar)s”.")
        message = text % {"path": asked[:100], "similar": similar.address}
    else:
        served = ", ".join(one.address for one in list_routes())
        text = _("There is no “%(path)s” here. This version serves %(paths)s.")
        message = text % {"path": asked[:100], "paths": served}
    return NotFound(message, code="unknown_url")


def _lies_below(path: str, address: str) -> bool:
    """Whether the base address was the right one: Anthropic's, which ends before “/v1”, or OpenAI's."""
    rest = path.removeprefix(f"{address}/")
    return rest != path and not address.endswith(f"/{rest}")


def describe() -> bytes:
    """What stands at the base address itself: for people who look whether it is the right one, and clients
    that ask whether anybody is there. Says nothing that a key would have to open.
    """
    routes = [f"{method} {one.address}" for one in list_routes() for method in sorted(one.views)]
    return orjson.dumps({"object": "api", "routes": routes, "authentication": "Authorization: Bearer atr_…"})


def is_served(path: str) -> bool:
    """Whether there is something at this path below `/v1/`, whatever the method."""
    return find_route(path.removeprefix("/v1/")) is not None
