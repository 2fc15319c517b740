"""`/v1`: routes, answers, and errors in OpenAI's shape and the caller's language. Who comes in: `door`."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import trans_real

from foundation.errors import AtriumError, NotFound
from foundation.moments import wait_for_moment
from gateway import door, parse, pipeline
from gateway.calls import Principal
from gateway.door import Visit
from gateway.errors import InvalidKey, MethodNotAllowed, error_body, error_headers
from gateway.http import AsgiScope, ClientGone, Headers, Receive, Send, find_header, read_body, send_answer
from gateway.loop import GatewayLoop, get_loop
from gateway.state.snapshot import TenantSnapshot
from gateway.steps.resolve import list_visible_routes
from models_registry.routes import Route

logger = logging.getLogger(__name__)

SEND_TIMEOUT_S = 60.0  # a client that takes nothing for so long is gone
# of a key that opens nothing: from memory it takes 0.2 ms, from the database about 1.5
REFUSAL_STEP_S = 0.005
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")


@dataclass(slots=True)
class Request:
    """A request of a known caller."""

    scope: AsgiScope
    receive: Receive
    send: Send
    gateway: GatewayLoop
    principal: Principal
    snapshot: TenantSnapshot
    visit: Visit

    async def answer(self, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Raises ClientGone if the client takes nothing for SEND_TIMEOUT_S."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send_answer(self.send, 200, body, [*self.visit.headers(), *headers])
        except TimeoutError:
            raise ClientGone from None


View = Callable[[Request], Awaitable[None]]


async def serve(scope: AsgiScope, receive: Receive, send: Send) -> None:
    """Answer one request to `/v1`; never raises."""
    gateway = get_loop()
    visit = door.begin_visit(scope)
    language = _activate_language(find_header(scope, b"accept-language"))
    try:
        if door.is_preflight(scope, visit):
            await door.answer_preflight(scope, send, visit)
            return
        view = _find_view(scope)
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
            )
        )
    except AtriumError as exc:
        if isinstance(exc, InvalidKey):
            visit.tells_time = False
            await wait_for_moment(visit.begun_s, REFUSAL_STEP_S)
        await send_answer(
            send,
            exc.http_status,
            error_body(exc, language),
            [*visit.headers(), *error_headers(exc), *exc.headers],
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
        await send_answer(send, 500, error_body(error, language), visit.headers())


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


def _find_view(scope: AsgiScope) -> View:
    path, method = scope["path"].removeprefix("/v1/"), scope["method"]
    if path == "chat/completions":
        wanted, view = "POST", chat_completions
    elif path == "models":
        wanted, view = "GET", models
    elif path.startswith("models/"):
        wanted, view = "GET", model
    else:
        raise NotFound(
            _("There is no “%(path)s” here. This version serves chat/completions and models.")
            % {"path": scope["path"][:100]},
            code="unknown_url",
        )
    if method != wanted:
        raise MethodNotAllowed(wanted)
    return view


def is_served(path: str) -> bool:
    """Whether there is something at this path, whatever the method."""
    try:
        _find_view({"path": path, "method": "POST"})
    except NotFound:
        return False
    except MethodNotAllowed:
        pass
    return True


async def chat_completions(request: Request) -> None:
    visit = request.visit
    call = parse.parse_chat_completion(await read_body(request.receive), request.principal, visit.request_id)
    call.trace = visit.trace
    gateway = request.gateway
    try:
        await pipeline.prepare(call, request.snapshot, gateway)
        if call.wants_stream:
            await _send_stream(request, pipeline.stream(call, gateway), call.headers)
        else:
            # Read to its end even where the client has gone: the provider finishes it and charges for it.
            await request.answer(await pipeline.complete(call, gateway), call.headers)
    except AtriumError as exc:
        exc.headers = call.headers
        raise


async def _send_stream(request: Request, frames: AsyncGenerator[bytes], headers: Headers) -> None:
    send = request.send
    async with _cancelled_when_gone(request.receive) as watch:
        try:
            first = await anext(frames)  # a refusal keeps its status: headers leave with the first frame
            watch.sends_since_s = watch.loop.time()
            head = [EVENT_STREAM, (b"cache-control", b"no-store"), *request.visit.headers(), *headers]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            watch.sends_since_s = None
            async for part in frames:
                watch.sends_since_s = watch.loop.time()
                await send({"type": "http.response.body", "body": part, "more_body": True})
                watch.sends_since_s = None
        finally:
            await frames.aclose()
        watch.sends_since_s = watch.loop.time()
        await send({"type": "http.response.body", "body": b""})


class _ClientWatch:
    """Cancels a task when its client closes the connection, or takes nothing of what is sent for
    SEND_TIMEOUT_S.
    """

    def __init__(self, receive: Receive) -> None:
        self.loop = asyncio.get_running_loop()
        self.sends_since_s: float | None = None
        self.is_gone = False
        self._receive = receive
        self._watched = asyncio.current_task()
        self._hearing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._hearing = self.loop.create_task(self._hear())
        self._look()

    def stop(self) -> None:
        self._watched = None
        if self._timer:
            self._timer.cancel()
        if self._hearing:
            self._hearing.cancel()

    async def _hear(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._give_up()

    def _look(self) -> None:
        rest_s = (
            SEND_TIMEOUT_S
            if self.sends_since_s is None
            else self.sends_since_s + SEND_TIMEOUT_S - self.loop.time()
        )
        if rest_s > 0:
            self._timer = self.loop.call_later(rest_s, self._look)
        else:
            self._give_up()

    def _give_up(self) -> None:
        if self._watched is not None:
            self.is_gone = True
            self._watched.cancel()


@asynccontextmanager
async def _cancelled_when_gone(receive: Receive) -> AsyncIterator[_ClientWatch]:
    """Cancel the running task when the client is gone; then raise ClientGone."""
    watch, task = _ClientWatch(receive), asyncio.current_task()
    watch.start()
    try:
        yield watch
    except asyncio.CancelledError:
        if not watch.is_gone or task is None:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        watch.stop()


def _describe(route: Route, snapshot: TenantSnapshot) -> dict:
    return {
        "id": route.name,
        "object": "model",
        "created": 0,
        "owned_by": snapshot.slug if route.endpoint.origin == "tenant" else "platform",
        "context_window": route.context_window,
        "max_output_tokens": route.max_output_tokens,
        "channel": route.channel,
    }


async def models(request: Request) -> None:
    data = [
        _describe(route, request.snapshot)
        for route in list_visible_routes(request.principal.model_names, request.snapshot)
    ]
    await request.answer(orjson.dumps({"object": "list", "data": data}))


async def model(request: Request) -> None:
    name = request.scope["path"].removeprefix("/v1/models/")
    route = next(
        (
            route
            for route in list_visible_routes(request.principal.model_names, request.snapshot)
            if route.name == name
        ),
        None,
    )
    if route is None:
        raise NotFound(
            _("The model “%(name)s” does not exist or you have no access to it.") % {"name": name[:100]},
            code="model_not_found",
            param="model",
        )
    await request.answer(orjson.dumps(_describe(route, request.snapshot)))
