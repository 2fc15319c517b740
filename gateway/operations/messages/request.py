"""A request in Anthropic's dialect, checked, as a call in the house's own form: OpenAI's, with fields beside
it for what that cannot say (`thinking`, `thinking_blocks`, `content_blocks`, `cache_control`, blocks of
documents), so that nothing is lost on the way to Anthropic. Other providers get it in plain.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from foundation.told import gettext as _
from gateway.calls import Call, Operation, Principal
from gateway.operations.body import (
    MAX_PLACE,
    NOT_PASSED_ON,
    check,
    check_range,
    load_object,
    take_out,
    wrong,
)
from gateway.operations.chat_completions.form import JsonForm
from gateway.operations.chat_completions.request import MAX_MESSAGES, check_body
from gateway.operations.chat_completions.schemas import check_size
from gateway.operations.messages.turns import read_system, read_turns

COUNTED = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"}
)
KNOWN = COUNTED | {
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
}
# What a server may do without, and the answer stays one: left out, as OpenAI's fields of that kind are.
LEFT_OUT = ("context_management", "speed", "user_profile_id", "diagnostics")
SAME = ("stream", "temperature", "top_p", "top_k")
LEAST_BUDGET = 1_024
FORM = "output_config.format"
THINKING = ("enabled", "disabled", "adaptive")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def parse_request(
    raw: bytes, principal: Principal, request_id: UUID, operation: Operation, *, is_count: bool = False
) -> Call:
    """A checked call. `is_count`: only its tokens are to be counted, so nothing bounds an answer. Raises
    InvalidInput naming the place.
    """
    given = load_object(raw)
    left_out = take_out(given, (*NOT_PASSED_ON, *LEFT_OUT))
    for name in given:
        if name not in KNOWN:
            raise wrong(name[:MAX_PLACE], _("is not a field of this API"))
    call = Call(
        principal=principal,
        left_out=left_out,
        body=_read_body(given, is_count=is_count),
        size_bytes=len(raw),
        operation=operation,
        request_id=request_id,
    )
    check_body(call, are_parts_checked=True)
    if isinstance(call.form, JsonForm):
        call.form = replace(call.form, place=FORM, schema_place=f"{FORM}.schema")
    return call


def _read_body(given: dict[str, Any], *, is_count: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"model": given["model"]}
    check(given, "max_tokens", int, required=not is_count)
    if (limit := given.get("max_tokens")) is not None:
        body["max_tokens"] = limit
    check(given, "stream", bool)
    check_range(given, "temperature", 0, 1)
    check_range(given, "top_p", 0, 1)
    check(given, "top_k", int)
    body |= {name: given[name] for name in SAME if given.get(name) is not None}
    if stops := _read_stops(given):
        body["stop"] = stops
    body["messages"] = [*read_system(given), *_read_messages(given)]
    body |= _read_tools(given)
    body |= _read_thinking(given, None if given.get("tools") else limit)
    body |= _read_output(given)
    check(given, "metadata", dict)
    metadata = given.get("metadata") or {}
    if metadata.get("user_id") is not None:
        if not isinstance(metadata["user_id"], str):
            raise wrong("metadata.user_id", _("must be a string"), "invalid_type")
        body["user"] = metadata["user_id"]
    check(given, "cache_control", dict)
    if given.get("cache_control"):
        body["cache_control"] = given["cache_control"]
    return body


def _read_messages(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    check(given, "messages", list, required=True)
    messages = given["messages"]
    if not messages:
        raise wrong("messages", _("must hold at least one message"))
    if len(messages) > MAX_MESSAGES:
        raise wrong("messages", _("may hold at most %(limit)s messages") % {"limit": MAX_MESSAGES})
    return read_turns(messages)


def _read_stops(given: dict[str, Any]) -> list[str]:
    check(given, "stop_sequences", list)
    stops = given.get("stop_sequences") or []
    for place, stop in enumerate(stops):
        if not isinstance(stop, str):
            raise wrong(f"stop_sequences[{place}]", _("must be a string"), "invalid_type")
    return stops


# -- tools ---------------------------------------------------------------------------------------------------


def _read_tools(given: dict[str, Any]) -> dict[str, Any]:
    check(given, "tools", list)
    check(given, "tool_choice", dict)
    tools = [_read_tool(tool, f"tools[{place}]") for place, tool in enumerate(given.get("tools") or ())]
    choice = given.get("tool_choice")
    if not tools:
        if choice is not None and choice.get("type") not in ("auto", "none"):
            raise wrong("tool_choice", _("is allowed only with “%(field)s”") % {"field": "tools"})
        return {}
    return {"tools": tools, **(_read_choice(choice) if choice else {})}


def _read_tool(tool: Any, name: str) -> dict[str, Any]:
    """Those that the provider would run itself (a search, an interpreter) are paid for beside the model."""
    if not isinstance(tool, dict):
        raise wrong(name, _("must be an object"), "invalid_type")
    if tool.get("type") not in (None, "custom"):
        raise wrong(f"{name}.type", _("must be “custom”: no other tools are served"))
    called, schema, described = tool.get("name"), tool.get("input_schema"), tool.get("description")
    if not isinstance(called, str) or not called:
        raise wrong(f"{name}.name", _("must be a string"), "invalid_type")
    if not isinstance(schema, dict):
        raise wrong(f"{name}.input_schema", _("must be an object"), "invalid_type")
    if described is not None and not isinstance(described, str):
        raise wrong(f"{name}.description", _("must be a string"), "invalid_type")
    function: dict[str, Any] = {"name": called, "parameters": schema}
    if described:
        function["description"] = described
    if tool.get("strict") is True:
        function["strict"] = True
    mark = tool.get("cache_control")
    written: dict[str, Any] = {"type": "function", "function": function}
    if tool.get("defer_loading") is True:
        written["defer_loading"] = True
    return {**written, "cache_control": mark} if isinstance(mark, dict) else written


def _read_choice(choice: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    kind = choice.get("type")
    if kind == "tool":
        if not isinstance(choice.get("name"), str):
            raise wrong("tool_choice.name", _("must be a string"), "invalid_type")
        body["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif isinstance(kind, str) and kind in CHOICES:
        body["tool_choice"] = CHOICES[kind]
    else:
        kinds = ", ".join([*CHOICES, "tool"])
        raise wrong("tool_choice.type", _("must be one of %(values)s") % {"values": kinds})
    alone = choice.get("disable_parallel_tool_use")
    if alone is not None and type(alone) is not bool:
        raise wrong("tool_choice.disable_parallel_tool_use", _("must be true or false"), "invalid_type")
    if alone:
        body["parallel_tool_calls"] = False
    return body


# -- thinking, and the form of the answer --------------------------------------------------------------------


def _read_thinking(given: dict[str, Any], limit: int | None) -> dict[str, Any]:
    """`limit`: what a budget must stay below. Beside tools nothing: there it may be that of several answers
    (Anthropic's beta of thoughts between calls), and is fitted to this one.
    """
    check(given, "thinking", dict)
    thinking = given.get("thinking")
    if not thinking:
        return {}
    if thinking.get("type") not in THINKING:
        raise wrong("thinking.type", _("must be one of %(values)s") % {"values": ", ".join(THINKING)})
    if thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens")
        if type(budget) is not int or budget < LEAST_BUDGET:
            least = {"limit": LEAST_BUDGET}
            raise wrong("thinking.budget_tokens", _("must be an integer of at least %(limit)s") % least)
        if limit is not None and budget >= limit:
            raise wrong("thinking.budget_tokens", _("must be less than “max_tokens”"))
    return {"thinking": thinking}


def _read_output(given: dict[str, Any]) -> dict[str, Any]:
    check(given, "output_config", dict)
    config, body = given.get("output_config") or {}, {}
    if (effort := config.get("effort")) is not None:
        if effort not in EFFORTS:
            values = {"values": ", ".join(EFFORTS)}
            raise wrong("output_config.effort", _("must be one of %(values)s") % values)
        body["reasoning_effort"] = effort
    form = config.get("format")
    if form is None:
        return body
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        raise wrong(f"{FORM}.type", _("must be one of %(values)s") % {"values": "json_schema"})
    check_size(form.get("schema"), f"{FORM}.schema")
    named = {"name": "answer", "strict": True, "schema": form["schema"]}
    return {**body, "response_format": {"type": "json_schema", "json_schema": named}}
