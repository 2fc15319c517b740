"""Vectors: read tolerantly, written strictly, in the form that was asked for."""

import base64
import struct
from typing import Any

from django.utils.translation import gettext as _

from foundation.errors import InvalidInput
from gateway.answers.json_text import as_number, write_json
from gateway.answers.usage import estimate_input_tokens
from gateway.answers.whole import load_answer, nonsense
from gateway.calls import Call
from models_registry.providers.openai_compatible.usage import read_total
from usage.pricing import Usage

MAX_VALUES = 8_000_000  # 2,048 texts of 3,072 dimensions, and some room
FLOAT_BYTES = 4
ONE = "embedding"
NAMES = ("data", "embeddings", ONE)  # of what holds the vectors


def read_answer(call: Call, raw: bytes) -> bytes:
    """The answer as the client gets it. Raises UpstreamError for what makes no sense, InvalidInput for a
    length of vectors that the model cannot give.
    """
    answer = load_answer(call, raw, MAX_VALUES)
    call.output_tokens_seen = 0  # vectors are not written
    if call.usage is None and (total := read_total(answer)):
        call.note_usage(Usage(total))
    vectors = _read_vectors(answer)
    if len(vectors) != call.text_count:
        raise nonsense()
    call.note_first_token()
    wants_base64 = call.body.get("encoding_format") == "base64"
    try:
        written = [_in_form(vector, wants_base64) for vector in vectors]
    except (ValueError, TypeError, struct.error) as exc:
        raise nonsense() from exc
    _check_length(call, written[0])
    data = [
        {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(written)
    ]
    tokens = call.usage.total_input if call.usage is not None else 0
    tokens = tokens or estimate_input_tokens(call)  # as it will be billed
    result: dict[str, Any] = {
        "object": "list",
        "data": data,
        "model": call.route.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    try:
        return write_json(result)
    except ValueError as exc:
        raise nonsense() from exc


def _read_vectors(answer: dict[str, Any]) -> list[Any]:
    """In the order of the texts: servers that work in parallel may answer in another one."""
    name = next((name for name in NAMES if answer.get(name)), ONE)
    entries = answer.get(name)
    if isinstance(entries, dict) or (entries and name == ONE):  # without a list
        entries = [entries]
    if not isinstance(entries, list) or not entries:
        raise nonsense()
    if all(isinstance(entry, list | str) for entry in entries):
        return entries
    if not all(isinstance(entry, dict) for entry in entries):
        raise nonsense()
    places = [place for entry in entries if (place := as_number(entry.get("index"))) is not None]
    is_counted = any(places)  # some servers write 0 everywhere
    if is_counted and len(places) == len(entries):
        first = min(places)
        if first not in (0, 1) or sorted(places) != list(range(first, first + len(entries))):
            raise nonsense()
        order = sorted(range(len(entries)), key=places.__getitem__)
        entries = [entries[position] for position in order]
    return [entry.get("embedding") for entry in entries]


def _in_form(vector: Any, wants_base64: bool) -> str | list[float]:
    """Little-endian 32-bit floats in base64, or numbers. Raises ValueError, TypeError, struct.error."""
    if isinstance(vector, str):
        packed = base64.b64decode(vector + "=" * (-len(vector) % 4), validate=True)
        if not packed or len(packed) % FLOAT_BYTES:
            raise ValueError("no 32-bit floats")
        if wants_base64:
            return base64.b64encode(packed).decode()
        return list(struct.unpack(f"<{len(packed) // FLOAT_BYTES}f", packed))
    if isinstance(vector, list) and len(vector) == 1 and isinstance(vector[0], list | str):
        return _in_form(vector[0], wants_base64)  # llama.cpp's own API
    if not isinstance(vector, list) or not vector:
        raise ValueError("no vector")
    if wants_base64:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    if not all(isinstance(number, float | int) for number in vector):
        raise ValueError("no numbers")
    return vector


def _check_length(call: Call, vector: str | list[float]) -> None:
    """Some servers take `dimensions` and do as they like."""
    wanted = call.body.get("dimensions")
    if wanted is None:
        return
    size = len(base64.b64decode(vector)) // FLOAT_BYTES if isinstance(vector, str) else len(vector)
    if size != wanted:
        raise InvalidInput(
            _("This model gives vectors of %(size)s dimensions, and no others.") % {"size": size},
            param="dimensions",
        )
