"""How an answer's documents were looked for, as its parts keep it: places and figures, no text of theirs."""

from decimal import Decimal
from typing import Any

from prompts.models import Part
from prompts.passages import Passages
from rag.context import Excerpt, excerpt_of
from rag.engines import Hit
from rag.searching import Found
from tenants.data_policy import strictest

SEARCH = "search"  # the name of the step


def tell_steps(
    policy: str, found: Found | None, passages: Passages, hits: list[Hit]
) -> list[tuple[Part.Kind, dict[str, Any]]]:
    """What was looked for, and what came of it: first what the model is given, then what was left out."""
    trace = found.trace if found else None
    listed = [{"number": one, **_told(excerpt)} for one, excerpt in passages.excerpts.items()]
    given = {(str(one.document_id), one.char_from) for one in passages.excerpts.values()}
    left_out = [excerpt_of(hit) for hit in hits if (str(hit.document_id), hit.char_from) not in given]
    listed += [{"number": None, **_told(excerpt), "is_given": False} for excerpt in left_out]
    call: dict[str, Any] = {"name": SEARCH, "question": trace.question if trace else ""}
    result: dict[str, Any] = {"name": SEARCH, "passages": listed, "policy": policy}
    if trace is not None:
        call["collections"] = [str(pk) for pk in trace.collections]
        result |= {
            "policy": strictest(policy, trace.policy),
            "leg": trace.leg,
            "gaps": [{"why": gap.why, "model": gap.model} for gap in trace.gaps],
            "closed": len(trace.closed),
            "ms": {"embedding": trace.embedding_ms, "search": trace.search_ms},
            "cost": str(trace.cost) if trace.cost != Decimal(0) else "",
            "currency": trace.currency,
        }
    return [(Part.Kind.TOOL_CALL, call), (Part.Kind.TOOL_RESULT, result)]


def _told(excerpt: Excerpt) -> dict[str, Any]:
    return {
        **excerpt.reference,
        "is_given": True,
        "is_cut": excerpt.is_cut,
        "score": _rounded(excerpt.score),
        "word_score": _rounded(excerpt.word_score),
        "similarity": _rounded(excerpt.similarity),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
