"""How long to think, said in the way of the model's generation: a budget up to 4.5, its own judgement with an
effort from 4.6 on. Left out where Anthropic refuses it: beside a call that must be made, an answer that has
begun, and, with a budget, calls of tools that go on without a thought that it has signed.
"""

from itertools import groupby
from operator import itemgetter
from typing import Any

from models_registry.providers.anthropic.generations import (
    KNOWS_MOST_EFFORTS,
    TAKES_NO_BUDGET,
    THINKS,
    THINKS_BY_ITSELF,
    generation_of,
    may_rest,
)
from models_registry.providers.anthropic.turns import ASSISTANT, THOUGHTS

LEAST_BUDGET, MOST_BUDGET = 1_024, 32_000  # tokens of thought
SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.9, "max": 0.9}
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
USUAL = "high"  # the effort of Anthropic's own, where nobody names one
BY_BUDGET = ("low", "medium")  # the efforts for which a budget may speak; a larger one is the usual
ADAPTIVE = {
    "type": "adaptive",
    "display": "summarized",
}  # else newer models keep their thoughts to themselves


def write_thinking(body: dict[str, Any], written: dict[str, Any]) -> None:
    """By Anthropic's own field, where a caller knows it, or as much as `reasoning_effort` says."""
    effort, given = body.get("reasoning_effort"), body.get("thinking")
    if isinstance(given, dict):
        _write_given(body["model"], given, effort, written)
    elif effort is not None:
        is_forced = written.get("tool_choice", {}).get("type") in ("any", "tool")
        if effort == "none" or not (is_forced or written["messages"][-1]["role"] == ASSISTANT):
            _write_effort(body["model"], effort, written)
    is_by_budget = written.get("thinking", {}).get("type") == "enabled"
    if is_by_budget and goes_on_thoughtless(written["messages"]):
        del written["thinking"]


def thinks(written: dict[str, Any]) -> bool:
    return written.get("thinking", {}).get("type") in ("enabled", "adaptive")


def goes_on_thoughtless(turns: list[dict[str, Any]]) -> bool:
    """Whether the answer goes on behind calls of tools before which nothing was thought. What a user says
    beside results begins no answer anew, unless calls follow on it.
    """
    is_open = False
    for role, group in groupby(reversed(turns), key=itemgetter("role")):
        kinds = {kind for turn in group for kind in _kinds_of(turn)}
        if role == ASSISTANT:
            if not kinds.isdisjoint(THOUGHTS):
                return False
        elif "tool_result" not in kinds or (is_open and kinds != {"tool_result"}):
            return is_open
        else:
            is_open = True
    return is_open


def _kinds_of(turn: dict[str, Any]) -> set[str]:
    content = turn["content"]
    return {"text"} if isinstance(content, str) else {block["type"] for block in content}


def _write_given(model: str, given: dict[str, Any], effort: Any, written: dict[str, Any]) -> None:
    """Anthropic's field as it was written, or what says the same to a model of another generation."""
    generation, kind, limit = generation_of(model), given.get("type"), written.get("max_tokens")
    effort = effort if effort in EFFORTS else None
    if generation < THINKS:
        return
    if kind == "adaptive" and generation < THINKS_BY_ITSELF:
        _write_effort(model, effort or USUAL, written)
    elif kind == "enabled" and generation >= TAKES_NO_BUDGET:
        display = {"display": given["display"]} if "display" in given else {}
        written["thinking"] = {**ADAPTIVE, **display}
        effort = effort or _effort_of(given.get("budget_tokens"), limit)
    elif kind == "disabled" and not may_rest(model):
        effort = effort or "low"
    else:
        written |= _fit(given, limit)
    if effort is not None and generation >= THINKS_BY_ITSELF:
        _set_effort(model, effort, written)


def _effort_of(budget: Any, limit: int | None) -> str | None:
    if type(budget) is not int or not limit:
        return None
    return next((name for name in BY_BUDGET if budget <= limit * SHARES[name]), USUAL)


def _fit(given: dict[str, Any], limit: int | None) -> dict[str, Any]:
    """With its budget below the bound of the answer, which may be ours."""
    budget = given.get("budget_tokens")
    if given.get("type") != "enabled" or type(budget) is not int or limit is None or budget < limit:
        return {"thinking": given}
    return {"thinking": {**given, "budget_tokens": limit - 1}} if limit > LEAST_BUDGET else {}


def _write_effort(model: str, effort: str, written: dict[str, Any]) -> None:
    generation, limit = generation_of(model), written.get("max_tokens") or 0
    if generation < THINKS:
        return
    if generation >= THINKS_BY_ITSELF:
        if effort != "none":
            written["thinking"] = dict(ADAPTIVE)
        elif may_rest(model):
            written["thinking"] = {"type": "disabled"}
            return
        _set_effort(model, "low" if effort == "none" else effort, written)
    elif effort in SHARES and limit > LEAST_BUDGET:
        budget = min(max(int(limit * SHARES[effort]), LEAST_BUDGET), MOST_BUDGET)
        written["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _set_effort(model: str, effort: str, written: dict[str, Any]) -> None:
    if effort == "xhigh" and generation_of(model) < KNOWS_MOST_EFFORTS:
        effort = "high"
    if (name := EFFORTS.get(effort)) is not None:
        written["output_config"] = {**written.get("output_config", {}), "effort": name}
