"""A request for a chat completion, checked."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.utils.translation import gettext_noop

from foundation.told import gettext as _
from gateway.calls import Call
from gateway.operations.body import check, check_range, missing, wrong
from gateway.operations.chat_completions.answer import MAX_CHOICES
from gateway.operations.chat_completions.form import JsonForm
from gateway.operations.chat_completions.history import (
    check_calls,
    check_function,
    clean_history,
    may_lack_content,
)
from gateway.operations.chat_completions.media import check_media, kinds_of, may_sound
from gateway.operations.chat_completions.schemas import PLACE, check_format

MAX_MESSAGES = 2_000
MAX_OUTPUT_TOKENS = 10_000_000  # far beyond any model; a hold for more would not fit the ledger
# Servers' own names for the number of answers and for their length: a hold and a bill know the number that
# `n` says and the length that `max_tokens` says (llama.cpp lets n_predict go before max_tokens; vLLM, TGI,
# Ollama).
OTHER_LENGTHS = (
    "n_predict",
    "num_predict",
    "max_new_tokens",
    "max_output_tokens",
    "max_length",
    "max_gen_toks",
)
OTHER_ANSWERS = ("n_cmpl", "best_of")
ANSWERS = frozenset({"n", *OTHER_ANSWERS})
LENGTHS = ("max_tokens", "max_completion_tokens")
TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"})
LOGPROBS = frozenset({"logprobs", "top_logprobs"})
KINDS = {"reasoning_effort": str, "metadata": dict, "tools": list, "functions": list, "modalities": list}
MAX_TOP_LOGPROBS = 20  # OpenAI's bound
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def check_body(call: Call, *, are_parts_checked: bool = False) -> None:
    """Check the fields of the body and note in the call what they say; the messages' number and their parts
    unless that was done, since decoding a picture takes long, and one turn of another dialect may be several
    messages. Raises InvalidInput naming the parameter.
    """
    body = call.body
    refuse_fields(body, OTHER_LENGTHS, gettext_noop("is not allowed: “max_tokens” bounds the answer"))
    _check_messages(body, are_parts_checked=are_parts_checked)
    parts = list(_parts_of(body["messages"]))
    call.has_media = bool(parts) and any(True for part in parts for _kind in kinds_of(part))
    body["messages"] = clean_history(body["messages"])
    call.has_sound = _names_sound(body) or (bool(parts) and any(map(may_sound, parts)))
    for name in LENGTHS:
        if name in body:
            check_length(body, name)
    check_range(body, "temperature", 0, 2)
    check_range(body, "top_p", 0, 1)
    _check_answers(call)
    _check_logprobs(body)
    for name, kind in KINDS.items():
        if name in body:
            check(body, name, kind)
    if (wanted := check_format(body)) is not None:
        call.form = form = JsonForm(*wanted, body[PLACE])
        call.size_bytes += form.most_added_bytes
    if not TOOLS.isdisjoint(body):
        _check_tools(body.get("tools") or ())
        _clean_choice(body, "tools", "tool_choice", "parallel_tool_calls")
        _clean_choice(body, "functions", "function_call")
    check_stream(call)


def refuse_fields(body: dict[str, Any], names: Iterable[str], reason: str) -> None:
    """`reason`: a msgid. Raises InvalidInput."""
    for name in names:
        if body.get(name) is not None:
            raise wrong(name, _(reason))


def check_length(body: dict[str, Any], name: str, least: int = 1) -> None:
    """Raises InvalidInput for a bound of the answer that is none. `least`: 0 where something comes without an
    answer.
    """
    check(body, name, int)
    if (value := body.get(name)) is not None and value < least:
        raise wrong(name, _("must be at least 1") if least else _("must be at least 0"))
    if value is not None and value > MAX_OUTPUT_TOKENS:
        raise wrong(name, _("must be at most %(limit)s") % {"limit": MAX_OUTPUT_TOKENS})


def check_stream(call: Call) -> None:
    """Note in the call whether a stream is wanted, and its usage. Raises InvalidInput."""
    body = call.body
    check(body, "stream", bool)
    check(body, "stream_options", dict)
    call.wants_stream = bool(body.get("stream"))
    options = body.get("stream_options") or {}
    if options and not call.wants_stream:
        raise wrong("stream_options", _("is allowed only with “stream”: true"))
    call.wants_usage = options.get("include_usage") is True


def _check_answers(call: Call) -> None:
    body = call.body
    if ANSWERS.isdisjoint(body):
        return
    check(body, "n", int)
    check_range(body, "n", 1, MAX_CHOICES)
    call.answer_count = body.get("n") or 1
    for name in OTHER_ANSWERS:
        check(body, name, int)
        if body.get(name) not in (None, 1):
            raise wrong(name, _("must be 1: “n” says how many answers are given"))


def _check_logprobs(body: dict[str, Any]) -> None:
    if LOGPROBS.isdisjoint(body):
        return
    check(body, "logprobs", bool)
    check(body, "top_logprobs", int)
    check_range(body, "top_logprobs", 0, MAX_TOP_LOGPROBS)
    if body.get("top_logprobs") and body.get("logprobs") is not True:
        raise wrong("top_logprobs", _("is allowed only with “logprobs”: true"))


def _check_tools(tools: Iterable[Any]) -> None:
    """Those that the provider would run itself (a search, an interpreter) are paid for beside the model."""
    for place, tool in enumerate(tools):
        kind = tool.get("type", "function") if isinstance(tool, dict) else None
        if kind not in ("function", "custom"):
            raise wrong(f"tools[{place}].type", _("must be “function” or “custom”"))


def _clean_choice(body: dict[str, Any], tools: str, choice: str, *more: str) -> None:
    """An empty list is none, and servers refuse it, as they do what is said of its use. Raises InvalidInput
    for a use that nothing can be put to, and for one that is none.
    """
    if body.get(choice) is not None and type(body[choice]) not in (str, dict):
        raise wrong(choice, _("must be a string or an object"), "invalid_type")
    if body.get(tools) not in (None, []):
        return
    if body.get(choice) not in (None, "auto", "none"):
        raise wrong(choice, _("is allowed only with “%(field)s”") % {"field": tools})
    for name in (tools, choice, *more):
        body.pop(name, None)


def _names_sound(body: dict[str, Any]) -> bool:
    """Whether sound is asked for, or an earlier answer in sound is named by its id alone."""
    return (
        body.get("audio") is not None
        or body.get("modalities") not in (None, ["text"])
        or any(message.get("audio") is not None for message in body["messages"])
    )


def _parts_of(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if isinstance(content := message.get("content"), list):
            yield from content


def _check_messages(body: dict[str, Any], *, are_parts_checked: bool) -> None:
    """Raises InvalidInput."""
    messages = body.get("messages")
    if messages is None:
        raise missing(body, "messages", '[{"role": "user", "content": "…"}]', ("prompt", "input"))
    if type(messages) is not list:
        raise wrong("messages", _("must be an array"), "invalid_type")
    if not messages:
        raise wrong("messages", _("must hold at least one message"))
    if not are_parts_checked and len(messages) > MAX_MESSAGES:
        raise wrong("messages", _("may hold at most %(limit)s messages") % {"limit": MAX_MESSAGES})
    for index, message in enumerate(messages):
        if type(message) is not dict:
            raise wrong(f"messages[{index}]", _("must be an object"), "invalid_type")
        if type(role := message.get("role")) is not str or role not in ROLES:
            raise wrong(
                f"messages[{index}].role", _("must be one of %(roles)s") % {"roles": ", ".join(sorted(ROLES))}
            )
        content = message.get("content")
        if content is not None and type(content) not in (str, list):
            raise wrong(
                f"messages[{index}].content", _("must be a string or an array of parts"), "invalid_type"
            )
        if content is None and not may_lack_content(message):
            raise wrong(f"messages[{index}].content", _("is missing"), "missing_required_parameter")
        if message.get("tool_calls"):
            check_calls(message["tool_calls"], f"messages[{index}].tool_calls")
        if message.get("function_call"):
            check_function(message["function_call"], f"messages[{index}].function_call")
        if type(content) is list and not are_parts_checked:
            _check_parts(content, f"messages[{index}].content")


def _check_parts(parts: list, name: str) -> None:
    """Raises InvalidInput."""
    for position, part in enumerate(parts):
        if type(part) is not dict:
            raise wrong(f"{name}[{position}]", _("must be an object"), "invalid_type")
        _check_part(part, f"{name}[{position}]")


def _check_part(part: dict[str, Any], name: str) -> None:
    if part.get("type") is None:  # some servers guess then, each in its own way
        raise wrong(f"{name}.type", _("is missing"), "missing_required_parameter")
    if type(part["type"]) is not str:
        raise wrong(f"{name}.type", _("must be a string"), "invalid_type")
    if part["type"] == "text" and type(part.get("text")) is not str:
        raise wrong(f"{name}.text", _("must be a string"), "invalid_type")
    check_media(part, name)
