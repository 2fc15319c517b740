"""What the mock's reranker says: the share of the question's words that stand in a document.

Model name: `mock-rerank`. Tokens: one for every word, the question's counted with each document, as servers
count that judge them in pairs. Answers come the most relevant first, with the documents, as vLLM sends them.
"""

from __future__ import annotations

from typing import Any


def is_reranker(model: str) -> bool:
    return model == "mock-rerank"


def _score(query: str, document: str) -> float:
    wanted = query.lower().split()
    held = set(document.lower().split())
    return round(sum(word in held for word in wanted) / len(wanted), 6)


def relevances_of(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    query, documents = body["query"], body["documents"]
    results = [
        {"index": index, "document": {"text": text}, "relevance_score": _score(query, text)}
        for index, text in enumerate(documents)
    ]
    results.sort(key=lambda one: one["relevance_score"], reverse=True)
    tokens = sum(len(query.split()) + len(text.split()) for text in documents)
    return {
        "id": "score-mock",
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "results": results[: body.get("top_n") or None],
    }
