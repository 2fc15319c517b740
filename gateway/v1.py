"""The gateway's own routes of `/v1`."""

import orjson

from foundation.errors import AtriumError, NotFound
from foundation.told import gettext as _
from gateway import counting, pipeline
from gateway.addresses import DEPLOYMENT
from gateway.calls import Call, Operation, Principal
from gateway.files import uploads, views  # noqa: F401  (they register their routes)
from gateway.http import ClientGone, read_json_body
from gateway.operations import chat_completions, completions, embeddings, messages, rerank
from gateway.operations.body import BYTE_ORDER_MARK
from gateway.operations.messages import models as anthropics
from gateway.operations.messages.count import OPERATION as COUNT
from gateway.request import Request, answer_whole, attempts_header, retry_header, send_stream
from gateway.routes import route
from gateway.state.snapshot import TenantSnapshot
from gateway.steps import auto
from gateway.steps.admit import admit_unread
from gateway.steps.lookup import find_route, list_visible_routes
from models_registry.kinds import ADDRESSES, AUTO, Channel, ModelKind
from models_registry.routes import Route


@route("POST", "chat/completions")
async def create_chat_completion(request: Request) -> None:
    await call_model(request, chat_completions.OPERATION)


@route("POST", "completions")
async def create_completion(request: Request) -> None:
    await call_model(request, completions.OPERATION)


@route("POST", "messages")
async def create_message(request: Request) -> None:
    await call_model(request, messages.OPERATION)


@route("POST", "messages/count_tokens")
async def count_tokens(request: Request) -> None:
    """Costs nothing, and counts as a request."""
    call = await _read_call(request, COUNT)
    call.headers += await admit_unread(request.principal, request.snapshot, request.gateway.limiter)
    try:
        await counting.prepare(call, request.snapshot)
        await answer_whole(request, counting.count(call, request.gateway), call)
    except AtriumError as exc:
        error = _name_address(exc, call, request)
        error.headers = call.headers
        raise error from None


@route("POST", "embeddings")
async def create_embeddings(request: Request) -> None:
    await call_model(request, embeddings.OPERATION)


@route("POST", "rerank")
async def create_rerank(request: Request) -> None:
    await call_model(request, rerank.OPERATION)


async def call_model(request: Request, operation: Operation) -> None:
    """Take a request through the pipeline."""
    call = await _read_call(request, operation)
    gateway, is_prepared = request.gateway, False
    try:
        await pipeline.prepare(call, request.snapshot, gateway)
        is_prepared = True
        if call.wants_stream:
            await send_stream(request, pipeline.stream(call, gateway), call)
        else:
            await answer_whole(request, pipeline.complete(call, gateway), call)
    except AtriumError as exc:
        error = _name_address(exc, call, request)
        error.headers = call.headers
        if is_prepared:
            error.headers = [*call.headers, *attempts_header(call), *retry_header(call, error)]
        raise error from None


async def _read_call(request: Request, operation: Operation) -> Call:
    """What counts as a request is the asking, whatever the body says: one that makes no call counts here, one
    that does when it is admitted. Raises what reading and parsing raise, and QuotaExceeded.
    """
    try:
        raw = await read_json_body(request.scope, request.receive)
        call = operation.parse(_name_model(raw, request), request.principal, request.visit.request_id)
    except (AtriumError, ClientGone) as exc:
        headers = await admit_unread(request.principal, request.snapshot, request.gateway.limiter)
        if isinstance(exc, AtriumError):
            exc.headers = [*exc.headers, *headers]
        raise
    call.body["model"] = request.scope.get(DEPLOYMENT, call.body["model"])
    call.trace = request.visit.trace
    return call


def _name_model(raw: bytes, request: Request) -> bytes:
    """A body for Azure may leave the model to the address; one that names it, too, names it after this."""
    model = request.scope.get(DEPLOYMENT)
    if model is None:
        return raw
    body = raw.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not body.startswith(b"{"):
        return raw
    rest = body[1:].lstrip()
    return b'{"model":' + orjson.dumps(model) + (b"" if rest.startswith(b"}") else b",") + rest


def _name_address(error: AtriumError, call: Call, request: Request) -> AtriumError:
    """Of a model that there is, though not for this operation: where it is called."""
    name = call.body["model"]
    found = find_route(name, request.principal, request.snapshot) if error.code == "model_not_found" else None
    if found is None or found.kind == call.operation.model_kind:
        return error
    address = ADDRESSES.get(found.kind)
    message = (
        _("“%(name)s” is a model of the kind “%(kind)s”. Call it at %(address)s.")
        if address
        else _("“%(name)s” is a model of the kind “%(kind)s”, which this version does not serve.")
    ) % {"name": name[:100], "kind": ModelKind(found.kind).label, "address": f"/v1/{address}"}
    return NotFound(message, code="model_not_found", param="model")


def list_named(principal: Principal, snapshot: TenantSnapshot) -> list[tuple[str, Route]]:
    """The models that a caller may call, by the names to call them by: their own, or the aliases that a key
    is bound to. Kinds that this version does not serve are left out.
    """
    named = {one.name: one for one in list_visible_routes(principal, snapshot)}
    for alias in principal.model_names - named.keys():
        if (found := find_route(alias, principal, snapshot)) is not None:
            named[alias] = found
    return [(name, named[name]) for name in sorted(named) if named[name].kind in ADDRESSES]


def _list_auto(request: Request) -> list[Route]:
    """Among which “auto” chooses for the caller; none where there is no choice, though it can be called."""
    among = auto.list_models(request.principal, request.snapshot)
    return among if len(among) > 1 else []


@route("GET", "models")
async def list_models(request: Request) -> None:
    named = list_named(request.principal, request.snapshot)
    listed = [(_describe(one, name, request), one.label) for name, one in named]
    if among := _list_auto(request):
        listed = sorted([*listed, (_describe_auto(among, request), AUTO)], key=lambda one: one[0]["id"])
    if anthropics.is_asked(request.scope):
        told = anthropics.as_models(listed)
    else:
        told = {"object": "list", "data": [one for one, _label in listed]}
    await request.answer(orjson.dumps(told))


@route("GET", "models/{model:path}")
async def show_model(request: Request, model: str) -> None:
    if model == AUTO and (among := _list_auto(request)):
        await _answer_model(request, _describe_auto(among, request), AUTO)
        return
    found = find_route(model, request.principal, request.snapshot)
    if found is None:
        raise NotFound(
            _("The model “%(name)s” does not exist or you have no access to it.") % {"name": model[:100]},
            code="model_not_found",
            param="model",
        )
    await _answer_model(request, _describe(found, model, request), found.label)


async def _answer_model(request: Request, one: dict, label: str) -> None:
    told = anthropics.as_model(one, label) if anthropics.is_asked(request.scope) else one
    await request.answer(orjson.dumps(told))


def _describe(one: Route, name: str, request: Request) -> dict:
    """OpenAI's fields, and ours that clients skip. Azure and others call the day of retirement
    `shutdown_date`.
    """
    return {
        "id": name,
        "object": "model",
        "created": int(one.created_at.timestamp()) if one.created_at else 0,
        "owned_by": request.snapshot.slug if one.origin == "tenant" else "platform",
        "shutdown_date": one.retire_on.isoformat() if one.retire_on else None,
        "kind": one.kind,
        "context_window": one.context_window,
        "max_output_tokens": one.max_output_tokens,
        "channel": one.channel,
    }


def _describe_auto(among: list[Route], request: Request) -> dict:
    """Of “auto”, in the same fields: the room that at least one of its models has, and all their names."""
    return {
        "id": AUTO,
        "object": "model",
        "created": 0,
        "owned_by": request.snapshot.slug,
        "shutdown_date": None,
        "kind": ModelKind.CHAT,
        "context_window": max((one.context_window or 0 for one in among), default=0) or None,
        "max_output_tokens": max((one.max_output_tokens or 0 for one in among), default=0) or None,
        "channel": Channel.STABLE,
        "chooses_among": [one.name for one in among],
    }
