"""What all operations check of a request's JSON. Known fields are checked, unknown ones pass through to the
provider.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from django.utils.translation import gettext_noop

from foundation.errors import InvalidInput
from foundation.json_bounds import check_value_count
from foundation.json_numbers import find_long_number, may_have_long_number
from foundation.told import gettext as _
from gateway.calls import Call, Operation, Principal

MAX_PLACE = 120  # characters of a name that callers make up
MAX_DEPTH = 250  # orjson reads about 1,000 levels and writes 254
MAX_TOKENS = 300_000  # of texts that come as tokens: OpenAI's bound for all of a request
MODEL_TOKENS = "model_tokens"  # a field of ours: the tokens are the model's own (docs/decisions/0014)
# Servers' own names for further models: a key, a hold and a bill know one model (OpenRouter, LiteLLM).
OTHER_MODELS = ("models", "route", "fallbacks")
# What reaches beyond the model and its price: queues, memory and stores that tenants share, tariffs that no
# hold knows, who else reads the data, what the server fetches or loads. Left out, as by a server that does
# not know them.
NOT_PASSED_ON = frozenset(
    {
        "cache_salt",
        "priority",
        "kv_transfer_params",
        "service_tier",
        "web_search_options",
        "enable_search",  # Qwen's, with what goes with it: each search has its price
        "search_options",
        "search_parameters",  # xAI's
        "plugins",  # OpenRouter's: searches, paid for each
        "provider",  # OpenRouter's: who answers
        "data_sources",  # Azure's: addresses that the server fetches
        "store",
        "prompt_cache_retention",  # how long a provider keeps prompts
        "previous_response_id",
        "background",
        "lora",  # llama.cpp's
        "id_slot",
        "chat_template",
    }
)


# What clients send besides strict JSON: a mark at its beginning, and texts cut in the middle of an emoji, of
# which one half is left.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A pair of halves, or one; not where the backslash before it is itself escaped. Found without a step of
# Python for anything else, and only so many: a body may hold millions of escapes.
_HALVES = re.compile(
    rb"(?<!\\)(?:\\\\)*+\\u"
    rb"(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]|(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2}))"
)
MOST_HALVES = 10_000


def parse_request(
    raw: bytes, principal: Principal, request_id: UUID, operation: Operation, *, more_numbers: int = 0
) -> Call:
    """A checked call. `more_numbers`: see `load_object`. Raises InvalidInput naming the parameter."""
    body = load_object(raw, more_numbers)
    call = Call(
        principal=principal,
        left_out=take_out(body, NOT_PASSED_ON),
        body=body,
        size_bytes=len(raw),
        operation=operation,
        request_id=request_id,
    )
    operation.check(call)
    return call


def load_object(raw: bytes, more_numbers: int = 0) -> dict[str, Any]:
    """The body, with a model named. `more_numbers`: in lists, beside the values that any body may hold.
    Raises InvalidInput.
    """
    body = load_any_object(raw, more_numbers)
    check_model(body)
    return body


def take_out(body: dict[str, Any], names: Iterable[str]) -> list[str]:
    """Take these fields out of a body; those that asked for something."""
    return [name for name in names if body.pop(name, None)]


def load_any_object(raw: bytes, more_numbers: int = 0) -> dict[str, Any]:
    """The body, which need not name a model. Raises InvalidInput."""
    check_value_count(raw, more_numbers)
    body = _load(raw)
    if not isinstance(body, dict):
        raise InvalidInput(_("The body must be a JSON object."), code="invalid_json")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:  # else it cannot be that deep
        _check_depth(body)
    if may_have_long_number(raw):
        _check_numbers(raw)
    return body


def _load(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        error = exc
    try:
        return orjson.loads(_mend_halves(raw.removeprefix(BYTE_ORDER_MARK)))
    except orjson.JSONDecodeError:
        raise InvalidInput(_describe(raw, error), code="invalid_json") from None


def _mend_halves(raw: bytes) -> bytes:
    parts, end = [], 0
    for found in islice(_HALVES.finditer(raw), MOST_HALVES):
        if found["half"]:
            parts += [raw[end : found.start("half")], b"fffd"]
            end = found.end()
    return b"".join([*parts, raw[end:]])


def _describe(raw: bytes, error: orjson.JSONDecodeError) -> str:
    if not raw.strip():
        return _("The request has no body. It must be a JSON object.")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return _("The body is not valid JSON: it is no UTF-8.")
    return _("The body is not valid JSON: %(error)s.") % {"error": error}


def check_model(body: dict[str, Any]) -> None:
    """Raises InvalidInput unless the body names one model."""
    check(body, "model", str, required=True)
    if not body["model"]:
        raise wrong("model", _("must name a model"))
    for name in OTHER_MODELS:
        if body.get(name) is not None:
            raise wrong(name, _("is not allowed: “model” names the one that answers"))


def _check_depth(body: dict[str, Any]) -> None:
    """Raises InvalidInput for what is nested deeper than MAX_DEPTH: it could be read, but not written again
    for the provider.
    """
    try:
        orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise _too_deep() from None


def _too_deep() -> InvalidInput:
    return InvalidInput(
        _("The body is nested deeper than %(limit)s levels.") % {"limit": MAX_DEPTH}, code="invalid_json"
    )


def _check_numbers(raw: bytes) -> None:
    """Raises InvalidInput for a whole number that would reach the provider as another one."""
    try:
        place = find_long_number(raw)
    except RecursionError:  # beside what orjson kept: of two members with one name it keeps the last
        raise _too_deep() from None
    if place is not None:
        raise wrong(place[:MAX_PLACE], _("is a whole number of more than 64 bits; write it as a string"))


def wrong(name: str, reason: str, code: str = "invalid_value") -> InvalidInput:
    return InvalidInput(_("“%(name)s” %(reason)s.") % {"name": name, "reason": reason}, code=code, param=name)


def missing(body: dict[str, Any], name: str, form: str, others: Iterable[str]) -> InvalidInput:
    """A field that must be there is not. `others`: under which the same is sent to other addresses."""
    given = next((other for other in others if body.get(other) is not None), None)
    if given is None:
        return wrong(name, _("is missing"), "missing_required_parameter")
    return InvalidInput(
        _("“%(name)s” is missing. Write here “%(name)s”: %(form)s instead of “%(given)s”.")
        % {"name": name, "form": form, "given": given},
        code="missing_required_parameter",
        param=name,
    )


_WORDS = {
    str: gettext_noop("a string"),
    bool: gettext_noop("true or false"),
    int: gettext_noop("an integer"),
    dict: gettext_noop("an object"),
    list: gettext_noop("an array"),
}


def check(body: dict[str, Any], name: str, kind: type, required: bool = False) -> None:
    """Raises InvalidInput where a field has another type, or is missing though it must be there."""
    value = body.get(name)
    if value is None:
        if required:
            raise wrong(name, _("is missing"), "missing_required_parameter")
        return
    if kind is int and type(value) is float and value.is_integer():
        value = body[name] = int(value)  # some languages write every number so
    if type(value) is not kind:
        raise wrong(name, _("must be %(kind)s") % {"kind": _(_WORDS[kind])}, "invalid_type")


def check_range(body: dict[str, Any], name: str, low: float, high: float) -> None:
    value = body.get(name)
    if value is None:
        return
    if type(value) not in (int, float):
        raise wrong(name, _("must be a number"), "invalid_type")
    if not low <= value <= high:
        raise wrong(name, _("must lie between %(low)s and %(high)s") % {"low": low, "high": high})
