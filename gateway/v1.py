"""The gateway's own routes of `/v1`."""

import orjson
from django.utils.translation import gettext as _

from foundation.errors import AtriumError, NotFound
from gateway import pipeline
from gateway.calls import Operation
from gateway.http import read_body
from gateway.operations import chat_completions, embeddings
from gateway.request import Request, answer_whole, send_stream
from gateway.routes import route
from gateway.steps.resolve import find_route, list_visible_routes
from models_registry.routes import Route


@route("POST", "chat/completions")
async def create_chat_completion(request: Request) -> None:
    await call_model(request, chat_completions.OPERATION)


@route("POST", "embeddings")
async def create_embeddings(request: Request) -> None:
    await call_model(request, embeddings.OPERATION)


async def call_model(request: Request, operation: Operation) -> None:
    """Take a request through the pipeline."""
    call = operation.parse(await read_body(request.receive), request.principal, request.visit.request_id)
    call.trace = request.visit.trace
    gateway = request.gateway
    try:
        await pipeline.prepare(call, request.snapshot, gateway)
        if call.wants_stream:
            await send_stream(request, pipeline.stream(call, gateway), call)
        else:
            await answer_whole(request, pipeline.complete(call, gateway), call)
    except AtriumError as exc:
        exc.headers = call.headers
        raise


@route("GET", "models")
async def list_models(request: Request) -> None:
    data = [_describe(one, request) for one in list_visible_routes(request.principal, request.snapshot)]
    await request.answer(orjson.dumps({"object": "list", "data": data}))


@route("GET", "models/{model:path}")
async def show_model(request: Request, model: str) -> None:
    found = find_route(model, request.principal, request.snapshot)
    if found is None:
        raise NotFound(
            _("The model “%(name)s” does not exist or you have no access to it.") % {"name": model[:100]},
            code="model_not_found",
            param="model",
        )
    await request.answer(orjson.dumps(_describe(found, request)))


def _describe(one: Route, request: Request) -> dict:
    """OpenAI's fields, and ours that clients skip. Azure and others call the day of retirement
    `shutdown_date`.
    """
    return {
        "id": one.name,
        "object": "model",
        "created": int(one.created_at.timestamp()) if one.created_at else 0,
        "owned_by": request.snapshot.slug if one.origin == "tenant" else "platform",
        "shutdown_date": one.retire_on.isoformat() if one.retire_on else None,
        "kind": one.kind,
        "context_window": one.context_window,
        "max_output_tokens": one.max_output_tokens,
        "channel": one.channel,
    }
