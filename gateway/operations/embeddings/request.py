"""A request for embeddings, checked, and as the candidate's provider takes it."""

from typing import Any

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.calls import Call
from gateway.operations.body import MODEL_TOKENS, check, check_range, missing, wrong
from models_registry.providers.openai_compatible import OpenAICompatible

MAX_TEXTS = 2_048
MAX_DIMENSIONS = 65_536
FORMATS = ("float", "base64")


def check_body(call: Call) -> None:
    """Check the fields of the body and note in the call how many texts it has. Raises InvalidInput."""
    body = call.body
    if body.get("input") is None:
        raise missing(body, "input", '["…"]', ("messages", "prompt", "texts"))
    if body.get("messages") is not None:  # vLLM may read them instead, with pictures to be fetched
        raise wrong("messages", _("is not allowed: “input” says what is read"))
    call.text_count = _count_texts(body["input"])
    check(body, "dimensions", int)
    check_range(body, "dimensions", 1, MAX_DIMENSIONS)
    check(body, "encoding_format", str)
    if body.get("encoding_format") not in (None, *FORMATS):
        raise wrong("encoding_format", _("must be one of %(formats)s") % {"formats": ", ".join(FORMATS)})
    check(body, MODEL_TOKENS, bool)


def _count_texts(texts: Any) -> int:
    """A text, a list of texts, a text as tokens, or a list of such. Raises InvalidInput."""
    if not isinstance(texts, str | list):
        raise wrong("input", _("must be a string, an array of strings, or arrays of tokens"), "invalid_type")
    if not texts:
        raise wrong("input", _("must not be empty"))
    if isinstance(texts, str) or _are_tokens(texts):
        _check_text(texts, "input")
        return 1
    if len(texts) > MAX_TEXTS:
        raise wrong("input", _("may hold at most %(limit)s texts") % {"limit": MAX_TEXTS})
    for position, text in enumerate(texts):
        _check_text(text, f"input[{position}]")
    return len(texts)


def _are_tokens(text: list[Any]) -> bool:
    return {int}.issuperset(map(type, text))  # of hundreds of thousands, without a step of Python for each


def _check_text(text: Any, name: str) -> None:
    if isinstance(text, str):
        is_fine = bool(text)
    elif isinstance(text, list):
        if not _are_tokens(text):
            raise wrong(name, _("must be a string or an array of tokens"), "invalid_type")
        is_fine = bool(text) and min(text) >= 0
    else:
        raise wrong(name, _("must be a string or an array of tokens"), "invalid_type")
    if not is_fine:
        raise wrong(name, _("must not be empty, and tokens are never negative"))


def write_body(call: Call) -> dict[str, Any]:
    """The request in OpenAI's shape. Raises InvalidInput for tokens that mean nothing to the model."""
    provider, body = call.candidate.provider, call.body
    if isinstance(body["input"], list) and not all(isinstance(text, str) for text in body["input"]):
        _check_tokens(provider, is_of_model=bool(body.get(MODEL_TOKENS)))
    written = {name: value for name, value in body.items() if value is not None and name != MODEL_TOKENS}
    if written.get("encoding_format") == "base64" and not provider.packs_vectors:
        del written["encoding_format"]  # the caller gets base64 of ours
    return written


def _check_tokens(provider: OpenAICompatible, *, is_of_model: bool) -> None:
    """Clients cut and count texts with OpenAI's tokenizer and send what it gave; another model reads other
    words in the same numbers.
    """
    if not provider.takes_tokens:
        raise InvalidInput(
            _(
                "The provider of this model takes texts, no arrays of tokens. Send “input” as text "
                "(LangChain: check_embedding_ctx_length=False)."
            ),
            param="input",
        )
    if provider.has_other_tokens and not is_of_model:
        raise InvalidInput(
            _(
                "“input” holds arrays of tokens, and this model's tokens are not those of OpenAI's models. "
                "Send “input” as text (LangChain: check_embedding_ctx_length=False), or “%(name)s”: true "
                "beside tokens of this model's own tokenizer."
            )
            % {"name": MODEL_TOKENS},
            param="input",
        )
