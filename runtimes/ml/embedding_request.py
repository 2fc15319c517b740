"""Parses the body of POST /v1/embeddings once, into typed values.

Covers: model, input (a text, texts, one or many arrays of token ids), encoding_format, dimensions, and
`input_type` (`query` or `passage`, as several providers have it: what the texts are for).
Does not cover: every other field: they are ignored.
"""

from dataclasses import dataclass

from .api_errors import ApiError, invalid_value

MAX_INPUTS = 2_048  # OpenAI's limits: texts per request …
MAX_TOTAL_TOKENS = 300_000  # … and tokens of all of them
ENCODINGS = ("float", "base64")


@dataclass(frozen=True)
class EmbeddingRequest:
    """What the caller asked for. Exactly one of `texts` and `token_rows` holds the inputs."""

    model: str
    texts: tuple[str, ...]
    token_rows: tuple[tuple[int, ...], ...]
    is_base64: bool
    dimensions: int | None
    input_type: str | None


def parse_embedding_request(body: object) -> EmbeddingRequest:
    """The typed request. Raises ApiError (400) naming the field that is wrong."""
    if not isinstance(body, dict):
        raise ApiError(400, "The request body must be a JSON object.", code="invalid_value")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid_value("model", "You must name a model: a non-empty string.")
    encoding = body.get("encoding_format")
    if encoding is not None and encoding not in ENCODINGS:
        raise invalid_value("encoding_format", f"encoding_format must be one of {', '.join(ENCODINGS)}.")
    input_type = body.get("input_type")
    if input_type is not None and not isinstance(input_type, str):
        raise invalid_value("input_type", "input_type must be a string.")
    texts, token_rows = _read_input(body.get("input"))
    return EmbeddingRequest(
        model=model,
        texts=texts,
        token_rows=token_rows,
        is_base64=encoding == "base64",
        dimensions=_read_dimensions(body),
        input_type=input_type,
    )


def _read_input(value: object) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    if isinstance(value, str) or _is_tokens(value):
        value = [value]
    if not isinstance(value, list) or not value:
        raise invalid_value(
            "input", "input must be a string, an array of strings, or one or many arrays of token ids."
        )
    if len(value) > MAX_INPUTS:
        raise invalid_value(
            "input", f"input has {len(value)} entries; at most {MAX_INPUTS} are allowed in a request."
        )
    are_texts = isinstance(value[0], str)
    for index, entry in enumerate(value):
        if entry == "":
            raise invalid_value(f"input[{index}]", "input must not contain an empty string.")
        if not (isinstance(entry, str) if are_texts else _is_tokens(entry)):
            raise invalid_value(
                f"input[{index}]",
                "input must be strings, or non-empty arrays of token ids, not a mixture of them.",
            )
    return (tuple(value), ()) if are_texts else ((), tuple(tuple(row) for row in value))


def _is_tokens(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(token, int) and not isinstance(token, bool) for token in value)
    )


def _read_dimensions(body: dict) -> int | None:
    value = body.get("dimensions")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise invalid_value("dimensions", "dimensions must be an integer of at least 1.")
    return value
