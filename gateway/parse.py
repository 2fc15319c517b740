"""Step 2: the request's JSON into a Call. Known fields are checked, unknown ones pass through to the
provider.
"""

from typing import Any
from uuid import UUID

import orjson
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from foundation.errors import InvalidInput
from foundation.json_bounds import check_value_count
from gateway.calls import Call, Principal

MAX_MESSAGES = 2_000
MAX_DEPTH = 250  # orjson reads about 1,000 levels and writes 254
MAX_OUTPUT_TOKENS = 10_000_000  # far beyond any model; a hold for more would not fit the ledger
TEXT_PARTS = frozenset({"text", "refusal"})
# Servers' own names for further models, for more than one answer and for its length: a key, a hold and
# a bill know one model, one answer and the length that `max_tokens` says (OpenRouter, LiteLLM; llama.cpp
# lets n_predict go before max_tokens; vLLM, TGI, Ollama).
OTHER_MODELS = ("models", "route", "fallbacks")
OTHER_LENGTHS = (
    "n_predict",
    "num_predict",
    "max_new_tokens",
    "max_output_tokens",
    "max_length",
    "max_gen_toks",
)
ANSWERS = ("n", "n_cmpl", "best_of")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def parse_chat_completion(raw: bytes, principal: Principal, request_id: UUID) -> Call:
    """A checked call. Raises InvalidInput naming the parameter."""
    body = _load_object(raw)
    call = Call(principal=principal, body=body, size_bytes=len(raw), request_id=request_id)
    _check(body, "model", str, required=True)
    if not body["model"]:
        raise _wrong("model", _("must name a model"))
    for name in OTHER_MODELS:
        if body.get(name) is not None:
            raise _wrong(name, _("is not allowed: “model” names the one that answers"))
    for name in OTHER_LENGTHS:
        if body.get(name) is not None:
            raise _wrong(name, _("is not allowed: “max_tokens” bounds the answer"))
    call.has_media = _check_messages(body.get("messages"))
    _check(body, "stream", bool)
    _check(body, "stream_options", dict)
    for name in ("max_tokens", "max_completion_tokens"):
        _check(body, name, int)
        if (value := body.get(name)) is not None and value < 1:
            raise _wrong(name, _("must be at least 1"))
        if value is not None and value > MAX_OUTPUT_TOKENS:
            raise _wrong(name, _("must be at most %(limit)s") % {"limit": MAX_OUTPUT_TOKENS})
    _check_range(body, "temperature", 0, 2)
    _check_range(body, "top_p", 0, 1)
    for name in ANSWERS:
        _check(body, name, int)
        if body.get(name) not in (None, 1):
            raise _wrong(name, _("must be 1: only one answer is given"))
    _check(body, "tools", list)
    call.wants_stream = bool(body.get("stream"))
    options = body.get("stream_options") or {}
    if options and not call.wants_stream:
        raise _wrong("stream_options", _("is allowed only with “stream”: true"))
    call.wants_usage = options.get("include_usage") is True
    return call


def _load_object(raw: bytes) -> dict[str, Any]:
    check_value_count(raw)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidInput(
            _("The body is not valid JSON: %(error)s.") % {"error": exc}, code="invalid_json"
        ) from None
    if not isinstance(body, dict):
        raise InvalidInput(_("The body must be a JSON object."), code="invalid_json")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:  # else it cannot be that deep
        _check_depth(body)
    return body


def _check_depth(body: dict[str, Any]) -> None:
    """Raises InvalidInput for what is nested deeper than MAX_DEPTH: it could be read, but not written again
    for the provider.
    """
    try:
        orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise InvalidInput(
            _("The body is nested deeper than %(limit)s levels.") % {"limit": MAX_DEPTH}, code="invalid_json"
        ) from None


def _wrong(name: str, reason: str, code: str = "invalid_value") -> InvalidInput:
    return InvalidInput(_("“%(name)s” %(reason)s.") % {"name": name, "reason": reason}, code=code, param=name)


_WORDS = {
    str: gettext_noop("a string"),
    bool: gettext_noop("true or false"),
    int: gettext_noop("an integer"),
    dict: gettext_noop("an object"),
    list: gettext_noop("an array"),
}


def _check(body: dict, name: str, kind: type, required: bool = False) -> None:
    value = body.get(name)
    if value is None:
        if required:
            raise _wrong(name, _("is missing"), "missing_required_parameter")
        return
    if type(value) is not kind:
        raise _wrong(name, _("must be %(kind)s") % {"kind": _(_WORDS[kind])}, "invalid_type")


def _check_range(body: dict, name: str, low: float, high: float) -> None:
    value = body.get(name)
    if value is None:
        return
    if type(value) not in (int, float):
        raise _wrong(name, _("must be a number"), "invalid_type")
    if not low <= value <= high:
        raise _wrong(name, _("must lie between %(low)s and %(high)s") % {"low": low, "high": high})


def _check_messages(messages: Any) -> bool:
    """Whether a message holds anything but text. Raises InvalidInput."""
    if messages is None:
        raise _wrong("messages", _("is missing"), "missing_required_parameter")
    if type(messages) is not list:
        raise _wrong("messages", _("must be an array"), "invalid_type")
    if not messages:
        raise _wrong("messages", _("must hold at least one message"))
    if len(messages) > MAX_MESSAGES:
        raise _wrong("messages", _("may hold at most %(limit)s messages") % {"limit": MAX_MESSAGES})
    has_media = False
    for index, message in enumerate(messages):
        if type(message) is not dict:
            raise _wrong(f"messages[{index}]", _("must be an object"), "invalid_type")
        if type(role := message.get("role")) is not str or role not in ROLES:
            raise _wrong(
                f"messages[{index}].role", _("must be one of %(roles)s") % {"roles": ", ".join(sorted(ROLES))}
            )
        content = message.get("content")
        if content is not None and type(content) not in (str, list):
            raise _wrong(
                f"messages[{index}].content", _("must be a string or an array of parts"), "invalid_type"
            )
        if content is None and not (message.get("tool_calls") or message.get("function_call")):
            raise _wrong(f"messages[{index}].content", _("is missing"), "missing_required_parameter")
        if type(content) is list:
            has_media |= _check_parts(content, f"messages[{index}].content")
    return has_media


def _check_parts(parts: list, name: str) -> bool:
    """Whether a part is anything but text. Raises InvalidInput."""
    for position, part in enumerate(parts):
        if type(part) is not dict:
            raise _wrong(f"{name}[{position}]", _("must be an object"), "invalid_type")
        _check_part(part, f"{name}[{position}]")
    return any(part.get("type") not in TEXT_PARTS for part in parts)


def _check_part(part: dict[str, Any], name: str) -> None:
    if "type" in part and type(part["type"]) is not str:
        raise _wrong(f"{name}.type", _("must be a string"), "invalid_type")
    if part.get("type") == "text" and type(part.get("text")) is not str:
        raise _wrong(f"{name}.text", _("must be a string"), "invalid_type")
