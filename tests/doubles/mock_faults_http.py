"""Refusals: answers that are proper HTTP and say no, or say it in a strange way."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import time
from collections import Counter

import orjson

from .mock_faults import fault
from .mock_speech import SSE, Speaker

TEXTS = {
    400: ("invalid_request_error", "The mock does not like this request."),
    401: ("authentication_error", "Incorrect API key provided."),
    403: ("permission_error", "The mock forbids this."),
    404: ("not_found_error", "The mock has lost this model."),
    429: ("rate_limit_error", "Rate limit reached."),
    500: ("server_error", "The server had an error while processing your request."),
    502: ("server_error", "Bad gateway."),
    503: ("server_error", "The engine is currently overloaded."),
}
HTML = (
    b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad "
    b"Gateway</h1></body></html>"
)
FAILED: Counter[str] = Counter()  # model name → refusals given by fault-flaky; cleared by POST /_reset


def error_body(status: int, message: str | None = None) -> bytes:
    """An error in OpenAI's shape."""
    kind, text = TEXTS[status]
    return orjson.dumps({"error": {"message": message or text, "type": kind, "param": None, "code": None}})


def refuse(speaker: Speaker, status: int, extra: bytes = b"") -> None:
    speaker.exchange.reply(status, error_body(status), extra=extra)


@fault("429", "429 with Retry-After: 1, or <number> seconds")
async def rate_limited(speaker: Speaker, number: int | None) -> None:
    refuse(speaker, 429, b"retry-after: %d\r\n" % (1 if number is None else number))


@fault("429-date", "429 with Retry-After as a date 2 s, or <number> seconds, ahead")
async def rate_limited_until(speaker: Speaker, number: int | None) -> None:
    date = email.utils.formatdate(time.time() + (2 if number is None else number), usegmt=True)
    refuse(speaker, 429, b"retry-after: %b\r\n" % date.encode())


@fault("429-absurd", "429 with Retry-After: 99999999999")
async def rate_limited_for_ever(speaker: Speaker, number: int | None) -> None:
    refuse(speaker, 429, b"retry-after: 99999999999\r\n")


@fault("429-junk", "429 with Retry-After: soon")
async def rate_limited_vaguely(speaker: Speaker, number: int | None) -> None:
    refuse(speaker, 429, b"retry-after: soon\r\n")


@fault("429-bare", "429 without Retry-After")
async def rate_limited_bare(speaker: Speaker, number: int | None) -> None:
    refuse(speaker, 429)


def _enter_statuses() -> None:
    for status in (400, 401, 403, 404, 500, 502, 503):

        async def run(speaker: Speaker, number: int | None, status: int = status) -> None:
            if number:
                await asyncio.sleep(number / 1000)
            refuse(speaker, status)

        fault(str(status), f"{status} in OpenAI's shape, after <number> ms")(run)


_enter_statuses()


@fault(
    "context",
    "400 context_length_exceeded for a prompt of more than 1000, or <number>, tokens, else the proper answer",
    ends="answer",
)
async def context_length(speaker: Speaker, number: int | None) -> None:
    assert speaker.answer.usage is not None
    if speaker.answer.usage["prompt_tokens"] <= (1000 if number is None else number):
        await speaker.answer_fully()
        return
    error = {
        "message": "This model's context is too short.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
    speaker.exchange.reply(400, orjson.dumps({"error": error}))


@fault("long-code", "400 whose code has 500 characters, and whose message and code have a NUL")
async def long_code(speaker: Speaker, number: int | None) -> None:
    error = {"message": "No\0 way.", "type": "invalid_request_error", "param": "\0", "code": "c\0" * 250}
    speaker.exchange.reply(400, orjson.dumps({"error": error}))


@fault("503-retry-after", "503 with Retry-After: 1, or <number> seconds")
async def overloaded(speaker: Speaker, number: int | None) -> None:
    refuse(speaker, 503, b"retry-after: %d\r\n" % (1 if number is None else number))


@fault(
    "flaky",
    (
        "503 for the first 3, or <number>, requests of this model name since the last reset, then the proper "
        "answer"
    ),
    ends="answer",
)
async def flaky(speaker: Speaker, number: int | None) -> None:
    model = speaker.answer.model
    if FAILED[model] < (3 if number is None else number):
        FAILED[model] += 1
        refuse(speaker, 503)
        return
    await speaker.answer_fully()


@fault("html", "200 with a page of HTML")
async def html(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.reply(200, HTML, b"text/html")


@fault("html-502", "502 with a page of HTML, as a proxy in between sends it")
async def html_502(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.reply(502, HTML, b"text/html")


@fault("error-200", "200 with an error in OpenAI's shape")
async def error_200(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.reply(200, error_body(500))


@fault("empty", "200 with an empty body")
async def empty(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.reply(200, b"", SSE if speaker.stream else b"application/json")


@fault("redirect", "307 to http://169.254.169.254/")
async def redirect(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.reply(307, b"", extra=b"location: http://169.254.169.254/latest/meta-data/\r\n")


@fault("echo-secret", "401, or <number>, whose message repeats the Authorization header")
async def echo_secret(speaker: Speaker, number: int | None) -> None:
    secret = speaker.exchange.headers.get(b"authorization", b"").decode("latin-1")
    status = number or 401
    speaker.exchange.reply(
        status,
        error_body(
            status,
            f"Incorrect API key provided: {secret}. Your request had these headers: Authorization: {secret}",
        ),
    )


@fault(
    "echo-secret-mid-stream",
    "3 tokens, then an error event that repeats the Authorization header; not streamed: 500 that does",
)
async def echo_secret_mid_stream(speaker: Speaker, number: int | None) -> None:
    secret = speaker.exchange.headers.get(b"authorization", b"").decode("latin-1")
    error = error_body(500, f"upstream of upstream refused {secret}")
    if not speaker.stream:
        speaker.exchange.reply(500, error)
        return
    speaker.start()
    await speaker.say(0, 3)
    await speaker.exchange.send(b"data: %b\n\n" % error)
    speaker.exchange.finish()


@fault("echo-address", "400, or <number>, whose message tells where the mock was called")
async def echo_address(speaker: Speaker, number: int | None) -> None:
    host = speaker.exchange.headers.get(b"host", b"").decode("latin-1")
    message = f"Nobody at http://{host}/v1 ({host}) can answer this."
    speaker.exchange.reply(number or 400, error_body(number or 400, message))


@fault("gzip-lie", "says Content-Encoding: gzip and sends plain bytes", ends="either")
async def gzip_lie(speaker: Speaker, number: int | None) -> None:
    if speaker.stream:
        speaker.start(extra=b"content-encoding: gzip\r\n")
        await speaker.say()
        await speaker.conclude()
        return
    speaker.count(len(speaker.answer.pieces))
    speaker.exchange.reply(
        200,
        speaker.whole_body(),
        extra=b"content-encoding: gzip\r\n",
    )


@fault(
    "gzip-bomb", "100 MB, or <number> MB, of spaces in gzip after which the JSON never comes", ends="either"
)
async def gzip_bomb(speaker: Speaker, number: int | None) -> None:
    bomb = gzip.compress(b" " * (number or 100) * 1_000_000, compresslevel=1)
    speaker.exchange.reply(
        200, bomb, SSE if speaker.stream else b"application/json", extra=b"content-encoding: gzip\r\n"
    )


@fault("long-header", "1 MB, or <number> KB, of header line")
async def long_header(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.reply(200, b"{}", extra=b"x-long: " + b"a" * (number or 1000) * 1000 + b"\r\n")
