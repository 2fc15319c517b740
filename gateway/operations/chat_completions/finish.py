"""Why an answer ended, in OpenAI's words: clients know no others, and wait for one."""

from typing import Any

from models_registry.providers.openai_compatible.errors import is_failure

STOP, TOOL_CALLS, FUNCTION_CALL = "stop", "tool_calls", "function_call"
ERROR, LENGTH = "error", "length"
CALLED = {TOOL_CALLS, FUNCTION_CALL}
_OURS = {STOP, "length", TOOL_CALLS, "content_filter", FUNCTION_CALL}
# Other servers' words (TGI, Anthropic, Cohere, Google, Mistral) that mean more than a stop.
_THEIRS = {
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": TOOL_CALLS,
    "tool_call": TOOL_CALLS,
    "safety": "content_filter",
    "image_safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "sensitive": "content_filter",
    "refusal": "content_filter",
}
_NONE = {"", "null", "none", "finish_reason_unspecified"}


def name_finish_reason(reason: Any, *, has_calls: bool = False) -> str | None:
    """OpenAI's word for it; None where there is none: an empty one, in every chunk, is no end. `has_calls`:
    the answer calls tools, and programs that read `stop` would not run them.
    """
    if isinstance(reason, dict):  # SGLang's own API
        reason = reason.get("type")
    if not isinstance(reason, str):
        return None
    word = reason.partition(":")[0].strip().lower()
    if word in _NONE:
        return None
    if is_failure(word):  # no end of an answer, and told as what it is
        return ERROR
    word = word if word in _OURS else _THEIRS.get(word, STOP)
    return TOOL_CALLS if has_calls and word == STOP else word


def name_end(reason: Any, *, has_calls: bool) -> str:
    """The same for an answer that has ended, whatever its server says of why."""
    return name_finish_reason(reason, has_calls=has_calls) or (TOOL_CALLS if has_calls else STOP)


def name_end_of_calls(reason: str, *, is_cut: bool) -> str:
    """The same where a call's arguments end in the middle: a program that reads `tool_calls` would run them,
    and `length` is what OpenAI says (vLLM says that calls are there).
    """
    return LENGTH if is_cut and reason in CALLED else reason
