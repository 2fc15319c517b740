"""Step 7: send the call to its endpoint. Connect, first-byte and idle time are bounded; the provider's
refusals become ours, without its secrets.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

import aiohttp
import orjson
from django.utils.translation import gettext as _

from foundation.errors import AtriumError, InvalidInput, QuotaExceeded, UpstreamError
from gateway.calls import Call
from gateway.errors import UpstreamTimeout
from gateway.trace import trace_headers
from models_registry.routes import Endpoint

MAX_ERROR_BYTES = 65_536
CALLERS_FAULT = (400, 413, 422)
MAX_RETRY_AFTER_S = 3_600
# OpenAI, vLLM, llama.cpp (exceed_context_size_error), transformers, Anthropic's and Google's OpenAI doors
TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (window|size|length)"
    r"|prompt is too long|input is too long|too many tokens|input token count",
    re.IGNORECASE,
)
SECRET = re.compile(r"\bsk-|Bearer")
# A connection's key that is wrong is not the caller's fault; Google's OpenAI door says it with status 400.
BAD_KEY = re.compile(
    r"(invalid|incorrect|missing|expired|wrong|no)[ _]api[ _-]?key"
    r"|api[ _-]?key[^.]{0,30}(invalid|incorrect|not valid|expired|missing)",
    re.IGNORECASE,
)
SECRET_RUN = 6  # so many characters of a secret in a row are too many to pass on


def request_headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if endpoint.secret:
        headers["Authorization"] = f"Bearer {endpoint.secret.reveal()}"
    return headers


def upstream_body(call: Call) -> bytes:
    """The caller's body with the provider's model name, a bounded answer, and, for streams, the wish for a
    usage report.
    """
    body = dict(call.body)
    body["model"] = call.route.upstream_name
    limit_name = (
        "max_completion_tokens"
        if "max_completion_tokens" in body or call.route.endpoint.kind == "openai"
        else "max_tokens"
    )
    body.pop("max_tokens", None)
    body[limit_name] = call.max_output_tokens
    if call.wants_stream:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    return orjson.dumps(body)


@lru_cache
def _timeouts(connect_s: float) -> aiohttp.ClientTimeout:
    """Of the connection only: the time to the headers is bounded here,
    that between pieces in gateway.answers.idle.
    """
    return aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s, sock_read=None)


@asynccontextmanager
async def dispatch(call: Call, client: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientResponse]:
    """The upstream's response with status 200, its body unread. Leaving the block closes or returns the
    connection.

    Raises UpstreamError, UpstreamTimeout, and what the provider holds against the request itself
    (InvalidInput, QuotaExceeded).
    """
    endpoint = call.route.endpoint
    url = f"{endpoint.base_url}/chat/completions"
    request = client.request(
        "POST",
        url,
        data=upstream_body(call),
        headers=request_headers(endpoint) | trace_headers(call.trace),
        allow_redirects=False,
        timeout=_timeouts(endpoint.connect_timeout_s),
    )
    try:
        call.was_dispatched = True
        async with asyncio.timeout(endpoint.first_byte_timeout_s):
            response = await request
    except UpstreamError:  # the egress policy's word: nothing was sent, or the answer was a redirect
        call.was_refused = True
        raise
    except aiohttp.ConnectionTimeoutError as exc:
        call.was_dispatched = False
        message = _("The model server does not accept connections. Try again, or choose another model.")
        raise UpstreamTimeout(message, code="upstream_unreachable") from exc
    except aiohttp.ClientConnectorError as exc:
        call.was_dispatched = False
        raise UpstreamError(
            _("The model server cannot be reached. Try again, or choose another model."),
            code="upstream_unreachable",
        ) from exc
    except TimeoutError as exc:
        raise UpstreamTimeout(
            _("The model server did not answer in time. Try again, or choose another model.")
        ) from exc
    except aiohttp.ClientError as exc:
        raise UpstreamError(
            _("The model server broke the connection. Try again."), code="upstream_disconnected"
        ) from exc
    try:
        if response.status != 200:
            call.was_refused = True
            raise await _refusal(response, endpoint)
        yield response
    finally:
        if response.content.at_eof():
            response.release()
        else:
            response.close()


async def _refusal(response: aiohttp.ClientResponse, endpoint: Endpoint) -> AtriumError:
    """The provider's error as ours. Its words are passed on only where it finds fault with the request."""
    try:
        async with asyncio.timeout(5):
            raw = await response.content.read(MAX_ERROR_BYTES)
    except (TimeoutError, aiohttp.ClientError):
        raw = b""
    is_callers_fault = response.status in CALLERS_FAULT
    if is_callers_fault and not BAD_KEY.search(raw.decode("utf-8", "replace")):
        return _callers_fault(raw, endpoint)
    if response.status == 429:
        wait_s = _retry_after(response.headers.get("Retry-After", ""))
        message = _("The provider's limit is reached. Try again later, or choose another model.")
        return QuotaExceeded(message, code="upstream_rate_limited", retry_after_s=wait_s)
    if is_callers_fault or response.status in (401, 403):
        message = _(
            "The provider refuses this connection's credentials. An administrator must renew them under "
            "Connections."
        )
        return UpstreamError(message, code="upstream_credentials")
    message = _(
        "The model server answered with an error (status %(status)s). Try again, or choose another model."
    ) % {"status": response.status}
    return UpstreamError(message, code="upstream_error")


def _has_secret(text: str, endpoint: Endpoint) -> bool:
    """Whether a provider's words give away a secret: that of the connection, or a part of it, or what looks
    like one.
    """
    secret = endpoint.secret.reveal() if endpoint.secret else ""
    runs = (secret[place : place + SECRET_RUN] for place in range(len(secret) - SECRET_RUN + 1))
    return SECRET.search(text) is not None or any(run in text for run in runs)


def _callers_fault(raw: bytes, endpoint: Endpoint) -> AtriumError:
    try:
        error = orjson.loads(raw)["error"]
        message = error["message"]
        code = error.get("code")
        kind = error.get("type")
        param = error.get("param")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        message, code, kind, param = "", None, None, None
    if TOO_LONG.search(f"{code} {kind} {message}"):  # every server says it in its own way; clients know one
        code, param = "context_length_exceeded", param or "messages"
    if not isinstance(message, str) or not message or _has_secret(f"{message} {code} {param}", endpoint):
        message, param = _("The model server found the request invalid."), None
        code = code if code == "context_length_exceeded" else None
    code = code if isinstance(code, str) and not code.isdigit() else "upstream_invalid_request"
    return InvalidInput(
        message[:2_000], code=code or "upstream_invalid_request", param=str(param) if param else None
    )


def _retry_after(text: str) -> int:
    """Seconds to wait, from a number; a date or nonsense means a moment."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= 9
    return min(max(int(text), 1), MAX_RETRY_AFTER_S) if is_number else 5
