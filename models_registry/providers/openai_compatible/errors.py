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
    r"|(greater|less) than max_seq_len|inputs?`? (tokens )?\+ `?max_new_tokens|exceed max message tokens"
    r"|prompt 超长|input length exceeds",
    re.IGNORECASE,
)
# A connection's key that is wrong is not the caller's fault; Google's OpenAI door says it with status 400.
BAD_KEY = re.compile(
    r"(invalid|incorrect|missing|expired|wrong|no)[ _]api[ _-]?key"
    r"|api[ _-]?key[^.]{0,30}(invalid|incorrect|not valid|expired|missing)",
    re.IGNORECASE,
)
_MESSAGES = ("message", "msg", "detail", "error_msg", "error_message", "reason", "description", "title")
_NESTS = ("error", "errors", "detail", "message", "data", "body")


@dataclass(frozen=True, slots=True)
class ProviderError:
    """The reason of a refusal. Everything is text of the provider's: screen it before anybody sees it."""

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""

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
        return ProviderError() if text.startswith("<") else ProviderError(message=text[:MAX_TEXT])
    return read_error_object(body)


def read_error_object(body: Any) -> ProviderError:
    """The reason in JSON that was read already."""
    objects = list(_walk(body, 0))
    message = next((text for item in objects if (text := _message(item))), "")
    return ProviderError(
        message=message[:MAX_TEXT],
        code=_first(objects, "code"),
        kind=_first(objects, "type"),
        param=_first(objects, "param"),
    )


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


def _first(objects: list[Any], name: str) -> str:
    values = (item.get(name) for item in objects)
    return next((str(value)[:200] for value in values if isinstance(value, str | int) and value != ""), "")
