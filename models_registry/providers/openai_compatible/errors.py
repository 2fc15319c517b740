"""What a server says when it refuses: one reason in many shapes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

MAX_TEXT = 2_000
MAX_DEPTH = 4
# OpenAI, vLLM, llama.cpp (exceed_context_size_error), transformers, Anthropic's and Google's OpenAI doors
TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (window|size|length)"
    r"|prompt is too long|input is too long|too many tokens|input token count|range of input length"
    r"|maximum (input|prompt|sequence) length|exceeds? the (model'?s )?max(imum)?( \w+)? (length|tokens)"
    r"|reduce the length of the (messages|prompt|input)|tokens_limit_reached|exceeded model token limit"
    r"|exceed context limit|(greater|less) than max_seq_len|inputs?`? (tokens )?\+ `?max_new_tokens"
    r"|exceed max message tokens"
    r"|prompt 超长|input length exceeds",
    re.IGNORECASE,
)
# A connection's key that is wrong is not the caller's fault; Google's OpenAI door says it with status 400.
BAD_KEY = re.compile(
    r"(invalid|incorrect|missing|expired|wrong|no)[ _]api[ _-]?key"
    r"|api[ _-]?key[^.]{0,30}(invalid|incorrect|not valid|expired|missing)",
    re.IGNORECASE,
)
_MESSAGES = (
    "message",
    "msg",
    "detail",
    "error_msg",
    "error_message",
    "status_msg",
    "reason",
    "description",
    "title",
    "raw",
)
_CODES = ("code", "error_code", "status_code")
_STATUSES = (*_CODES, "status", "http_status", "httpCode", "statusCode")
# `metadata.raw` is what OpenRouter heard itself, which says more than "Provider returned error"
_NESTS = ("error", "errors", "detail", "message", "data", "body", "base_resp", "metadata", "raw")
# What errors that come with status 200 are called where they name no number; the first that fits.
_STATUS_WORDS = tuple(
    (status, re.compile(words, re.IGNORECASE))
    for status, words in (
        (429, r"rate.?limit|too.?many.?requests|resource.?exhausted|throttl|insufficient.?quota"),
        (529, r"overloaded.?error"),
        (402, r"insufficient.?(credit|balance|fund)|payment.?required|billing.?error"),
        (401, r"unauthori[sz]ed|unauthenticated|authentication|invalid.?api.?key"),
        (403, r"permission.?denied|forbidden|permission.?error"),
        (404, r"not.?found"),
        (400, r"invalid.?request|bad.?request|invalid.?argument|invalid.?parameter"),
    )
)
_BUSY = re.compile(r"\brate.?limit|too many requests", re.IGNORECASE)
# Reasons for an end that is none: the server broke off (OpenRouter, vLLM, z.ai, DeepSeek), or could not read
# what its model wrote as a call of a tool (Google).
_FAILURES = frozenset(
    {
        "error",
        "abort",
        "aborted",
        "cancelled",
        "canceled",
        "network_error",
        "timeout",
        "insufficient_system_resource",
        "malformed_function_call",
        "function_call_filter",
    }
)
_REASONS = ("finish_reason", "native_finish_reason")  # OpenAI's, and what OpenRouter was told itself
MOST_CHOICES = 16  # of one event that are looked through for an error
_STATUS = re.compile(r"[45][0-9]{2}")
_FINE = ("", "0", "200", "ok", "success")


@dataclass(frozen=True, slots=True)
class ProviderError:
    """The reason of a refusal. Everything is text of the provider's: screen it before anybody sees it."""

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""
    status: int = 0  # of HTTP, as the error names it itself, by number or word; 0 where it names none
    is_page: bool = False  # for browsers: no model server said that

    @property
    def text(self) -> str:
        return f"{self.code} {self.kind} {self.message} {self.param}"

    @property
    def is_too_long(self) -> bool:
        """Whether the request does not fit into the model's context."""
        return TOO_LONG.search(self.text) is not None

    @property
    def is_bad_key(self) -> bool:
        return BAD_KEY.search(self.text) is not None

    def names(self, field: str) -> bool:
        """Whether it finds fault with this field of the request."""
        return field in self.text


def read_error(raw: bytes) -> ProviderError:
    """The reason in a body of any shape: OpenAI's object, an object of another shape, a list, a text. A page
    of HTML says nothing.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        text = raw.decode("utf-8", "replace").strip()
        is_page = text.startswith("<")
        return ProviderError(is_page=True) if is_page else ProviderError(message=text[:MAX_TEXT])
    return read_error_object(body)


def read_error_object(body: Any) -> ProviderError:
    """The reason in JSON that was read already."""
    objects = list(_walk(body, 0))
    message = next((text for item in objects if (text := _message(item))), "")
    code, kind = _first(objects, *_CODES), _first(objects, "type")
    return ProviderError(
        message=message[:MAX_TEXT],
        code=code,
        kind=kind,
        param=_first(objects, "param"),
        status=_number(objects) or _status_of(f"{code} {kind} {_first(objects, 'status')}", message),
    )


def _number(objects: list[Any]) -> int:
    """The status of a refusal that stands there as a number, or as the text of one."""
    values = (str(item[name]) for name in _STATUSES for item in objects if type(item.get(name)) in (int, str))
    return next((int(text) for text in values if _STATUS.fullmatch(text)), 0)


def _status_of(words: str, message: str) -> int:
    found = next((status for status, known in _STATUS_WORDS if known.search(words)), 0)
    return found or (429 if _BUSY.search(message) else 0)


def find_error(event: dict[str, Any]) -> ProviderError | None:
    """The error in an answer or event that came with status 200; None where there is no real one
    (`"error": null` is none, nor is MiniMax's `base_resp` with a status of 0, which every event has).
    """
    if event.get("error"):
        return read_error_object({name: event[name] for name in ("error", *_STATUSES) if name in event})
    if event.get("object") == "error" or event.get("type") == "error":
        return read_error_object(event)
    if isinstance(groq := event.get("x_groq"), dict) and groq.get("error"):
        return read_error_object(groq)
    status = event.get("base_resp")
    if isinstance(status, dict) and _is_failure(status.get("status_code")):
        return read_error_object(status)
    if _is_failure(event.get("error_code")):  # Baidu
        return read_error_object(event)
    return find_choice_error(event) if event.get("choices") else _find_bare_error(event)


def find_choice_error(event: dict[str, Any]) -> ProviderError | None:
    """The error by which a choice ended (OpenRouter). It is taken out: its words are not the model's."""
    choices = event.get("choices")
    for choice in choices[:MOST_CHOICES] if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        if error := choice.pop("error", None):
            return read_error_object({"error": error})
        if (failure := _find_failure(choice)) is not None:
            return failure
    return None


def is_failure(reason: str) -> bool:
    """Whether an answer that ended for this reason was broken off by its server."""
    return reason.partition(":")[0].strip().lower() in _FAILURES


def _find_failure(choice: dict[str, Any]) -> ProviderError | None:
    delta = choice.get("delta")
    reasons = [choice.get(name) for name in _REASONS]
    if isinstance(delta, dict):
        reasons.append(delta.get("finish_reason"))
    for reason in reasons:
        word = reason.get("type") if isinstance(reason, dict) else reason  # SGLang's own API
        if isinstance(word, str) and is_failure(word):
            told = read_error_object({"error": reason}) if isinstance(reason, dict) else ProviderError()
            has_words = told.message or word.lower() == "error"
            return told if has_words else ProviderError(message=word[:200])
    return None


def _find_bare_error(event: dict[str, Any]) -> ProviderError | None:
    """What says that something failed and holds nothing of an answer."""
    if any(event.get(name) for name in ("data", "embeddings", "usage")):
        return None
    has_code = (_is_failure(event.get("code")) or _number([event])) and any(
        isinstance(event.get(name), str) and event[name] for name in ("message", "msg", "title")
    )
    is_error = has_code or event.get("detail") or event.get("errors")
    return read_error_object(event) if is_error else None


def _is_failure(code: Any) -> bool:
    return type(code) in (int, str) and str(code).lower() not in _FINE


def _walk(value: Any, depth: int) -> Iterator[Any]:
    """The innermost first: `{"error": {…}}` says more inside than outside."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, list):
        for inner in value[:4]:
            yield from _walk(inner, depth + 1)
    elif isinstance(value, dict):
        for name in _NESTS:
            inner = value.get(name)
            if isinstance(inner, str) and inner.lstrip().startswith("{"):
                inner = _load(inner)
            if isinstance(inner, dict | list):
                yield from _walk(inner, depth + 1)
        yield value
    elif isinstance(value, str):
        yield {"message": value}


def _load(text: str) -> Any:
    """JSON in JSON, as relays of other servers' errors send it."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _message(item: dict[str, Any]) -> str:
    names = (*_MESSAGES, "error")
    found = next((item[name] for name in names if isinstance(item.get(name), str) and item[name].strip()), "")
    place = item.get("loc")  # FastAPI's list of what is wrong where
    return f"{'.'.join(map(str, place[:8]))}: {found}" if found and isinstance(place, list) else found


def _first(objects: list[Any], *names: str) -> str:
    values = (item.get(name) for item in objects for name in names)
    return next((str(value)[:200] for value in values if isinstance(value, str | int) and value != ""), "")
