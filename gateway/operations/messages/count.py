"""How many tokens a request in Anthropic's dialect would have: as a provider tells it, or by estimate.

The estimate is typical for text, rather more than less: 3.5 characters to a token, one for each that is not
ASCII, a few around each message and tool. Nobody counts pictures and documents without reading them: a
picture is taken for the largest, a document for a page to each 80 kB.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson

from gateway.answers.json_text import load_or_none
from gateway.answers.usage import BYTES_PER_TOKEN_ESTIMATE
from gateway.answers.whole import nonsense
from gateway.calls import Call, Operation, Principal
from gateway.operations.chat_completions.form import JsonForm
from gateway.operations.messages import Messages
from gateway.operations.messages.request import parse_request
from models_registry.providers.openai_compatible import COUNT_TOKENS
from models_registry.providers.openai_compatible.usage import MOST_PLAUSIBLE_TOKENS
from models_registry.routes import Route

MAX_ANSWER_BYTES = 100_000
AROUND_MESSAGE, AROUND_TOOL = 4, 12
PICTURE = 1_600
PAGE, PAGE_BYTES = 2_000, 80_000
MEDIA = ("image_url", "image")


class CountTokens(Messages):
    """See `gateway.calls.Operation`. It is no model call: nothing is held, nothing is billed."""

    name = COUNT_TOKENS
    upstream_name = COUNT_TOKENS
    max_answer_bytes = MAX_ANSWER_BYTES

    def parse(self, raw: bytes, principal: Principal, request_id: UUID) -> Call:
        return parse_request(raw, principal, request_id, self, is_count=True)

    def longest_answer(self, call: Call, route: Route) -> int:
        return 0

    def write_body(self, call: Call, token_limit_name: str, *, asks_for_usage: bool) -> dict[str, Any]:
        body = dict(call.body)
        if isinstance(call.form, JsonForm):
            call.form.write(call, body)
        return body

    def read_answer(self, call: Call, raw: bytes) -> bytes:
        told = load_or_none(raw)
        count = told.get("input_tokens") if isinstance(told, dict) else None
        if type(count) is not int or not 0 <= count <= MOST_PLAUSIBLE_TOKENS:
            raise nonsense()
        return orjson.dumps({"input_tokens": count})


OPERATION: Operation = CountTokens()


def estimate(body: dict[str, Any]) -> int:
    """Of a request in the house's own form."""
    tools = [*body.get("tools", ()), *filter(None, [body.get("response_format")])]
    tokens = AROUND_TOOL * len(tools) + AROUND_MESSAGE * len(body["messages"])
    characters = others = 0
    for text in (*_texts_of(body["messages"]), *(orjson.dumps(tool).decode() for tool in tools)):
        plain = len(text.encode("ascii", "ignore"))
        characters += plain
        others += len(text) - plain
    media = sum(_media_tokens(part) for message in body["messages"] for part in _parts_of(message))
    return tokens + int(characters / BYTES_PER_TOKEN_ESTIMATE) + others + media + 1


def _parts_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _texts_of(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        if isinstance(content := message.get("content"), str):
            yield content
        for part in _parts_of(message):
            yield from _texts_of_part(part)
        for block in message.get("thinking_blocks") or ():
            yield block.get("thinking") or ""
        for call in message.get("tool_calls") or ():
            yield call["function"]["name"]
            yield call["function"]["arguments"]


def _texts_of_part(part: dict[str, Any]) -> Iterator[str]:
    for name in ("text", "title", "context"):
        if isinstance(text := part.get(name), str):
            yield text
    source, content = part.get("source"), part.get("content")
    if isinstance(source, dict):
        content = source.get("content")
        if source.get("type") == "text":
            yield source["data"]
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for inner in content:
            yield from _texts_of_part(inner)


def _media_tokens(part: dict[str, Any]) -> int:
    if part["type"] in MEDIA:
        return PICTURE
    source = part.get("source")
    if not isinstance(source, dict) or source.get("type") not in ("base64", "url"):
        return 0
    return PAGE * (1 + len(source.get("data") or "") // PAGE_BYTES)
