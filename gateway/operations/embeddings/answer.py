"""Vectors: read tolerantly, written strictly, in the form that was asked for."""

import base64
import struct
from math import isfinite
from typing import Any

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.answers.json_text import as_number, write_json
from gateway.answers.usage import estimate_input_tokens
from gateway.answers.whole import load_answer, nonsense
from gateway.calls import Call
from models_registry.providers.openai_compatible.usage import read_total
from usage.pricing import Usage

MAX_VALUES = 8_000_000  # 2,048 texts of 3,072 dimensions, and some room
FLOAT_BYTES = 4
NUMBERS = {float, int}
ONE = "embedding"
NAMES = ("data", "embeddings", ONE)  # of what holds the vectors


def read_answer(call: Call, raw: bytes) -> bytes:
    """The answer as the client gets it. Raises UpstreamError for what makes no sense, InvalidInput for a
    length of vectors that the model cannot give.
    """
    answer = load_answer(call, raw, int(MAX_VALUES * call.place.share))
    call.output_tokens_seen = 0  # vectors are not written
    if call.usage is None and (total := read_total(answer)):
        call.note_usage(Usage(total))
    vectors = _read_vectors(answer)
    if len(vectors) != call.text_count:
        raise nonsense()
    call.note_first_token()
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(_in_form(call, vectors), call.place.first)
    ]
    tokens = call.usage.total_input if call.usage is not None else 0
    tokens = tokens or estimate_input_tokens(call)  # as it will be billed
    result: dict[str, Any] = {
        "object": "list",
        "data": data,
        "model": call.told_name,
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


def _in_form(call: Call, vectors: list[Any]) -> list[Any]:
    """All in base64, or as numbers. Raises UpstreamError, InvalidInput."""
    vectors = [_unwrap(vector) for vector in vectors]
    try:
        packed = [_pack(vector) for vector in vectors]
    except (ValueError, TypeError, OverflowError, struct.error) as exc:
        raise nonsense() from exc
    size = len(packed[0])
    if any(len(one) != size for one in packed):
        raise nonsense()
    _check_length(call, size // FLOAT_BYTES)
    if call.body.get("encoding_format") == "base64":
        return [base64.b64encode(one).decode() for one in packed]
    form = f"<{size // FLOAT_BYTES}f"
    return [
        list(struct.unpack(form, one)) if isinstance(vector, str) else vector
        for vector, one in zip(vectors, packed, strict=True)
    ]


def _unwrap(vector: Any) -> Any:
    """llama.cpp's own API puts each vector into a list."""
    is_wrapped = isinstance(vector, list) and len(vector) == 1 and isinstance(vector[0], list | str)
    return vector[0] if is_wrapped else vector


def _pack(vector: Any) -> bytes:
    """Little-endian 32-bit floats, of a list or out of base64; at least one, and all of them finite. Raises
    ValueError, TypeError, OverflowError, struct.error.
    """
    if isinstance(vector, str):
        packed = base64.b64decode(vector + "=" * (-len(vector) % 4), validate=True)
        numbers: Any = struct.unpack(f"<{len(packed) // FLOAT_BYTES}f", packed)
    elif isinstance(vector, list) and NUMBERS.issuperset(map(type, vector)):
        packed, numbers = struct.pack(f"<{len(vector)}f", *vector), vector
    else:
        raise ValueError("no vector")
    # no sum of so few numbers of 32 bits leaves the range of 64: it is finite where each of them is
    if not packed or not isfinite(sum(numbers)):
        raise ValueError("no finite numbers")
    return packed


def _check_length(call: Call, size: int) -> None:
    """Some servers take `dimensions` and do as they like."""
    wanted = call.body.get("dimensions")
    if wanted is not None and size != wanted:
        raise InvalidInput(
            _("This model gives vectors of %(size)s dimensions, and no others.") % {"size": size},
            param="dimensions",
        )
