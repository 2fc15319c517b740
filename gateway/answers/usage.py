"""Usage in OpenAI's strict form, for clients, and what input is taken for where nobody counted it."""

import time
from typing import Any

import orjson

from gateway.answers.json_text import write_json
from gateway.answers.sse import frame
from gateway.calls import Call
from models_registry.providers.openai_compatible import COMPLETIONS
from usage.pricing import Usage
from usage.quantities import INPUT, OUTPUT

PIECES_PER_TOKEN = 4  # few servers send less than a token at a time
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


class Reports:
    """The reports of one stream as one.

    Most count from the answer's beginning: then the largest is the last word. Some tell the prompt first and
    the answer last, so each side counts by itself. Some count each event by itself; that is sure only where
    the largest count is less than as many events can have, and all together no more than their text has
    bytes (no tokenizer makes more tokens). Then they are added. What one breaks down, cached or thought,
    stays so where another tells the sum alone.
    """

    def __init__(self) -> None:
        self._input: dict[str, int] = {}
        self._output: dict[str, int] = {}
        self._added: dict[str, int] = {}

    def add(self, usage: Usage, pieces: int, text_bytes: int) -> Usage:
        """What all reports say with this one, after so many pieces of the answer with so many bytes."""
        read, written = _side(usage, INPUT), _side(usage, OUTPUT)
        self._input = _later(self._input, read, INPUT[0])
        self._output = _later(self._output, written, OUTPUT[0])
        for name, count in written.items():
            self._added[name] = self._added.get(name, 0) + count
        is_by_event = (
            pieces > PIECES_PER_TOKEN * sum(self._output.values()) and sum(self._added.values()) <= text_bytes
        )
        return Usage.of({**self._input, **(self._added if is_by_event else self._output)})


def _side(usage: Usage, classes: tuple[str, ...]) -> dict[str, int]:
    return {name: count for name, count in usage.quantities.items() if name in classes}


def _later(before: dict[str, int], after: dict[str, int], root: str) -> dict[str, int]:
    """What two reports say of one side, one after the other."""
    told, telling = sum(before.values()), sum(after.values())
    if telling < told or (telling == told and after.get(root, 0) > before.get(root, 0)):
        return before
    if after.keys() - {root}:
        return after
    return {**before, root: telling - told + before.get(root, 0)} if before else after


def is_strict(reported: Any, usage: Usage) -> bool:
    """Whether a provider's report is one of OpenAI's, and says what was understood of it and others."""
    if not isinstance(reported, dict):
        return False
    read, written = usage.total_input, usage.total_output
    return (
        _is_count(reported.get("prompt_tokens"), read)
        and _is_count(reported.get("completion_tokens"), written)
        and _is_count(reported.get("total_tokens"), read + written)
        and _are_parts(reported.get("prompt_tokens_details"), read, "cached_tokens", usage.cached_tokens)
        and _are_parts(
            reported.get("completion_tokens_details"), written, "reasoning_tokens", usage.reasoning_tokens
        )
    )


def _is_count(told: Any, count: int) -> bool:
    return type(told) is int and told == count


def _are_parts(details: Any, whole: int, name: str, expected: int) -> bool:
    if details is None:
        return not expected
    if not isinstance(details, dict) or (details.get(name) or 0) != expected:
        return False
    return all(count is None or (type(count) is int and 0 <= count <= whole) for count in details.values())


TEXT_COMPLETION = "text_completion"


def head_of(call: Call, told: dict[str, Any]) -> dict[str, Any]:
    """What all chunks of a stream begin with, by the first of them: some servers give each its own id, and
    clients take those with another one for another answer's.
    """
    if not call.answer_head:
        given_id, created = told.get("id"), told.get("created")
        is_text = call.operation.name == COMPLETIONS
        own_id = f"{'cmpl' if is_text else 'chatcmpl'}-{call.request_id.hex}"
        call.answer_head = {
            "id": given_id if given_id and isinstance(given_id, str) else own_id,
            "object": TEXT_COMPLETION if is_text else "chat.completion.chunk",
            "created": created if type(created) is int and created else int(time.time()),
            "model": call.told_name,
        }
    return call.answer_head


def usage_frame(call: Call, usage: Usage) -> bytes:
    """The last chunk a client asked for: what was billed, in the provider's words where it reported just
    that. There is one: clients add up what comes twice.
    """
    told = call.report or {}
    ours = {**head_of(call, told), "choices": [], "usage": usage_body(usage)}
    if not is_strict(told.get("usage"), usage):
        return frame(orjson.dumps(ours))
    try:
        return frame(write_json({**told, **ours, "usage": told["usage"]}))
    except ValueError:  # what else it says cannot be written
        return frame(orjson.dumps(ours))
