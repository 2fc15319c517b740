"""Usage in OpenAI's strict form, for clients."""

import time
from typing import Any

import orjson

from gateway.answers.sse import frame
from gateway.calls import Call
from usage.pricing import Usage


def usage_body(usage: Usage) -> dict[str, Any]:
    """The `usage` object of an answer."""
    prompt = usage.input_tokens + usage.cached_tokens
    completion = usage.output_tokens + usage.reasoning_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def is_strict(reported: Any) -> bool:
    """Whether a provider's report has the three numbers that every client of OpenAI's reads."""
    return isinstance(reported, dict) and all(
        type(reported.get(name)) is int for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )


def usage_frame(call: Call, usage: Usage) -> bytes:
    """The last chunk a client asked for and the provider did not send."""
    head = {
        "id": f"chatcmpl-{call.request_id.hex}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": call.route.name,
    }
    return frame(orjson.dumps({**head, "choices": [], "usage": usage_body(usage)}))
