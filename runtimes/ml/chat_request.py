"""Parses the body of POST /v1/chat/completions once, into typed values.

Covers: model, messages (string contents and text parts), max_tokens, max_completion_tokens, temperature,
top_p, seed, stop, n, stream, stream_options, and vLLM's extension ignore_eos (go on until max_tokens, for
measuring).
What would need another answer than this server can give is refused: calls of tools that must be made,
answers in JSON, logprobs, logit_bias, penalties, images and audio in messages.
Does not cover: tools that may be called (no model here knows any) and every other field: they are ignored.
"""

from dataclasses import dataclass

from .api_errors import ApiError, invalid_value

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
MAX_STOP_STRINGS = 4  # OpenAI's limit
# field → the values under which it asks for nothing; with any other, what is not done would seem done
NOT_SERVED: dict[str, tuple[object, ...]] = {
    "tool_choice": ("auto", "none"),
    "function_call": ("auto", "none"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
}


@dataclass(frozen=True)
class ChatRequest:
    """What the caller asked for. None means: not named, the model's default holds."""

    model: str
    messages: tuple[dict[str, str], ...]
    max_tokens: int | None
    temperature: float | None
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    is_stream: bool
    includes_usage: bool
    ignores_end: bool


def parse_chat_request(body: object) -> ChatRequest:
    """The typed request. Raises ApiError (400) naming the field that is wrong."""
    if not isinstance(body, dict):
        raise ApiError(400, "The request body must be a JSON object.", code="invalid_value")
    if _read_integer(body, "n", 1, 128) not in (None, 1):
        raise ApiError(
            400, "This server gives one choice per request: n must be 1.", code="unsupported_value", param="n"
        )
    _refuse_what_is_not_served(body)
    is_stream = _read_flag(body, "stream")
    return ChatRequest(
        model=_read_model(body),
        messages=_read_messages(body),
        max_tokens=_read_max_tokens(body),
        temperature=_read_number(body, "temperature", 0, 2),
        top_p=_read_top_p(body),
        seed=_read_integer(body, "seed", -(2**63), 2**63 - 1),
        stop=_read_stop(body),
        is_stream=is_stream,
        includes_usage=_read_includes_usage(body, is_stream),
        ignores_end=_read_flag(body, "ignore_eos"),
    )


def _refuse_what_is_not_served(body: dict) -> None:
    for name, harmless in NOT_SERVED.items():
        value = body.get(name)
        if value is not None and value not in harmless:
            raise ApiError(
                400,
                f"This server cannot do what {name} asks for. Leave it out, or choose another model.",
                code="unsupported_value",
                param=name,
            )


def _read_model(body: dict) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid_value("model", "You must name a model: a non-empty string.")
    return model


def _read_messages(body: dict) -> tuple[dict[str, str], ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid_value("messages", "messages must be a non-empty array.")
    return tuple(_read_message(message, f"messages[{index}]") for index, message in enumerate(messages))


def _read_message(message: object, param: str) -> dict[str, str]:
    if not isinstance(message, dict):
        raise invalid_value(param, f"{param} must be an object with role and content.")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise invalid_value(f"{param}.role", f"{param}.role must be one of {', '.join(ROLES)}.")
    content = message.get("content")
    if content is None and role == "assistant":  # an assistant message that only called tools
        content = ""
    return {"role": ROLES[role], "content": _read_content(content, f"{param}.content")}


def _read_content(content: object, param: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid_value(param, f"{param} must be a string or an array of text parts.")
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise invalid_value(
                f"{param}[{index}]", f"{param}[{index}] must be a text part: this model reads text only."
            )
        texts.append(part["text"])
    return "".join(texts)


def _read_max_tokens(body: dict) -> int | None:
    newer = _read_integer(body, "max_completion_tokens", 1, 2**31 - 1)
    return newer if newer is not None else _read_integer(body, "max_tokens", 1, 2**31 - 1)


def _read_top_p(body: dict) -> float:
    top_p = _read_number(body, "top_p", 0, 1)
    if top_p == 0:
        raise invalid_value("top_p", "top_p must be above 0 and at most 1.")
    return 1.0 if top_p is None else top_p


def _read_stop(body: dict) -> tuple[str, ...]:
    stop = body.get("stop")
    if stop is None:
        return ()
    strings = [stop] if isinstance(stop, str) else stop
    if (
        not isinstance(strings, list)
        or len(strings) > MAX_STOP_STRINGS
        or not all(isinstance(string, str) and string for string in strings)
    ):
        raise invalid_value(
            "stop", f"stop must be a non-empty string or an array of at most {MAX_STOP_STRINGS} of them."
        )
    return tuple(strings)


def _read_includes_usage(body: dict, is_stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not is_stream:
        raise invalid_value("stream_options", "stream_options is allowed only when stream is true.")
    if not isinstance(options, dict):
        raise invalid_value("stream_options", "stream_options must be an object.")
    return _read_flag(options, "include_usage", "stream_options.include_usage")


def _read_flag(body: dict, name: str, param: str | None = None) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid_value(param or name, f"{param or name} must be true or false.")
    return bool(value)


def _read_integer(body: dict, name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise invalid_value(name, f"{name} must be an integer from {low} to {high}.")
    return value


def _read_number(body: dict, name: str, low: float, high: float) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    # NaN fails the comparison
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise invalid_value(name, f"{name} must be a number from {low} to {high}.")
    return float(value)
