"""OpenAI's requests as Cohere takes them. What neither knows passes on, and Cohere's refusal names it."""

from typing import Any

from models_registry.providers.openai_compatible import messages_without

OURS_TO_THEIRS = {
    "max_completion_tokens": "max_tokens",
    "top_p": "p",
    "top_k": "k",
    "stop": "stop_sequences",
    "dimensions": "output_dimension",
}
# It refuses fields that it does not know. These ask for nothing that changes the answer: usage comes unasked.
UNKNOWN = frozenset(
    {
        "stream_options",
        "n",
        "user",
        "safety_identifier",
        "store",
        "service_tier",
        "metadata",
        "encoding_format",
    }
)
UNKNOWN_OF_MESSAGES = frozenset({"refusal", "annotations", "reasoning_content", "reasoning", "name"})
LEAST_SHARE, LARGEST_SHARE = 0.01, 0.99


def _rename(body: dict[str, Any]) -> dict[str, Any]:
    return {OURS_TO_THEIRS.get(name, name): value for name, value in body.items() if name not in UNKNOWN}


def write_chat(body: dict[str, Any]) -> dict[str, Any]:
    written = _rename(body)
    written["messages"] = [
        {name: value for name, value in message.items() if value is not None}
        for message in messages_without(body["messages"], UNKNOWN_OF_MESSAGES)
    ]
    if isinstance(share := written.get("p"), int | float):  # OpenAI's bounds are 0 and 1
        written["p"] = min(max(share, LEAST_SHARE), LARGEST_SHARE)
    if isinstance(stop := written.get("stop_sequences"), str):
        written["stop_sequences"] = [stop]
    if tools := body.get("tools"):
        written |= _write_tools(tools, written.pop("tool_choice", None))
    if (effort := written.pop("reasoning_effort", None)) is not None:
        written["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and isinstance(named := wanted.get("json_schema"), dict):
        written["response_format"] = {"type": "json_object", "json_schema": named.get("schema")}
    return written


def _write_tools(tools: list[Any], choice: Any) -> dict[str, Any]:
    """Also which of them is called: Cohere knows any or none, so the one that must be stands alone. What is
    of another shape passes on, for Cohere to refuse it.
    """
    given: dict[str, Any] = {"tools": tools} if choice is None else {"tools": tools, "tool_choice": choice}
    if not all(isinstance(tool, dict) and isinstance(tool.get("function"), dict) for tool in tools):
        return given
    functions = [tool["function"] for tool in tools]
    if isinstance(choice, dict):
        named = choice.get("function")
        name = named.get("name") if isinstance(named, dict) else None
        functions = [function for function in functions if name and function.get("name") == name]
        if not functions:
            return given
        choice = "required"
    written: dict[str, Any] = {"tools": [_write_tool(function) for function in functions]}
    if any(function.get("strict") for function in functions):
        written["strict_tools"] = True
    if choice in ("none", "required"):
        written["tool_choice"] = choice.upper()
    return written


def _write_tool(function: dict[str, Any]) -> dict[str, Any]:
    written = {"parameters": {"type": "object", "properties": {}}} | function
    written.pop("strict", None)
    return {"type": "function", "function": written}


def write_embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Cohere wants to know what the vectors are for (`input_type`): documents, unless a caller says it."""
    texts = body["input"]
    texts = [texts] if isinstance(texts, str) else texts
    written = {name: value for name, value in _rename(body).items() if name != "input"}
    # Too long a text is an error, as at OpenAI; Cohere would cut it without a word.
    usual = {"input_type": "search_document", "embedding_types": ["float"], "truncate": "NONE"}
    return {**usual, **written, "texts": texts}


def write_rerank(body: dict[str, Any]) -> dict[str, Any]:
    """It has OpenAI's fields for nothing here; those that say who asks it does not know."""
    return {name: value for name, value in body.items() if name not in UNKNOWN}
