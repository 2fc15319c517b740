"""Answers of the house's own form, which is OpenAI's, as Anthropic's clients read them."""

from typing import Any

import orjson

from gateway.answers.billed import billed_usage
from gateway.answers.json_text import load_or_none, write_json
from gateway.answers.whole import nonsense
from gateway.calls import Call
from gateway.operations.chat_completions.answer import read_checked
from gateway.operations.chat_completions.parts import find_reasoning
from gateway.operations.messages.arguments import NO_JSON
from usage.pricing import Usage

# Reasons for an end of which OpenAI knows no word; where a provider says them, they stand beside OpenAI's.
OWN_REASONS = frozenset({"pause_turn", "refusal", "model_context_window_exceeded"})
REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
END, STOPPED = "end_turn", "stop_sequence"
FOUND = ("stop_reason", "matched_stop")  # the sequence that was found, in vLLM's and in SGLang's words


def read_answer(call: Call, raw: bytes) -> bytes:
    """A whole answer. Raises UpstreamError, BrokenForm, InvalidInput."""
    answer = read_checked(call, raw)
    choice = answer["choices"][0]
    reason, sequence = name_end(choice)
    told = {
        "id": name_answer(call, answer["id"]),
        "type": "message",
        "role": "assistant",
        "model": call.told_name,
        "content": _read_blocks(choice["message"], call),
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_body(billed_usage(call)[0]),
    }
    try:
        return write_json(told)
    except ValueError as exc:
        raise nonsense() from exc


def name_answer(call: Call, given: Any) -> str:
    return given if isinstance(given, str) and given.startswith("msg_") else f"msg_{call.request_id.hex}"


def name_end(choice: dict[str, Any]) -> tuple[str, str | None]:
    """Why a choice ended, and the sequence that was found, if that was why."""
    own, reason = choice.get("native_finish_reason"), choice["finish_reason"]
    if isinstance(own, str) and own in OWN_REASONS:
        return own, None
    found = next((text for name in FOUND if isinstance(text := choice.get(name), str)), None)
    if reason == "stop" and found is not None:
        return STOPPED, found
    return REASONS.get(reason, END), None


def usage_body(usage: Usage) -> dict[str, Any]:
    """What was billed, in Anthropic's disjoint counts."""
    kept, cached = usage.quantities.get("cache_write", 0), usage.cached_tokens
    return {
        "input_tokens": usage.total_input - kept - cached,
        "cache_creation_input_tokens": kept,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.total_output,
    }


def _read_blocks(message: dict[str, Any], call: Call) -> list[dict[str, Any]]:
    blocks = []
    if call.candidate.provider.takes_blocks:  # they are of its own shape
        if "content_blocks" in message:
            return _checked_blocks(message["content_blocks"])
        blocks = _checked_blocks(message.get("thinking_blocks") or [])
    if not blocks and (thought := find_reasoning(message)):
        blocks.append({"type": "thinking", "thinking": thought, "signature": ""})
    for name in ("content", "refusal"):
        if isinstance(text := message.get(name), str) and text:
            blocks.append({"type": "text", "text": text})
    calls = [_read_call(tool) for tool in message.get("tool_calls") or ()]
    named = [call for call in calls if call["name"]]
    if calls and not named:
        raise nonsense()
    return [*blocks, *named]


def _checked_blocks(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(block, dict) for block in given):
        raise nonsense()
    return [*given]


def _read_call(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):  # nobody can tell what it calls
        raise nonsense()
    arguments = function.get("arguments")
    given = load_or_none(arguments) if isinstance(arguments, str) else None
    if not isinstance(given, dict):  # cut off in the middle, or written wrongly
        given = {NO_JSON: arguments}
    name = function.get("name")
    name = name if isinstance(name, str) else ""
    return {"type": "tool_use", "id": tool["id"], "name": name, "input": given}


def write_event(kind: str, **fields: Any) -> bytes:
    """An event of a stream. Raises ValueError for what cannot be written."""
    event = {"type": kind, **fields}
    try:
        data = orjson.dumps(event)
    except TypeError:
        data = write_json(event)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
