"""What Cohere sends, in OpenAI's shape. Raises KeyError, TypeError, AttributeError for what makes no sense.

Left out: citations, log probabilities, the texts that come back beside their vectors.
"""

from typing import Any

FAILED = {"ERROR", "TIMEOUT"}  # ends of an answer that is none


def read_stream_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a stream as a chunk; empty for one that says nothing that OpenAI's clients know."""
    kind, told = event["type"], event.get("delta") or {}
    message = told.get("message") or {}
    if kind == "message-start":
        return _chunk({"role": "assistant", "content": ""})
    if kind in ("content-start", "content-delta"):
        content = message["content"]
        names = {"reasoning_content": content.get("thinking"), "content": content.get("text")}
        return _chunk({name: text for name, text in names.items() if text})
    if kind == "tool-plan-delta":
        return _chunk({"reasoning_content": message["tool_plan"]})
    if kind in ("tool-call-start", "tool-call-delta"):
        return _chunk({"tool_calls": [{"index": event.get("index", 0), **message["tool_calls"]}]})
    if kind == "message-end":
        return _end({"delta": {}}, told)
    return {}


def _chunk(delta: dict[str, Any]) -> dict[str, Any]:
    """Without Cohere's id: its first event alone has it, and a client's chunks share one."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} if delta else {}


def _end(choice: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """The end of an answer: its reason, its usage."""
    reason, usage = told.get("finish_reason"), _read_usage(told.get("usage"))
    if reason in FAILED:
        return {"error": {"message": told.get("error") or reason}, "usage": usage}
    return {"choices": [{"index": 0, **choice, "finish_reason": reason}], "usage": usage}


def _read_usage(reported: Any) -> dict[str, Any] | None:
    """What is paid for, in any of OpenAI's names. `tokens` counts what Cohere adds to a prompt as well, and
    charges to nobody.
    """
    if not isinstance(reported, dict):
        return None
    return reported.get("billed_units") or reported.get("tokens")


def read_answer(answer: dict[str, Any]) -> dict[str, Any]:
    """A whole answer, vectors, relevances, or an error in their place."""
    if "results" in answer:
        return answer
    if "embeddings" in answer:
        return _read_vectors(answer)
    message = answer.get("message")
    if not isinstance(message, dict):
        return {"error": answer}
    parts = [*(message.get("content") or ())]
    if plan := message.get("tool_plan"):
        parts.append({"type": "thinking", "thinking": plan})
    ours: dict[str, Any] = {"role": "assistant", "content": parts}
    if tools := message.get("tool_calls"):
        ours["tool_calls"] = tools
    return {"id": answer.get("id")} | _end({"message": ours}, answer)


def _read_vectors(answer: dict[str, Any]) -> dict[str, Any]:
    """Of the types that were asked for, floats or else the first: OpenAI knows one."""
    vectors = answer["embeddings"]
    if isinstance(vectors, dict):
        vectors = vectors.get("float") or next(iter(vectors.values()), None)
    return {"embeddings": vectors, "usage": _read_usage(answer.get("meta"))}
