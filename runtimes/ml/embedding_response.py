"""The body of an answer of POST /v1/embeddings in OpenAI's shape."""

import base64
import json
from typing import TYPE_CHECKING

from .embedding_request import EmbeddingRequest

if TYPE_CHECKING:
    import numpy as np


def embedding_body(request: EmbeddingRequest, vectors: "np.ndarray", tokens: int) -> bytes:
    """`vectors` (inputs, dimensions) float32. base64 is that of the little-endian float32 bytes."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
            if request.is_base64
            else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": request.model, "usage": usage}
    return json.dumps(body, separators=(",", ":")).encode()
