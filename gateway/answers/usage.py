"""Usage in OpenAI's strict form, for clients, and what input is taken for where nobody counted it."""

import time
from typing import Any

import orjson

from gateway.answers.sse import frame
from gateway.calls import Call
from usage.pricing import Usage

TEMPLATE_TOKENS = 64  # that a model's template puts around the messages, at most
BYTES_PER_TOKEN_ESTIMATE = 3.5  # typical for German and English; used only where a provider reports nothing


def estimate_input_tokens(call: Call) -> int:
    """A plausible number of input tokens, for bills without the provider's count."""
    estimate = int(call.size_bytes / BYTES_PER_TOKEN_ESTIMATE) + 1
    window = call.route.context_window
    return min(estimate, window * call.text_count) if window else estimate


def usage_body(usage: Usage) -> dict[str, Any]:
    """The `usage` object of an answer."""
    counts = usage.quantities
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.total_output,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "audio_tokens": counts.get("input_audio", 0),
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": counts.get("output_audio", 0),
        },
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
