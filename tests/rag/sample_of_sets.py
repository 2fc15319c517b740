"""The sample of the development sets that `make test` searches: passages, questions, and their vectors in
half precision, so that no model is needed. `python -m bench.rag_quality --sets … --sample tests/rag/sample`
makes it.
"""

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

from tests.rag.measure import DIMENSIONS

FOLDER = Path(__file__).parent / "sample"
KEY_BYTES = 8
_vector = struct.Struct(f"<{DIMENSIONS}e")


def key_of(text: str, kind: str) -> bytes:
    return hashlib.sha256(f"{kind}: {text}".encode()).digest()[:KEY_BYTES]


def write_vectors(path: Path, vectors: dict[bytes, Sequence[float]]) -> None:
    path.write_bytes(b"".join(key + _vector.pack(*vector) for key, vector in sorted(vectors.items())))


class StoredVectors:
    """Vectors by text, as an embedder gives them."""

    def __init__(self, path: Path) -> None:
        data, size = path.read_bytes(), KEY_BYTES + _vector.size
        self.by_key: dict[bytes, Sequence[float]] = {
            data[at : at + KEY_BYTES]: _vector.unpack_from(data, at + KEY_BYTES)
            for at in range(0, len(data), size)
        }

    def __call__(self, texts: Sequence[str], kind: str) -> list[tuple[float, ...]]:
        """Raises KeyError for a text that the sample does not hold: passages are cut in another way than when
        it was made, so make it again.
        """
        return [self.by_key[key_of(text, kind)] for text in texts]
