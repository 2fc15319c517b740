"""What Anthropic sends, in OpenAI's shape. Raises KeyError, TypeError, AttributeError for what is nonsense.

In fields beside OpenAI's stands what its clients do not know and Anthropic wants back: thoughts with their
signatures (`thinking_blocks`, in streams piece by piece, told apart by `index` as calls are), an answer whose
blocks have another order than thoughts, text, calls (`content_blocks`), and its own reason for an end
(`native_finish_reason`, with the sequence that was found as `stop_reason`).

Left out: citations, what tools of Anthropic's own have done.
"""

from typing import Any

import orjson

REASONS = frozenset({"end_turn", "tool_use", "max_tokens"})  # of which OpenAI's words say as much
THOUGHTS = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
ORDER = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}
OUTPUT = "output_tokens"


def read_stream_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a stream as a chunk; empty for one that says nothing that OpenAI's clients know."""
    kind = event["type"]
    if kind == "content_block_delta":
        return _chunk(_read_delta(event["index"], event["delta"]))
    if kind == "content_block_start":
        return _chunk(_read_start(event["index"], event["content_block"]))
    if kind == "message_start":
        return _read_beginning(event["message"])
    if kind == "message_delta":
        return _end({"delta": {}}, {**event["delta"], "usage": event.get("usage")})
    return event if kind == "error" else {}


def _read_beginning(message: dict[str, Any]) -> dict[str, Any]:
    """Its report counts the prompt; what it says of the answer, which has not begun, is no count."""
    reported = message.get("usage")
    reported = reported if isinstance(reported, dict) else {}
    counted = {name: count for name, count in reported.items() if not name.startswith(OUTPUT)}
    chunk = _chunk({"role": "assistant", "content": ""})
    return {"id": message.get("id"), **chunk, "usage": counted or None}


def _chunk(delta: dict[str, Any]) -> dict[str, Any]:
    """Without the answer's id: its first event alone has it."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} if delta else {}


def _read_delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    kind = delta["type"]
    if kind == "text_delta":
        return {"content": _text(delta["text"])}
    if kind == "thinking_delta":
        return _thought(index, thinking=_text(delta["thinking"]))
    if kind == "signature_delta":
        return _thought(index, signature=_text(delta["signature"]))
    if kind == "input_json_delta":
        arguments = _text(delta["partial_json"])
        return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}
    return {}


def _thought(index: int, **piece: str) -> dict[str, Any]:
    told = {name: text for name, text in piece.items() if text}
    if not told:
        return {}
    delta: dict[str, Any] = {"thinking_blocks": [{"index": index, "type": "thinking", **told}]}
    return {"reasoning_content": told["thinking"], **delta} if "thinking" in told else delta


def _read_start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    kind = block["type"]
    if kind == "tool_use":
        return {"tool_calls": [{"index": index, **_read_call(block, nothing="")}]}
    if kind == "text":
        return {"content": _text(block["text"])} if block.get("text") else {}
    if kind == "thinking":
        pieces = {name: _text(block.get(name) or "") for name in THOUGHTS[kind]}
        return _thought(index, **pieces)
    if kind == "redacted_thinking":
        return {"thinking_blocks": [{"index": index, "type": kind, "data": _text(block["data"])}]}
    return {}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value


def _read_call(block: dict[str, Any], nothing: str) -> dict[str, Any]:
    """`nothing`: the arguments of one that has none, or none yet."""
    given = block.get("input")
    function = {"name": block["name"], "arguments": orjson.dumps(given).decode() if given else nothing}
    return {"id": block["id"], "type": "function", "function": function}


def _end(choice: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """The end of an answer: its reason, its usage."""
    reason, found = told.get("stop_reason"), told.get("stop_sequence")
    choice = {"index": 0, **choice, "finish_reason": reason}
    if reason is not None and reason not in REASONS:
        choice["native_finish_reason"] = reason
    if isinstance(found, str):
        choice["stop_reason"] = found
    return {"choices": [choice], "usage": told.get("usage")}


def read_answer(answer: dict[str, Any]) -> dict[str, Any]:
    """A whole answer."""
    blocks = [block for block in answer["content"] if block["type"] in ORDER]
    text = "".join(_text(block["text"]) for block in blocks if block["type"] == "text")
    calls = [_read_call(block, nothing="{}") for block in blocks if block["type"] == "tool_use"]
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    if thoughts := [_read_thought(block) for block in blocks if block["type"] in THOUGHTS]:
        message["reasoning_content"] = "".join(one.get("thinking") or "" for one in thoughts) or None
        message["thinking_blocks"] = thoughts
    if calls:
        message["tool_calls"] = calls
    places = [ORDER[block["type"]] for block in blocks]
    if places != sorted(places):
        message["content_blocks"] = blocks
    return {"id": answer.get("id")} | _end({"message": message}, answer)


def _read_thought(block: dict[str, Any]) -> dict[str, Any]:
    kind = block["type"]
    return {"type": kind, **{name: _text(block.get(name) or "") for name in THOUGHTS[kind]}}
