"""A whole chat completion: read tolerantly, written strictly; and the same as a stream."""

from typing import Any

from gateway.answers.billed import billed_usage
from gateway.answers.estimate import count_text_bytes, estimate_tokens
from gateway.answers.json_text import write_json
from gateway.answers.usage import head_of, is_strict, usage_body
from gateway.answers.whole import MAX_VALUES, load_answer, nonsense
from gateway.calls import Call
from gateway.operations.chat_completions.assembly import as_events, assemble
from gateway.operations.chat_completions.finish import name_end, name_end_of_calls
from gateway.operations.chat_completions.parts import read_reasoning, split_content
from gateway.operations.chat_completions.tool_calls import (
    NO_ARGUMENTS,
    complete,
    has_cut_arguments,
    is_nameless,
    list_calls,
)

MAX_CHOICES = 128
VALUES_OF_TOKEN = 24  # of JSON, for one token with its log probability and its bytes, as they are counted
MOST_VALUES = 5_000_000  # as many as fit into the longest answer


def read_answer(call: Call, raw: bytes) -> bytes:
    """The answer as the client gets it. Raises UpstreamError, InvalidInput."""
    answer = read_checked(call, raw)
    try:
        return write_json(answer)
    except ValueError as exc:
        raise nonsense() from exc


def read_checked(call: Call, raw: bytes) -> dict[str, Any]:
    """A whole answer in OpenAI's shape and in the form that was asked for. Raises UpstreamError, BrokenForm,
    InvalidInput.
    """
    answer = parse_answer(call, raw)
    if call.form is not None:
        call.form.check(call, answer)
    return answer


def parse_answer(call: Call, raw: bytes) -> dict[str, Any]:
    """A whole answer in OpenAI's shape; what it says is noted in the call. Raises UpstreamError,
    InvalidInput.
    """
    most = most_values(call)
    events = as_events(raw, most)
    answer = load_answer(call, raw, most) if events is None else assemble(call, events)
    usage = call.usage
    choices = answer.get("choices")
    if choices == []:
        call.output_tokens_seen = 0  # nothing was written
    if not isinstance(choices, list) or not choices or len(choices) > MAX_CHOICES:
        raise nonsense()
    call.output_tokens_seen = 0  # the bytes counted while they came hold more than text
    if size := count_text_bytes(choices, len(raw)):
        call.note_piece(estimate_tokens(size))
    answer["choices"] = [_read_choice(choice, position) for position, choice in enumerate(choices)]
    call.finish_reason = answer["choices"][0]["finish_reason"]
    call.note_first_token()
    call.note_usage(usage)  # it came with the last piece
    _name(call, answer)
    return answer


def most_values(call: Call) -> int:
    """How many values of JSON an answer may have: more with each log probability that was asked for."""
    wanted = call.body.get("logprobs")
    others = call.body.get("top_logprobs") if wanted is True else wanted  # of texts it is their number
    if wanted is not True and type(wanted) is not int:
        return MAX_VALUES
    each = VALUES_OF_TOKEN * (1 + max(0, others if type(others) is int else 0))
    return min(MAX_VALUES + call.most_written * each, MOST_VALUES)


def _name(call: Call, answer: dict[str, Any]) -> None:
    """What every client of OpenAI's reads."""
    answer["model"] = call.told_name
    answer["object"] = "chat.completion"
    head = head_of(call, answer)
    if not isinstance(answer.get("id"), str):
        answer["id"] = head["id"]
    if type(answer.get("created")) is not int:
        answer["created"] = head["created"]
    usage, _is_estimated = billed_usage(call)
    if not is_strict(answer.get("usage"), usage):
        answer["usage"] = usage_body(usage)


def _read_choice(choice: Any, position: int) -> dict[str, Any]:
    if not isinstance(choice, dict):
        raise nonsense()
    message = choice.get("message")
    if message is None:
        message = choice.pop("delta", None) or choice.get("text")
    if message is None or isinstance(message, str):
        message = {"role": "assistant", "content": message}
    if not isinstance(message, dict):
        raise nonsense()
    if choice.get("tool_calls") and not message.get("tool_calls"):
        message["tool_calls"] = choice.pop("tool_calls")
    try:
        read_reasoning(message)
        split_content(message)
        _read_calls(message)
    except ValueError as exc:
        raise nonsense() from exc
    message["role"] = "assistant"
    if type(choice.get("index")) is not int:
        choice["index"] = position
    choice["message"] = message
    tools = message.get("tool_calls") or ()
    reason = name_end(choice.get("finish_reason"), has_calls=bool(tools))
    called = [*tools, {"function": message.get("function_call")}]  # of the kind before tools: one
    choice["finish_reason"] = name_end_of_calls(reason, is_cut=any(map(has_cut_arguments, called)))
    return choice


def _read_calls(message: dict[str, Any]) -> None:
    if message.get("tool_calls") is None:
        return
    list_calls(message)
    message["tool_calls"] = [call for call in message["tool_calls"] if not is_nameless(call)]
    if not message["tool_calls"]:
        del message["tool_calls"]
        return
    seen: set[str] = set()
    for tool in message["tool_calls"]:
        if not isinstance(tool.get("id"), str) or tool["id"] in seen:
            tool.pop("id", None)  # each has its own
        complete(tool, no_arguments=NO_ARGUMENTS)
        seen.add(tool["id"])


def as_chunks(call: Call, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of an answer that came whole where a stream was asked for: some servers know no streams."""
    head = head_of(call, answer)
    if "system_fingerprint" in answer:
        head = {**head, "system_fingerprint": answer["system_fingerprint"]}
    choices = [
        {
            **({"logprobs": choice["logprobs"]} if choice.get("logprobs") else {}),
            "index": choice["index"],
            "delta": _as_delta(choice["message"]),
            "finish_reason": choice["finish_reason"],
        }
        for choice in answer["choices"]
    ]
    if call.usage is not None:
        call.report = {**head, "usage": answer["usage"]}
    return [{**head, "choices": choices}]


def _as_delta(message: dict[str, Any]) -> dict[str, Any]:
    numbered = {}
    for name in ("tool_calls", "thinking_blocks"):
        if isinstance(pieces := message.get(name), list) and pieces:
            objects = [one for one in pieces if isinstance(one, dict)]
            numbered[name] = [{**one, "index": number} for number, one in enumerate(objects)]
    return {**message, **numbered}
