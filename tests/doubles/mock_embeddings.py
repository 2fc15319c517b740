"""What the mock's embedding model says: for each text a unit vector that depends on the text alone.

Model names: `mock-embedding` (8 dimensions), `mock-embedding-<n>`. Tokens: one for every word, or every token
given. Answers come in the reverse order of the texts, as servers that work in parallel may send them.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from typing import Any

DIMENSIONS = 8


def find_dimensions(model: str) -> int | None:
    """None for a model that makes no vectors."""
    match = re.fullmatch(r"mock-embedding(?:-(\d+))?", model)
    return None if match is None else int(match[1] or DIMENSIONS)


def _texts(given: Any) -> list[Any]:
    is_one = isinstance(given, str) or (given and all(isinstance(token, int) for token in given))
    return [given] if is_one else given


def vector_of(text: Any, dimensions: int) -> list[float]:
    """32-bit floats, so that both forms say the same."""
    seed = hashlib.sha256(repr(text).encode()).digest()
    numbers = [seed[place % len(seed)] - 127.5 + place for place in range(dimensions)]
    length = math.sqrt(sum(number * number for number in numbers))
    packed = struct.pack(f"<{dimensions}f", *(number / length for number in numbers))
    return list(struct.unpack(f"<{dimensions}f", packed))


def embeddings_of(body: dict[str, Any], dimensions: int) -> dict[str, Any]:
    """The answer to one request."""
    texts = _texts(body["input"])
    wanted = body.get("dimensions") or dimensions
    data = []
    for index, text in enumerate(texts):
        vector: Any = vector_of(text, wanted)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{wanted}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(len(text.split()) if isinstance(text, str) else len(text) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}
