"""OpenAI's requests as Anthropic's Messages API takes them. Only what is named here goes out: Anthropic
refuses what it does not know, and some of what it knows (containers, servers of tools, other tariffs) is no
business of a caller's.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from models_registry.providers.anthropic.generations import (
    KEEPS_SCHEMAS,
    TAKES_NO_SAMPLING,
    TAKES_ONE_SAMPLING,
    generation_of,
)
from models_registry.providers.anthropic.schemas import is_open, narrow
from models_registry.providers.anthropic.thinking import thinks, write_thinking
from models_registry.providers.anthropic.turns import ASSISTANT, Block, read_mark, write_turns
from models_registry.providers.openai_compatible.fields import list_asked

TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")
USUAL_SHARE = 1  # of temperature and `top_p`: what Anthropic takes where neither is said
LEAST_TOP_P_OF_THOUGHT = 0.95
MOST_USER_CHARS = 256
NO_FIELDS = {"type": "object", "properties": {}}
# What goes out under its own name or another, is kept by us, or says nothing of the answer.
HEEDED = frozenset(
    {
        *("model", "messages", "n", "stream", "stream_options", "stop", "user", "safety_identifier"),
        *("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "response_format"),
        *("cache_control", "metadata", "prompt_cache_key", *TOKEN_LIMITS),
    }
)
SHARES = ("temperature", "top_p")
SAMPLING = (*SHARES, "top_k")  # what may go out: see `_write_sampling`
COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "cache_control")


def write_chat(body: dict[str, Any]) -> dict[str, Any]:
    """Raises InvalidInput."""
    system, turns = write_turns(body["messages"])
    written: dict[str, Any] = {"model": body["model"], "messages": turns}
    limit = next((body[name] for name in TOKEN_LIMITS if body.get(name)), None)
    if limit is not None:
        written["max_tokens"] = limit
    if body.get("stream") is not None:
        written["stream"] = body["stream"]
    if (mark := read_mark(body)) is not None:
        written["cache_control"] = mark
    if stops := _write_stops(body.get("stop")):
        written["stop_sequences"] = stops
    user = body.get("user")
    if isinstance(user, str) and user:
        written["metadata"] = {"user_id": user[:MOST_USER_CHARS]}
    written |= _write_tools(body)
    if (schema := find_kept_schema(body.get("response_format"), body["model"])) is not None:
        written["output_config"] = {"format": {"type": "json_schema", "schema": narrow(schema)}}
    if system:
        is_plain = len(system) == 1 and "cache_control" not in system[0]
        written["system"] = system[0]["text"] if is_plain else system
    write_thinking(body, written)
    written |= _write_sampling(body, has_thoughts=thinks(written))
    return written


def find_dropped(body: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
    """What a request asks for and Anthropic, or this model of it, is not told. A usual value is none."""
    heeded = {*HEEDED, *(name for name in SAMPLING if name in written)}
    heeded |= {name for name in SHARES if body.get(name) == USUAL_SHARE}
    is_told = "thinking" in written or "effort" in written.get("output_config", {})
    if is_told or body.get("reasoning_effort") == "none":
        heeded |= {"thinking", "reasoning_effort"}
    return list_asked(body, body.keys() - heeded)


def write_count(body: dict[str, Any]) -> dict[str, Any]:
    """A question how many tokens a request has. Raises InvalidInput."""
    written = write_chat(body)
    return {name: written[name] for name in COUNTED if name in written}


def _write_stops(stop: Any) -> list[str]:
    """Without those of white space alone, which Anthropic refuses."""
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    return [one for one in stops if isinstance(one, str) and one.strip()]


def _write_sampling(body: dict[str, Any], *, has_thoughts: bool) -> dict[str, Any]:
    """Nothing for models that refuse it. What says the usual is left out; of the two the temperature goes to
    those that refuse one beside the other. OpenAI's temperature goes to 2.
    """
    if generation_of(body["model"]) >= TAKES_NO_SAMPLING:
        return {}
    temperature, share, most = (body.get(name) for name in ("temperature", "top_p", "top_k"))
    written = {"top_k": most} if most is not None and not has_thoughts else {}
    if temperature is not None and temperature < USUAL_SHARE and not has_thoughts:
        written["temperature"] = temperature
    if share is not None and share < USUAL_SHARE:
        written["top_p"] = share
    is_second = "temperature" in written and generation_of(body["model"]) >= TAKES_ONE_SAMPLING
    if is_second or (has_thoughts and share is not None and share < LEAST_TOP_P_OF_THOUGHT):
        written.pop("top_p", None)
    return written


# -- tools ---------------------------------------------------------------------------------------------------


def _write_tools(body: dict[str, Any]) -> dict[str, Any]:
    """Also which of them is called. A history with calls needs tools, though none may be called any more."""
    tools = [_write_tool(tool, body["model"]) for tool in body.get("tools") or ()]
    tools += [_write_tool({"function": one}, body["model"]) for one in body.get("functions") or ()]
    if not tools:
        names = dict.fromkeys(_called_names(body["messages"]))
        known = [{"name": name, "input_schema": NO_FIELDS} for name in names]
        return {"tools": known, "tool_choice": {"type": "none"}} if known else {}
    choice = _write_choice(body.get("tool_choice") or body.get("function_call"))
    if body.get("parallel_tool_calls") is False and choice.get("type", "auto") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def _write_tool(tool: dict[str, Any], model: str) -> Block:
    function = tool.get("function")
    function = function if isinstance(function, dict) else {}
    schema = function.get("parameters") or NO_FIELDS
    if isinstance(schema, dict) and "type" not in schema:  # which OpenAI does not ask for
        schema = {"type": "object", **schema}
    written = {"name": function.get("name"), "input_schema": schema}
    if description := function.get("description"):
        written["description"] = description
    if function.get("strict") is True and generation_of(model) >= KEEPS_SCHEMAS and not is_open(schema):
        written["strict"] = True
        written["input_schema"] = narrow(schema)
    if tool.get("defer_loading") is True:
        written["defer_loading"] = True
    if (mark := read_mark(tool)) is not None:
        written["cache_control"] = mark
    return written


def _write_choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, dict):
        named = choice.get("function")
        name = named.get("name") if isinstance(named, dict) else choice.get("name")
        return {"type": "tool", "name": name} if name else {}
    kind = {"required": "any", "none": "none", "auto": "auto"}.get(choice)
    return {"type": kind} if kind else {}


def _called_names(messages: list[dict[str, Any]]) -> Iterable[str]:
    """Those of the functions that the assistant has called so far."""
    for message in messages:
        if message["role"] != ASSISTANT:
            continue
        called = [call.get("function") for call in message.get("tool_calls") or () if isinstance(call, dict)]
        for function in (*called, message.get("function_call")):
            if isinstance(function, dict) and isinstance(function.get("name"), str):
                yield function["name"]


# -- the form of the answer ----------------------------------------------------------------------------------


def find_kept_schema(wanted: Any, model: str) -> dict[str, Any] | None:
    """The schema that Anthropic holds the model to: where the caller wants it kept (`strict`) and the model
    can. None for all other forms, which are asked for in words: it knows no JSON without a schema, and
    refuses schemas that leave fields open.
    """
    named = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    if not isinstance(named, dict) or wanted.get("type") != "json_schema" or named.get("strict") is not True:
        return None
    schema = named.get("schema")
    if not isinstance(schema, dict) or is_open(schema):
        return None
    return schema if generation_of(model) >= KEEPS_SCHEMAS else None
