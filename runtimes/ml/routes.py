"""The HTTP of the runtime server: /health, /v1/models, /v1/chat/completions, /v1/embeddings, as OpenAI's.

Covers: whoever does not know the token is refused everywhere but at /health; models that the asker (the
tenant that the gateway names in X-Atrium-Tenant) may not see are neither listed nor called nor told of.
Does not cover: limits per tenant; the gateway keeps them.
"""

import asyncio
import hmac
import json
import logging
import time
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import web

from .api_errors import ApiError, model_not_found, unauthorized
from .chat_request import ChatRequest, parse_chat_request
from .embedding_request import parse_embedding_request
from .embedding_response import embedding_body
from .preparation import Preparation
from .shelf import ModelShelf

if TYPE_CHECKING:
    from .engine import Engine, Usage

logger = logging.getLogger(__name__)
SHELF = web.AppKey("shelf", ModelShelf)
PREPARATION = web.AppKey("preparation", Preparation)
TOKEN = web.AppKey("token", str)
TENANT_HEADER = "X-Atrium-Tenant"
MAX_BODY_BYTES = 8 * 2**20  # 2,048 texts of 4,000 characters
MAX_CHAT_BODY_BYTES = 2**20


def build_app(shelf: ModelShelf, preparation: Preparation, token: str = "") -> web.Application:
    """Without a token everybody who reaches the port may call."""
    app = web.Application(middlewares=[answer_errors, check_token], client_max_size=MAX_BODY_BYTES)
    app[SHELF] = shelf
    app[PREPARATION] = preparation
    app[TOKEN] = token
    app.add_routes(
        [
            web.get("/health", show_health),
            web.get("/v1/models", list_models),
            web.get("/v1/models/{model}", show_model),
            web.post("/v1/chat/completions", create_chat_completion),
            web.post("/v1/embeddings", create_embeddings),
        ]
    )
    return app


@web.middleware
async def answer_errors(request: web.Request, handler) -> web.StreamResponse:
    """The one place where errors become responses (before a stream has begun)."""
    try:
        return await handler(request)
    except ApiError as exc:
        return exc.as_response()
    except web.HTTPRequestEntityTooLarge:
        return too_large(MAX_BODY_BYTES).as_response()
    except web.HTTPException as exc:
        return ApiError(
            exc.status,
            f"{request.method} {request.path}: {exc.reason}.",
            code="not_found" if exc.status == 404 else None,
        ).as_response()
    except ConnectionError:  # the client is gone; aiohttp notes it quietly
        raise
    except Exception:
        return note_failure(request).as_response()


@web.middleware
async def check_token(request: web.Request, handler) -> web.StreamResponse:
    if request.path != "/health" and not knows_token(request):
        raise unauthorized()
    return await handler(request)


def knows_token(request: web.Request) -> bool:
    token, given = request.app[TOKEN], request.headers.get("Authorization", "")
    return not token or hmac.compare_digest(
        given.encode("utf-8", "surrogateescape"), f"Bearer {token}".encode()
    )


def find_tenant(request: web.Request) -> str | None:
    """For whom the caller asks; None where it names nobody, or is not known itself."""
    return request.headers.get(TENANT_HEADER) if knows_token(request) else None


def too_large(limit_bytes: int) -> ApiError:
    return ApiError(
        413, f"The request body is larger than {limit_bytes // 2**20} MiB.", code="request_too_large"
    )


def note_failure(request: web.Request) -> ApiError:
    """Log the exception being handled; what the client may know about it."""
    logger.exception("%s %s failed", request.method, request.path)
    return ApiError(500, "The server had an error.", code="internal_error")


async def show_health(request: web.Request) -> web.Response:
    """`loading` until torch is imported and preloaded models are there; chat requests may come before and
    wait. 503 if torch cannot be imported. `preparing`: the first models that are not there yet.
    """
    shelf, tenant = request.app[SHELF], find_tenant(request)
    status = "failed" if shelf.import_error else "ready" if shelf.is_ready else "loading"
    body = {
        "status": status,
        "models": shelf.report(tenant),
        "preparing": request.app[PREPARATION].report(tenant),
    }
    if shelf.import_error:
        body["error"] = shelf.import_error
    return web.json_response(body, status=503 if shelf.import_error else 200)


async def list_models(request: web.Request) -> web.Response:
    models = request.app[SHELF].list_usable(find_tenant(request))
    return web.json_response({"object": "list", "data": models})


async def show_model(request: web.Request) -> web.Response:
    model_id = request.match_info["model"]
    for model in request.app[SHELF].list_usable(find_tenant(request)):
        if model["id"] == model_id:
            return web.json_response(model)
    raise model_not_found(model_id)


async def create_chat_completion(request: web.Request) -> web.StreamResponse:
    """Streamed or whole. When the client goes away, aiohttp cancels this handler, which closes the generator
    and frees the slot.
    """
    chat = parse_chat_request(await _read_json(request, MAX_CHAT_BODY_BYTES))
    async with request.app[SHELF].lease(chat.model, kind="chat", tenant=find_tenant(request)) as engine:
        prompt = await asyncio.to_thread(engine.encode, chat)  # a long conversation takes a moment
        max_tokens = engine.plan_completion(chat, len(prompt))
        answer = Answer(chat)
        if chat.is_stream:
            return await _stream(request, engine, chat, answer, prompt, max_tokens)
        return await _complete(engine, chat, answer, prompt, max_tokens)


async def create_embeddings(request: web.Request) -> web.Response:
    """When the client goes away, aiohttp cancels this handler, and its texts are not computed any more."""
    wanted = parse_embedding_request(await _read_json(request))
    lease = request.app[SHELF].lease(wanted.model, kind="embedding", tenant=find_tenant(request))
    async with lease as engine:
        rows = await asyncio.to_thread(engine.encode, wanted)
        vectors = await engine.embed(rows)
    body = await asyncio.to_thread(embedding_body, wanted, vectors, sum(map(len, rows)))
    return web.Response(body=body, content_type="application/json")


async def _read_json(request: web.Request, limit_bytes: int = MAX_BODY_BYTES) -> object:
    body = await request.read()
    if len(body) > limit_bytes:
        raise too_large(limit_bytes)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, "The request body is not valid JSON.", code="invalid_json") from exc


class Answer:
    """The bodies of one completion: all its frames share id and time."""

    def __init__(self, chat: ChatRequest):
        self._common = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": chat.model,
        }
        self.shows_usage = chat.includes_usage

    def whole(self, text: str, finish_reason: str | None, usage: "Usage") -> dict:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
        return {**self._common, "object": "chat.completion", "choices": [choice], "usage": usage.as_body()}

    def frame(self, delta: dict, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return self._encode([choice], {"usage": None} if self.shows_usage else {})

    def usage_frame(self, usage: "Usage") -> bytes:
        return self._encode([], {"usage": usage.as_body()})

    def _encode(self, choices: list[dict], more: dict) -> bytes:
        return encode_event({**self._common, "object": "chat.completion.chunk", "choices": choices, **more})


def encode_event(body: dict) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


async def _complete(
    engine: "Engine", chat: ChatRequest, answer: Answer, prompt: list[int], max_tokens: int
) -> web.Response:
    texts = []
    async with aclosing(engine.generate(chat, prompt, max_tokens)) as pieces:
        async for piece in pieces:
            texts.append(piece.text)
    return web.json_response(answer.whole("".join(texts), piece.finish_reason, piece.usage))


async def _stream(
    request: web.Request,
    engine: "Engine",
    chat: ChatRequest,
    answer: Answer,
    prompt: list[int],
    max_tokens: int,
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
        }
    )
    async with aclosing(engine.generate(chat, prompt, max_tokens)) as pieces:
        first = await anext(pieces)  # before the headers: a failure here keeps its status
        await response.prepare(request)
        await response.write(answer.frame({"role": "assistant", "content": "", "refusal": None}))
        try:
            await _write_piece(response, answer, first)
            async for piece in pieces:
                await _write_piece(response, answer, piece)
            await response.write(b"data: [DONE]\n\n")
        except ConnectionError:
            raise
        except Exception as exc:  # the headers are gone: tell the client inside the stream
            await response.write(
                encode_event((exc if isinstance(exc, ApiError) else note_failure(request)).as_body())
            )
    return response


async def _write_piece(response: web.StreamResponse, answer: Answer, piece) -> None:
    if piece.text:
        await response.write(answer.frame({"content": piece.text}))
    if piece.finish_reason:
        await response.write(answer.frame({}, piece.finish_reason))
        if answer.shows_usage:
            await response.write(answer.usage_frame(piece.usage))
