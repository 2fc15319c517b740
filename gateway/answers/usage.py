"""What a provider says of the tokens it counted, and the chunk that tells the client."""

import time
from typing import Any

import orjson

from gateway.answers.sse import frame
from gateway.calls import Call
from usage.pricing import Usage

MOST_PLAUSIBLE_TOKENS = 10_000_000
# of what a provider writes to its cache, in `prompt_tokens_details`: OpenRouter, LiteLLM, Qwen
CACHE_WRITES = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")


def read_usage(reported: Any) -> Usage | None:
    """A provider's usage report in disjoint classes, or None if it is missing or cannot be true.

    Some count reasoning beside the completion instead of inside it, or tell of it in the total alone.
    """
    if not isinstance(reported, dict):
        return None
    prompt: Any = reported.get("prompt_tokens")
    completion: Any = reported.get("completion_tokens")
    cached = _detail(reported, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(reported, "completion_tokens_details", "reasoning_tokens")
    for number in (prompt, completion, cached, reasoning):
        if type(number) is not int or not 0 <= number <= MOST_PLAUSIBLE_TOKENS:
            return None
    if cached > prompt or not prompt + completion:
        return None
    if reasoning > completion:
        completion += reasoning
    total = reported.get("total_tokens")
    if type(total) is int and prompt + completion < total <= MOST_PLAUSIBLE_TOKENS:
        completion = total - prompt
    read, written = prompt - cached, completion - reasoning
    cache_write = _part(reported, "prompt_tokens_details", CACHE_WRITES, read)
    input_audio = _part(reported, "prompt_tokens_details", ("audio_tokens",), read - cache_write)
    output_audio = _part(reported, "completion_tokens_details", ("audio_tokens",), written)
    if not (cache_write or input_audio or output_audio):
        return Usage(read, cached, written, reasoning)
    return Usage(
        read - cache_write - input_audio,
        cached,
        written - output_audio,
        reasoning,
        cache_write=cache_write,
        input_audio=input_audio,
        output_audio=output_audio,
    )


def _part(reported: dict, group: str, names: tuple[str, ...], most: int) -> int:
    """Some of the tokens by one of these names, no more than there are; 0 where that is no number."""
    details = reported.get(group)
    if not isinstance(details, dict):
        return 0
    number = next((details[name] for name in names if details.get(name)), 0)
    return min(number, most) if type(number) is int and number > 0 else 0


def _detail(reported: dict, group: str, name: str) -> Any:
    details = reported.get(group)
    return (details.get(name) or 0) if isinstance(details, dict) else 0


def usage_frame(call: Call, usage: Usage) -> bytes:
    """The last chunk a client asked for and the provider did not send."""
    prompt, completion = usage.total_input, usage.total_output
    report = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    head = {
        "id": f"chatcmpl-{call.request_id.hex}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": call.route.name,
    }
    chunk: dict[str, Any] = {**head, "choices": [], "usage": report}
    return frame(orjson.dumps(chunk))
