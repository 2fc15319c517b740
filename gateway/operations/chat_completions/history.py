"""Messages of the assistant as clients send them back: with all the fields of an answer, most of which say
nothing, and with a refusal where its text would stand. Brought into the form that every server takes, as are
nulls in any message.
"""

from typing import Any

import orjson

from foundation.told import gettext as _
from gateway.operations.body import wrong
from gateway.operations.chat_completions.tool_calls import NO_ARGUMENTS

INSTEAD_OF_CONTENT = ("tool_calls", "function_call", "audio")
# what an answer without content may have said
SAID_BESIDE_IT = ("refusal", "reasoning_content", "reasoning", "reasoning_details")


def clean_history(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages; as copies where anything is to be changed. What is null says nothing, in any of them, and
    some servers refuse it.
    """
    return [_clean(one) if one["role"] == "assistant" else _without_nulls(one) for one in messages]


def _without_nulls(message: dict[str, Any]) -> dict[str, Any]:
    if None not in message.values():
        return message
    return {name: value for name, value in message.items() if value is not None}


def _clean(message: dict[str, Any]) -> dict[str, Any]:
    cleaned = {name: value for name, value in message.items() if name == "content" or value not in (None, [])}
    if isinstance(calls := cleaned.get("tool_calls"), list):
        cleaned["tool_calls"] = [_with_arguments(one) for one in calls]
    content = cleaned.get("content")
    if isinstance(content, list):
        cleaned["content"] = [_as_text(part) for part in content]
    elif content is None and not any(cleaned.get(name) for name in INSTEAD_OF_CONTENT):
        refusal = cleaned.pop("refusal", None)
        cleaned["content"] = refusal if isinstance(refusal, str) else ""
    return cleaned


def _with_arguments(call: dict[str, Any]) -> dict[str, Any]:
    """Servers read them as JSON, and "" is none."""
    function = call.get("function")
    if not isinstance(function, dict) or function.get("arguments") != "":
        return call
    return {**call, "function": {**function, "arguments": NO_ARGUMENTS}}


def check_calls(calls: Any, name: str) -> None:
    """Raises InvalidInput for what calls nothing, and for arguments that are no JSON: servers fail at them,
    with an error that blames something else.
    """
    if not isinstance(calls, list):
        raise wrong(name, _("must be an array"), "invalid_type")
    for number, call in enumerate(calls):
        if not isinstance(call, dict):
            raise wrong(f"{name}[{number}]", _("must be an object"), "invalid_type")
        if call.get("type") != "custom":
            check_function(call.get("function"), f"{name}[{number}].function")
        elif not isinstance(call.get("custom"), dict):  # its input is a text
            raise wrong(f"{name}[{number}].custom", _("must be an object"), "invalid_type")


def check_function(function: Any, name: str) -> None:
    """Of a call. Raises InvalidInput."""
    if not isinstance(function, dict):
        raise wrong(name, _("must be an object"), "invalid_type")
    if not isinstance(function.get("name"), str):
        raise wrong(f"{name}.name", _("must be a string"), "invalid_type")
    arguments = function.get("arguments")
    if isinstance(arguments, str) and arguments and not _is_json(arguments):
        raise wrong(f"{name}.arguments", _("must be JSON, as a string"))


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _as_text(part: dict[str, Any]) -> dict[str, Any]:
    is_refusal = part.get("type") == "refusal" and isinstance(part.get("refusal"), str)
    return {"type": "text", "text": part["refusal"]} if is_refusal else part


def may_lack_content(message: dict[str, Any]) -> bool:
    """Whether it says what it says elsewhere, or is an answer that came to nothing."""
    if any(message.get(name) for name in INSTEAD_OF_CONTENT):
        return True
    is_answer = message["role"] == "assistant"
    return is_answer and ("content" in message or any(message.get(name) for name in SAID_BESIDE_IT))
