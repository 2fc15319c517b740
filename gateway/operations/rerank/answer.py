"""Relevances: read tolerantly, written strictly, the greatest first."""

from collections.abc import Iterator
from math import isfinite, nan
from typing import Any

from gateway.answers.json_text import as_number, write_json
from gateway.answers.usage import estimate_input_tokens
from gateway.answers.whole import load_answer, nonsense
from gateway.calls import Call
from models_registry.providers.openai_compatible.usage import read_report, read_total
from usage.pricing import Usage

MAX_VALUES = 100_000
NAMES = ("results", "data")  # Cohere, Jina, vLLM; Voyage, and lists without a name (TEI)
SCORES = ("relevance_score", "score")


def read_answer(call: Call, raw: bytes) -> bytes:
    """The answer as the client gets it. Raises UpstreamError for what makes no sense."""
    answer = load_answer(call, raw, MAX_VALUES)
    call.output_tokens_seen = 0  # relevances are not written
    _note_usage(call, answer)
    scores = _read_scores(call, answer)
    call.note_first_token()
    best = sorted(scores, key=scores.__getitem__, reverse=True)[: call.body.get("top_n")]
    tokens = call.usage.total_input if call.usage is not None else 0
    tokens = tokens or estimate_input_tokens(call)  # as it will be billed
    return write_json(
        {
            "id": f"rerank-{call.request_id.hex}",
            "object": "list",
            "model": call.told_name,
            "results": [_result(call, index, scores[index]) for index in best],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "meta": {"api_version": {"version": "2"}, "tokens": {"input_tokens": tokens}},  # Cohere's
        }
    )


def _result(call: Call, index: int, score: float) -> dict[str, Any]:
    result: dict[str, Any] = {"index": index, "relevance_score": score}
    if call.body.get("return_documents"):
        document = call.body["documents"][index]
        result["document"] = {"text": document} if isinstance(document, str) else document
    return result


def _note_usage(call: Call, answer: dict[str, Any]) -> None:
    """All that a report counts is input, whatever it calls it."""
    usage = call.usage
    if usage is None:
        usage = next((one for report in _reports(answer) if (one := read_report(report))), None)
    total = usage.total_tokens if usage is not None else read_total(answer)
    if total and (usage is None or usage.total_output or call.usage is None):
        call.usage = Usage(total)
        call.is_usage_final = True


def _reports(answer: dict[str, Any]) -> Iterator[Any]:
    """Cohere's and SiliconFlow's places. Searches, which Cohere counts instead, are no class of ours: those
    calls are billed by their input.
    """
    meta = answer.get("meta")
    if isinstance(meta, dict):
        yield from (meta.get("billed_units"), meta.get("tokens"))
    yield answer.get("tokens")


def _read_scores(call: Call, answer: dict[str, Any]) -> dict[int, float]:
    """Of each document that was judged, by its place. Raises UpstreamError."""
    entries = next((answer[name] for name in NAMES if isinstance(answer.get(name), list)), None)
    if not entries or len(entries) > call.text_count:
        raise nonsense()
    scores: dict[int, float] = {}
    for entry in entries:
        place = as_number(entry.get("index")) if isinstance(entry, dict) else None
        if place is None or not 0 <= place < call.text_count or place in scores:
            raise nonsense()
        scores[place] = _read_score(entry)
    return scores


def _read_score(entry: dict[str, Any]) -> float:
    score = next((entry[name] for name in SCORES if name in entry), None)
    if not isinstance(score, int | float) or isinstance(score, bool):
        raise nonsense()
    try:
        number = float(score)
    except OverflowError:
        number = nan
    if not isfinite(number):
        raise nonsense()
    return number
