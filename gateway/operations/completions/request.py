"""A request to continue texts, checked, and as the candidate's provider takes it."""

from typing import Any

from django.utils.translation import gettext_noop

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.calls import Call
from gateway.operations.body import MODEL_TOKENS, check, check_range, missing, wrong
from gateway.operations.chat_completions.answer import MAX_CHOICES
from gateway.operations.chat_completions.request import (
    OTHER_LENGTHS,
    check_length,
    check_stream,
    refuse_fields,
)

MAX_LOGPROBS = 20  # vLLM's bound; OpenAI's is 5
LENGTHS = (*OTHER_LENGTHS, "max_completion_tokens")


def check_body(call: Call) -> None:
    """Check the fields of the body, and note in the call how many prompts it has and how many answers are
    made. Raises InvalidInput.
    """
    body = call.body
    refuse_fields(body, LENGTHS, gettext_noop("is not allowed: “max_tokens” bounds the answer"))
    if body.get("prompt") is None:
        raise missing(body, "prompt", '"…"', ("messages", "input"))
    call.text_count = _count_prompts(body["prompt"])
    check_length(body, "max_tokens", least=0 if body.get("echo") is True else 1)
    check_range(body, "temperature", 0, 2)
    check_range(body, "top_p", 0, 1)
    check(body, "suffix", str)
    check(body, "echo", bool)
    check(body, MODEL_TOKENS, bool)
    check(body, "logprobs", int)
    check_range(body, "logprobs", 0, MAX_LOGPROBS)
    check_stream(call)
    call.answer_count = call.text_count * _count_answers(call)
    if call.answer_count > MAX_CHOICES:
        name = "n" if call.text_count <= MAX_CHOICES else "prompt"
        raise wrong(name, _("asks for more than %(limit)s answers") % {"limit": MAX_CHOICES})


def _count_answers(call: Call) -> int:
    """To each prompt. Of `best_of` all are written and paid for, and `n` of them come."""
    body = call.body
    refuse_fields(body, ("n_cmpl",), gettext_noop("is not allowed: “n” says how many answers are given"))
    for name in ("n", "best_of"):
        check(body, name, int)
        check_range(body, name, 1, MAX_CHOICES)
    count, best_of = body.get("n") or 1, body.get("best_of") or 1
    if body.get("best_of") is not None and best_of < count:
        raise wrong("best_of", _("must be at least “n”"))
    if best_of > count and call.wants_stream:
        raise wrong("best_of", _("is not allowed with “stream”: true: the best is known at the end"))
    return max(count, best_of)


def _count_prompts(prompt: Any) -> int:
    """A text, a list of texts, a text as tokens, or a list of such. Raises InvalidInput."""
    if not isinstance(prompt, str | list):
        raise wrong("prompt", _("must be a string, an array of strings, or arrays of tokens"), "invalid_type")
    if not prompt:
        raise wrong("prompt", _("must not be empty"))
    if isinstance(prompt, str) or _are_tokens(prompt):
        return 1
    for position, text in enumerate(prompt):
        name = f"prompt[{position}]"
        if not isinstance(text, str) and not (isinstance(text, list) and _are_tokens(text)):
            raise wrong(name, _("must be a string or an array of tokens"), "invalid_type")
        if not text:
            raise wrong(name, _("must not be empty"))
    return len(prompt)


def _are_tokens(text: list[Any]) -> bool:
    return {int}.issuperset(map(type, text)) and min(text, default=0) >= 0


def write_body(call: Call, *, asks_for_usage: bool) -> dict[str, Any]:
    """The request in OpenAI's shape, its answers bounded. Raises InvalidInput for tokens that mean nothing to
    the model.
    """
    prompt = call.body["prompt"]
    if isinstance(prompt, list) and not all(isinstance(text, str) for text in prompt):
        _check_tokens(call)
    body = {name: value for name, value in call.body.items() if value is not None and name != MODEL_TOKENS}
    body["max_tokens"] = call.max_output_tokens
    if call.wants_stream:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        if not asks_for_usage:
            del body["stream_options"]
    return body


def _check_tokens(call: Call) -> None:
    provider = call.candidate.provider
    if not provider.takes_tokens:
        raise InvalidInput(
            _("The provider of this model takes texts, no arrays of tokens. Send “prompt” as text."),
            param="prompt",
        )
    if provider.has_other_tokens and not call.body.get(MODEL_TOKENS):
        raise InvalidInput(
            _(
                "“prompt” holds arrays of tokens, and this model's tokens are not those of OpenAI's models. "
                "Send “prompt” as text, or “%(name)s”: true beside tokens of this model's own tokenizer."
            )
            % {"name": MODEL_TOKENS},
            param="prompt",
        )
