"""Step 7: send the call to a candidate's endpoint. Connect, first-byte and idle time are bounded; the
provider's refusals become ours, without its secrets.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any

import aiohttp
import orjson

from foundation.deadlines import Deadline
from foundation.egress.data_plane import BrokenHead, StaleConnection
from foundation.errors import UpstreamError
from foundation.told import gettext as _
from gateway.answers.decoding import read_some
from gateway.answers.refusals import note_advice, refusal
from gateway.answers.usage import estimate_input_tokens
from gateway.calls import Call
from gateway.errors import UpstreamTimeout
from gateway.state.quirks import Quirk, Quirks, token_limit_name, with_smaller_bound, without_refused
from gateway.steps.identifiers import make_own
from gateway.trace import trace_headers
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS
from models_registry.providers.openai_compatible.errors import ProviderError
from models_registry.providers.openai_compatible.fields import asks

MAX_ERROR_BYTES = 65_536
MAX_TRIES = 4  # one more for each thing that we add and a server may not take
FAULTY_REQUEST = (400, 422)
IS_ERROR = "is_error"
FAILED = "Error"  # shorter than the field that it stands for, so a hold by bytes covers it
BLOCKS = frozenset({"thinking_blocks", "content_blocks", IS_ERROR})  # of messages
WISHES = ("thinking", "top_k")  # of Anthropic's clients, which few others know (operations.messages.plain)
NO_ANSWER = (202, 204, 205)  # of the statuses of success: later perhaps, or nothing


def is_answer(status: int) -> bool:
    """Whether an answer is in the body: some servers call it created (201) or changed on its way (203)."""
    return 200 <= status < 300 and status not in NO_ANSWER


def request_headers(call: Call) -> dict[str, str]:
    endpoint = call.candidate.endpoint
    provider = endpoint.provider
    return {
        "Content-Type": "application/json",
        **provider.auth_headers(endpoint.secret),
        **provider.tenant_headers(call.principal.tenant),
    }


def upstream_body(call: Call, limit_name: str, quirk: Quirk, longest_answer: int) -> bytes:
    """The caller's body with the provider's model name, as this server takes it."""
    candidate = call.candidate
    body = call.operation.write_body(call, limit_name, asks_for_usage=quirk.takes_stream_options)
    body["model"] = candidate.upstream_name
    if not quirk.takes_encoding_format:  # vectors are brought into the caller's form by us
        body.pop("encoding_format", None)
    if limit_name in body:
        body[limit_name] = longest_answer
    asked = call.operation.upstream_name
    if asked == CHAT_COMPLETIONS and not candidate.provider.knows_developer:
        body["messages"] = [
            {**message, "role": "system"} if message.get("role") == "developer" else message
            for message in body["messages"]
        ]
    if asked == CHAT_COMPLETIONS and not candidate.provider.takes_blocks:
        body["messages"] = [
            message if BLOCKS.isdisjoint(message) else _without_blocks(message)
            for message in body["messages"]
        ]
    make_own(body, candidate, call.principal.tenant)
    if _may_store(call):
        body.pop("metadata", None)  # of what it stores, and refused beside `store: false`
        if quirk.takes_store:
            body["store"] = False
    written = candidate.provider.write_body(asked, body)
    if asked == CHAT_COMPLETIONS:
        call.dropped = _list_dropped(call, body, written)
    return orjson.dumps(written)


def _list_dropped(call: Call, body: dict[str, Any], written: dict[str, Any]) -> list[str]:
    """Wishes of the caller's that this provider is not told."""
    dropped = call.candidate.provider.find_dropped(body, written)
    return [*dropped, *(name for name in WISHES if asks(call.body, name) and name not in body)]


def _without_blocks(message: dict[str, Any]) -> dict[str, Any]:
    """Without what only the provider that has written it takes back, and fields that others do not know."""
    if BLOCKS.isdisjoint(message):
        return message
    plain = {name: value for name, value in message.items() if name not in BLOCKS}
    return {**plain, "content": _as_error(message.get("content"))} if message.get(IS_ERROR) is True else plain


def _as_error(content: Any) -> Any:
    """What a tool gave that failed: OpenAI's messages have no field for that, so the model reads it."""
    if isinstance(content, list):
        return [{"type": "text", "text": FAILED}, *content]
    said = content or ""
    return said if said.lstrip().lower().startswith(FAILED.lower()) else f"{FAILED}: {said}".rstrip(": ")


@lru_cache
def _timeouts(connect_s: float) -> aiohttp.ClientTimeout:
    """Of the connection only: the time to the headers is bounded here, that between pieces in
    gateway.answers.idle.
    """
    return aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s, sock_read=None)


def dispatch(
    call: Call, client: aiohttp.ClientSession, quirks: Quirks
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    """The upstream's response with a status of success, its body unread. Leaving the block closes or returns
    the connection.

    Raises UpstreamError, UpstreamTimeout, and what the provider holds against the request itself
    (InvalidInput, QuotaExceeded).
    """
    return _Dispatched(_ask(call, client, quirks))


class _Dispatched(AbstractAsyncContextManager[aiohttp.ClientResponse]):
    def __init__(self, asking: Coroutine[Any, Any, aiohttp.ClientResponse]) -> None:
        self._asking = asking

    async def __aenter__(self) -> aiohttp.ClientResponse:
        self._response = await self._asking
        return self._response

    async def __aexit__(self, *_exception: object) -> None:
        _let_go(self._response)


async def _ask(call: Call, client: aiohttp.ClientSession, quirks: Quirks) -> aiohttp.ClientResponse:
    """Send the request; once more without what we added where a server refuses just that."""
    candidate, quirk = call.candidate, quirks.of(call.candidate)
    input_tokens, limit = estimate_input_tokens(call), call.max_output_tokens
    for _number in range(MAX_TRIES + _may_store(call)):
        limit_name = token_limit_name(candidate, quirk)
        longest = quirk.longest_answer(limit, input_tokens) if _is_ours(call, limit) else limit
        response = await _send_once(call, client, upstream_body(call, limit_name, quirk, longest))
        if is_answer(response.status):
            if quirk is not quirks.of(candidate):
                quirks.learn(candidate, quirk)
            return response
        call.was_refused = True
        try:
            error = await _read_error(call, response)
        finally:
            _let_go(response)
        other = None
        if response.status in FAULTY_REQUEST:
            other = without_refused(
                error,
                quirk,
                limit_name,
                longest,
                adds_stream_options=_adds_stream_options(call),
                sends_encoding_format="encoding_format" in call.body,
                adds_store=_may_store(call),
            )
            if other is None and _is_ours(call, limit):
                other, input_tokens = with_smaller_bound(error, quirk, longest, input_tokens)
        if other is None:
            break
        quirk = other
    note_advice(call, response.headers)
    raise refusal(response.status, error, response.headers, candidate.endpoint)


async def _send_once(call: Call, client: aiohttp.ClientSession, body: bytes) -> aiohttp.ClientResponse:
    """Send the request, again at once where a kept connection closed before it was taken: that costs nothing,
    and is no attempt.
    """
    try:
        return await _send(call, client, body)
    except UpstreamError as exc:
        if not isinstance(exc.__cause__, StaleConnection):
            raise
    return await _send(call, client, body)


def _may_store(call: Call) -> bool:
    """Whether the provider may keep the answer for its account's dashboard unless it is told not to."""
    return call.candidate.provider.stores_answers and call.operation.upstream_name == CHAT_COMPLETIONS


def _is_ours(call: Call, limit: int) -> bool:
    """Whether we bound an answer that the caller did not, or not so low."""
    return bool(limit) and limit != call.asked_output_tokens


def _adds_stream_options(call: Call) -> bool:
    """Whether all of them are ours."""
    return call.wants_stream and not (call.body.get("stream_options") or {}).keys() - {"include_usage"}


async def _send(call: Call, client: aiohttp.ClientSession, body: bytes) -> aiohttp.ClientResponse:
    candidate = call.candidate
    endpoint, asked = candidate.endpoint, call.operation.upstream_name
    request = client.request(
        "POST",
        candidate.provider.operation_url(endpoint.base_url, asked, candidate.upstream_name),
        data=body,
        headers=request_headers(call) | trace_headers(call.trace),
        allow_redirects=False,
        timeout=_timeouts(endpoint.connect_timeout_s),
    )
    call.was_dispatched = True
    call.was_refused = False
    try:
        # the headers of an answer in one piece come when all of it is there
        with Deadline(call.first_byte_left_s()):
            return await request
    except (UpstreamError, aiohttp.ClientError, TimeoutError) as exc:
        raise _as_ours(call, exc) from exc


def _as_ours(call: Call, exc: Exception) -> UpstreamError | UpstreamTimeout:
    """What keeps an answer from coming, as errors of ours; the call notes whether the request was sent."""
    if isinstance(
        exc, UpstreamError
    ):  # the egress policy's word: nothing was sent, or the answer was a redirect
        call.was_refused = True
        return UpstreamError(_forbidden(exc.code), code=exc.code)
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        call.was_dispatched = False
        message = _("The model server does not accept connections. Try again, or choose another model.")
        return UpstreamTimeout(message, code="upstream_unreachable")
    if isinstance(exc, aiohttp.ClientConnectorError):
        call.was_dispatched = False
        return UpstreamError(
            _("The model server cannot be reached. Try again, or choose another model."),
            code="upstream_unreachable",
        )
    if isinstance(exc, TimeoutError):
        return UpstreamTimeout(
            _("The model server did not answer in time. Try again, or choose another model.")
        )
    call.has_begun = isinstance(exc, BrokenHead)
    return UpstreamError(_("The model server broke the connection. Try again."), code="upstream_disconnected")


def _forbidden(code: str) -> str:
    """Whoever calls need not know where the server stands."""
    if code == "redirected":
        return _(
            "The model server sends calls to another address. An administrator must enter that one "
            "under Connections."
        )
    return _("The model server cannot be reached. Try again, or choose another model.")


async def _read_error(call: Call, response: aiohttp.ClientResponse) -> ProviderError:
    try:
        async with asyncio.timeout(5):
            raw = await read_some(response, MAX_ERROR_BYTES)
    except (TimeoutError, aiohttp.ClientError, UpstreamError):
        raw = b""
    return call.candidate.provider.read_error(raw)


def _let_go(response: aiohttp.ClientResponse) -> None:
    if response.content.at_eof():
        response.release()
    else:
        response.close()
