"""What servers say of the tokens they counted: one set of numbers under many names, in many places.

Whether a part (cached, reasoning) stands inside its whole or beside it is told by arithmetic, by which sum
equals the total, never by the provider's name.
"""

import re
from collections.abc import Iterator
from typing import Any

from usage.pricing import Usage

MOST_PLAUSIBLE_TOKENS = 10_000_000
DIGITS = re.compile(r"-?[0-9]{1,12}")
MOST_CHOICES = 16  # of one event that are looked through for a report

_PROMPT = ("prompt_tokens", "input_tokens", "prompt_eval_count", "prompt_token_count", "promptTokenCount")
_COMPLETION = (
    "completion_tokens",
    "output_tokens",
    "eval_count",
    "candidates_token_count",
    "candidatesTokenCount",
    "generated_tokens",
)
_TOTAL = ("total_tokens", "total_token_count", "totalTokenCount")
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details", "completion_token_details")
_CACHED_INSIDE = ("cached_tokens", "cache_read_tokens", "cached_input_tokens")  # among the details
_CACHED = (
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_tokens",  # Moonshot, Groq
    "num_cached_tokens",
    "prompt_cached_tokens",
    "cache_read_input_tokens",  # Anthropic
    "cachedContentTokenCount",
    "cached_content_token_count",
)
_CACHE_WRITES = (  # OpenRouter, LiteLLM, Qwen; Anthropic
    "cache_write_tokens",
    "cache_creation_tokens",
    "cache_creation_input_tokens",
)
# What tools that run at the provider gave the model to read: Google counts it beside the prompt.
_TOOL_USE = ("tool_use_prompt_tokens", "tool_use_prompt_token_count", "toolUsePromptTokenCount")
# How OpenAI writes it.
_USUAL = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)
_USUAL_OF_PROMPT = frozenset({"cached_tokens", "audio_tokens"})
_USUAL_OF_COMPLETION = frozenset(
    {"reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"}
)
_SOUND = ("audio_tokens",)
_REASONING = ("reasoning_tokens", "thoughts_token_count", "thoughtsTokenCount", "thinking_tokens")


def read_usage(answer: dict[str, Any]) -> Usage | None:
    """The report of an answer or event, in disjoint classes; None where none can be true. Where several
    stand there, the largest counts: reports grow with the answer; of equal ones that which breaks it down.
    """
    found = [usage for report in _find_reports(answer) if (usage := read_report(report)) is not None]
    return max(found, key=_weight) if len(found) > 1 else found[0] if found else None


def _weight(usage: Usage) -> tuple[int, int]:
    whole = usage.quantities.get("input", 0) + usage.quantities.get("output", 0)
    return usage.total_tokens, -whole


def read_total(answer: dict[str, Any]) -> int:
    """The one number of a report that tells nothing else, as for vectors; 0 without a credible one."""
    reported = answer.get("usage")
    total = _find(reported, _TOTAL) if isinstance(reported, dict) else None
    return total if total is not None and 0 < total <= MOST_PLAUSIBLE_TOKENS else 0


def counts_nothing(answer: dict[str, Any]) -> bool:
    """Whether a report says that no token was read and none written."""
    reported = answer.get("usage")
    return isinstance(reported, dict) and _find(reported, _PROMPT) == _find(reported, _COMPLETION) == 0


def _find_reports(answer: dict[str, Any]) -> Iterator[Any]:
    yield answer.get("usage")
    for name in ("x_groq", "message", "response", "usage_metadata", "usageMetadata"):
        inner = answer.get(name)
        if isinstance(inner, dict):
            yield inner.get("usage", inner if name.startswith("usage") else None)
    choices = answer.get("choices")
    if isinstance(choices, list):  # Moonshot
        yield from (choice.get("usage") for choice in choices[:MOST_CHOICES] if isinstance(choice, dict))
    if "prompt_eval_count" in answer or "eval_count" in answer:  # Ollama's own API
        yield answer
    yield _read_timings(answer.get("timings"))


def _read_timings(timings: Any) -> dict[str, Any] | None:
    """llama.cpp's: `prompt_n` without what came from its cache."""
    if not isinstance(timings, dict):
        return None
    fresh, cached = _number(timings.get("prompt_n")), _number(timings.get("cache_n")) or 0
    if fresh is None:
        return None
    report = {"prompt_tokens": fresh + cached, "completion_tokens": timings.get("predicted_n")}
    return {**report, "cached_tokens": cached}


def read_report(reported: Any) -> Usage | None:
    """One report in disjoint classes, or None if it is missing or cannot be true."""
    if not isinstance(reported, dict):
        return None
    if (usage := _read_usual(reported)) is not None:
        return usage
    prompt, completion = _find(reported, _PROMPT), _find(reported, _COMPLETION)
    cached, reasoning = _cached(reported), _reasoning(reported)
    total = _find(reported, _TOTAL)
    if prompt is None:
        prompt = _sum_of_cache(reported)
    if prompt is None and completion is None:
        return None
    prompt, completion = prompt or 0, completion or 0
    kept, tool_use = _written(reported), max(0, _find(reported, _TOOL_USE) or 0)
    parts = (prompt, completion, cached, reasoning, kept, tool_use)
    if not all(0 <= part <= MOST_PLAUSIBLE_TOKENS for part in parts):
        return None
    if total is None or prompt + completion + tool_use <= total:
        prompt += tool_use
    if _is_anthropics(reported):
        prompt += cached + kept
    else:
        prompt += _beside(prompt, (completion, completion + reasoning), cached, kept, total)
    if cached > prompt or not prompt + completion:
        return None
    completion, reasoning = _with_reasoning(prompt, completion, reasoning, total)
    fresh, written = prompt - cached, completion - reasoning
    cache_write = min(kept, fresh)
    input_audio = _sound(reported, _PROMPT_DETAILS, most=fresh - cache_write)
    output_audio = _sound(reported, _COMPLETION_DETAILS, most=written)
    return Usage(
        fresh - cache_write - input_audio,
        cached,
        written - output_audio,
        reasoning,
        cache_write=cache_write,
        input_audio=input_audio,
        output_audio=output_audio,
    )


def _sound(reported: dict[str, Any], details: tuple[str, ...], *, most: int) -> int:
    """The part of the input or of the output that is sound."""
    return max(0, min(_detail(reported, details, _SOUND) or 0, most))


def _read_usual(reported: dict[str, Any]) -> Usage | None:
    """A report as OpenAI writes it, in which everything agrees; None for any other, which is not so fast to
    read.
    """
    if not reported.keys() <= _USUAL:
        return None
    prompt, completion = reported.get("prompt_tokens"), reported.get("completion_tokens")
    total = reported.get("total_tokens")
    if not (type(prompt) is type(completion) is type(total) is int):
        return None
    if not (prompt >= 0 <= completion and 0 < prompt + completion == total <= MOST_PLAUSIBLE_TOKENS):
        return None
    cached = _read_part(reported.get("prompt_tokens_details"), "cached_tokens", _USUAL_OF_PROMPT)
    reasoning = _read_part(
        reported.get("completion_tokens_details"), "reasoning_tokens", _USUAL_OF_COMPLETION
    )
    if not (0 <= cached <= prompt and 0 <= reasoning <= completion):
        return None
    return Usage(prompt - cached, cached, completion - reasoning, reasoning)


def _read_part(details: Any, name: str, usual: frozenset[str]) -> int:
    """How much of a whole is said to be of this part; -1 where anything else may be said, too."""
    if details is None:
        return 0
    if type(details) is not dict or details.get("audio_tokens") or not details.keys() <= usual:
        return -1
    part = details.get(name)
    return 0 if part is None else part if type(part) is int else -1


def _is_anthropics(reported: dict[str, Any]) -> bool:
    """Whether it has the names by which Anthropic counts what it read from and wrote to its cache beside."""
    is_named = "cache_read_input_tokens" in reported or bool(_find(reported, _CACHE_WRITES))
    return is_named and "prompt_tokens" not in reported


def _beside(prompt: int, written: tuple[int, ...], cached: int, kept: int, total: int | None) -> int:
    """What was read from the cache or written to it and is not counted in the prompt: as the total says, else
    what is more than the prompt. The two never overlap. `written`: what the answer may have by this report.
    """
    if total is not None:
        for inside, beside in ((cached + kept, 0), (0, cached + kept), (kept, cached), (cached, kept)):
            if inside <= prompt and total - prompt - beside in written:
                return beside
    if cached > prompt:
        return cached + kept
    return kept if cached + kept > prompt else 0


def _with_reasoning(prompt: int, completion: int, reasoning: int, total: int | None) -> tuple[int, int]:
    """All that was written, and how much of it is reasoning: some count that beside the completion instead of
    inside it, or tell of it in the total alone. Where the total is all that is told, it is no reasoning.
    """
    if reasoning > completion:
        completion += reasoning
    if total is None or not prompt + completion < total <= MOST_PLAUSIBLE_TOKENS:
        return completion, reasoning
    hidden = total - prompt - completion if completion else 0
    return total - prompt, reasoning or hidden


def _cached(reported: dict[str, Any]) -> int:
    return _detail(reported, _PROMPT_DETAILS, _CACHED_INSIDE) or _find(reported, _CACHED) or 0


def _reasoning(reported: dict[str, Any]) -> int:
    return _detail(reported, _COMPLETION_DETAILS, _REASONING) or _find(reported, _REASONING) or 0


def _written(reported: dict[str, Any]) -> int:
    """What was written to the provider's cache, which may cost more than input."""
    return max(0, _detail(reported, _PROMPT_DETAILS, _CACHE_WRITES) or _find(reported, _CACHE_WRITES) or 0)


def _sum_of_cache(reported: dict[str, Any]) -> int | None:
    hit, miss = (_number(reported.get(f"prompt_cache_{name}_tokens")) for name in ("hit", "miss"))
    return None if hit is None or miss is None else hit + miss


def _detail(reported: dict[str, Any], groups: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    for group in groups:
        if isinstance(details := reported.get(group), dict):
            return _find(details, names)
    return None


def _find(reported: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of the names that holds a number."""
    for name in names:  # no generator: it is asked a dozen times for each report
        if (number := _number(reported.get(name))) is not None:
            return number
    return None


def _number(value: Any) -> int | None:
    """Whole numbers, also as 12.0 and "12"; one that cannot be true is kept, and none is made of it."""
    if isinstance(value, str):
        return int(value) if DIGITS.fullmatch(value) else None
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None
