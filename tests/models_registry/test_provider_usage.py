"""What servers report of the tokens they counted, in every dialect seen."""

import pytest

from models_registry.providers.openai_compatible.usage import read_report, read_usage
from usage.pricing import Usage


@pytest.mark.parametrize("details", [[1], "many", 7, None, {}])
def test_details_of_a_usage_report_may_be_nonsense(details):
    usage = read_report(
        {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "prompt_tokens_details": details,
            "completion_tokens_details": details,
        }
    )
    assert usage is not None and (usage.input_tokens, usage.output_tokens) == (3, 2)


def report(prompt: int, completion: int, total: int | None, reasoning: int = 0, cached: int = 0) -> dict:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (report(10, 8, 18, reasoning=5), (10, 0, 3, 5)),  # OpenAI: inside the completion
        (
            report(10_120, 1_499, 14_428, reasoning=2_809, cached=128),
            (9_992, 128, 1_499, 2_809),
        ),  # xAI: beside
        (report(100, 3_000, 5_909, reasoning=2_809), (100, 0, 3_000, 2_809)),
        (report(100, 5, None, reasoning=7), (100, 0, 5, 7)),
        (report(1_000, 50, 4_050), (1_000, 0, 50, 3_000)),  # Gemini: in the total alone
        (report(100, 10, 610), (100, 0, 10, 500)),
        (report(10, 8, 5), (10, 0, 8, 0)),  # a total that is too small says nothing
        (report(10, 8, 10**12), (10, 0, 8, 0)),
        (report(0, 0, 0), None),
    ],
)
def test_reasoning_counts_wherever_a_provider_puts_it(reported, expected):
    usage = read_report(reported)
    found = usage and (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens)
    assert found == expected


DIALECTS = {
    "DeepSeek": (
        {"usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14,
                   "prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 3}},
        (3, 7, 4, 0),
    ),
    "cache alone": (
        {"usage": {"prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 3, "completion_tokens": 4}},
        (3, 7, 4, 0),
    ),
    "Moonshot": (
        {"choices": [{"usage": {"prompt_tokens": 5, "completion_tokens": 45, "cached_tokens": 2}}]},
        (3, 2, 45, 0),
    ),
    "Groq": ({"x_groq": {"id": "x", "usage": {"prompt_tokens": 5, "completion_tokens": 45}}}, (5, 0, 45, 0)),
    "Responses": (
        {"response": {"usage": {"input_tokens": 9, "output_tokens": 8,
                                "input_tokens_details": {"cached_tokens": 4},
                                "output_tokens_details": {"reasoning_tokens": 3}}}},
        (5, 4, 5, 3),
    ),
    "Anthropic": (
        {"usage": {"input_tokens": 5, "output_tokens": 8, "cache_read_input_tokens": 100,
                   "cache_creation_input_tokens": 20}},
        (25, 100, 8, 0),
    ),
    "Ollama": ({"done": True, "prompt_eval_count": 12, "eval_count": 30}, (12, 0, 30, 0)),
    "llama.cpp": ({"choices": [], "timings": {"prompt_n": 3, "cache_n": 9, "predicted_n": 4}}, (3, 9, 4, 0)),
    "Google": (
        {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 20,
                           "totalTokenCount": 35, "cachedContentTokenCount": 4}},
        (6, 4, 5, 20),
    ),
    "whole numbers with a point": ({"usage": {"prompt_tokens": 3.0, "completion_tokens": 2.0}}, (3, 0, 2, 0)),
    "cached beside": (
        {"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 12, "cached_tokens": 7}},
        (3, 7, 2, 0),
    ),
    "the later of two": (
        {"usage": {"prompt_tokens": 3, "completion_tokens": 2},
         "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 9}}},
        (3, 0, 9, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_a_report_is_found_and_understood(name):
    answer, (fresh, cached, output, reasoning) = DIALECTS[name]
    usage = read_usage(answer)
    assert usage is not None
    found = (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens)
    assert found == (fresh, cached, output, reasoning)


def cache_report(prompt: int, total: int | None, written: int, read: int = 0, **more) -> dict:
    """With Anthropic's names beside OpenAI's, as gateways send them; ten tokens were written."""
    counts = {"prompt_tokens": prompt, "completion_tokens": 10, "total_tokens": total}
    return counts | {"cache_creation_input_tokens": written, "cache_read_input_tokens": read} | more


READ_5000 = {"prompt_tokens_details": {"cached_tokens": 5_000}}


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (cache_report(100, 7_110, 2_000, 5_000, **READ_5000), Usage(100, 5_000, 10, cache_write=2_000)),
        (cache_report(5_100, 7_110, 2_000, 5_000), Usage(100, 5_000, 10, cache_write=2_000)),
        (cache_report(2_100, 7_110, 2_000, 5_000), Usage(100, 5_000, 10, cache_write=2_000)),
        (cache_report(7_100, 7_110, 2_000, 5_000), Usage(100, 5_000, 10, cache_write=2_000)),
        (cache_report(7_100, None, 2_000, 5_000), Usage(100, 5_000, 10, cache_write=2_000)),
        # a total that forgot them
        (cache_report(100, 110, 2_000), Usage(100, 0, 10, cache_write=2_000)),
        (cache_report(100, 110, 2_000, 5_000), Usage(100, 5_000, 10, cache_write=2_000)),
        (cache_report(100, 110, 50, 5_000), Usage(100, 5_000, 10, cache_write=50)),
        (cache_report(5_100, 5_110, 2_000, 5_000), Usage(100, 5_000, 10, cache_write=2_000)),
        (cache_report(100, None, 2_000), Usage(100, 0, 10, cache_write=2_000)),
        # OpenAI's other door: both inside
        (
            {
                "input_tokens": 2_600,
                "output_tokens": 10,
                "total_tokens": 2_610,
                "input_tokens_details": {"cached_tokens": 2_000, "cache_write_tokens": 400},
            },
            Usage(200, 2_000, 10, cache_write=400),
        ),
    ],
)
def test_the_cache_counts_once_inside_the_prompt_or_beside_it(reported, expected):
    assert read_report(reported) == expected


TOOL_USE = {"prompt_tokens": 100, "completion_tokens": 10, "tool_use_prompt_tokens": 3_000}


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (TOOL_USE | {"total_tokens": 3_110}, Usage(3_100, 0, 10)),
        (TOOL_USE, Usage(3_100, 0, 10)),
        (TOOL_USE | {"total_tokens": 3_610}, Usage(3_100, 0, 10, 500)),  # the rest is reasoning
        (TOOL_USE | {"prompt_tokens": 3_100, "total_tokens": 3_110}, Usage(3_100, 0, 10)),  # inside already
        (TOOL_USE | {"total_tokens": 3_110, "tool_use_prompt_tokens": -5}, Usage(100, 0, 10, 3_000)),
        (
            {
                "promptTokenCount": 80,
                "toolUsePromptTokenCount": 237,
                "candidatesTokenCount": 173,
                "thoughtsTokenCount": 60,
                "totalTokenCount": 550,
            },
            Usage(317, 0, 173, 60),
        ),
    ],
)
def test_what_tools_gave_to_read_is_input(reported, expected):
    assert read_report(reported) == expected


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"usage": None},
        {"usage": []},
        {"usage": {"prompt_tokens": -1, "completion_tokens": 4}},
        {"usage": {"prompt_tokens": "many", "completion_tokens": True}},
        {"usage": {"prompt_tokens": 10**12, "completion_tokens": 1}},
        {"choices": "none"},
        {"timings": {"prompt_n": None}},
        {"x_groq": 7},
    ],
)
def test_what_cannot_be_true_is_no_report(answer):
    assert read_usage(answer) is None


@pytest.mark.parametrize(
    "name", ["cache_creation_input_tokens", "cache_write_tokens", "cache_read_input_tokens"]
)
def test_no_part_is_larger_than_can_be_true(name):
    """Else a server bills what no ledger can book."""
    assert read_report({"input_tokens": 10, "output_tokens": 5, name: 9 * 10**18}) is None
