"""Thinking as each generation of Claude takes it, and where it goes on after calls of tools. By Anthropic's
published description; nobody has asked the vendor.
"""

import pytest

from tests.doubles.anthropic import HIDDEN, THINKING
from tests.gateway.speaking import parse
from tests.gateway.test_anthropic import CALLS, HELLO, OPUS, RESULT, SONNET, USER, sent
from tests.gateway.test_anthropic_fields import TOOL

BUDGET = {"type": "enabled", "budget_tokens": 3_000}
ADAPTIVE = {"type": "adaptive", "display": "summarized"}
CALLED = {**HELLO, "content": None, "tool_calls": CALLS}
UNSIGNED = {**THINKING, "signature": ""}
USED = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
MIXED = [{"type": "text", "text": "Hm."}, UNSIGNED, USED]


# -- after calls of tools ------------------------------------------------------------------------------------

THOUGHTLESS = {
    "no thoughts": [USER, CALLED, RESULT],
    "said something first": [USER, {**CALLED, "content": "I will look."}, RESULT],
    "thoughts of another model": [USER, {**CALLED, "thinking_blocks": [UNSIGNED]}, RESULT],
    "of another model, among texts": [USER, {**CALLED, "content_blocks": MIXED}, RESULT],
    "the second call": [USER, CALLED, RESULT, CALLED, RESULT],
    "words beside the result": [USER, CALLED, RESULT, USER],
    "thoughts in an answer before": [USER, {**HELLO, "thinking_blocks": [THINKING]}, USER, CALLED, RESULT],
}  # fmt: skip
THOUGHTFUL = {
    "a thought": [USER, {**CALLED, "thinking_blocks": [THINKING]}, RESULT],
    "a hidden one": [USER, {**CALLED, "thinking_blocks": [HIDDEN]}, RESULT],
    "one for all calls": [USER, {**CALLED, "thinking_blocks": [THINKING]}, RESULT, CALLED, RESULT],
    "a new question": [USER, CALLED, RESULT, HELLO, USER],
}
ASKED = {"by effort": {"reasoning_effort": "high"}, "by budget": {"thinking": BUDGET}}


@pytest.mark.parametrize("more", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("messages", THOUGHTLESS.values(), ids=THOUGHTLESS)
def test_it_does_not_think_behind_calls_before_which_it_did_not(messages, more):
    assert "thinking" not in sent(messages=messages, tools=[TOOL], max_tokens=9_000, **more)


@pytest.mark.parametrize("more", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("messages", THOUGHTFUL.values(), ids=THOUGHTFUL)
def test_it_thinks_on_where_it_did(messages, more):
    assert sent(messages=messages, tools=[TOOL], max_tokens=9_000, **more)["thinking"]["type"] == "enabled"


def test_who_thinks_by_itself_may_begin_behind_calls():
    body = sent(OPUS, messages=[USER, CALLED, RESULT], tools=[TOOL], reasoning_effort="high")
    assert body["thinking"] == ADAPTIVE


def test_thoughts_that_were_given_out_unsigned_do_not_break_the_next_turn():
    """As a client of Anthropic's sends back what another model has thought."""
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "42"}
    turns = [USER, {"role": "assistant", "content": [UNSIGNED, USED]}, {"role": "user", "content": [result]}]
    given = parse(
        messages=turns, max_tokens=9_000, thinking=BUDGET, tools=[{"name": "f", "input_schema": {}}]
    )
    body = sent(**{name: value for name, value in given.body.items() if name != "model"})
    assert "thinking" not in body and body["messages"][1]["content"] == [USED]


# -- the field of Anthropic's own, at other generations ------------------------------------------------------

FITTED = {
    "a budget, as it is": (SONNET, BUDGET, {"thinking": BUDGET}),
    "a budget, where both are taken": ("claude-opus-4-6", BUDGET, {"thinking": BUDGET}),
    "a small one": (OPUS, {**BUDGET, "budget_tokens": 2_000}, {"thinking": ADAPTIVE, "effort": "low"}),
    "half of it": (OPUS, {**BUDGET, "budget_tokens": 4_000}, {"thinking": ADAPTIVE, "effort": "medium"}),
    "most of it": (OPUS, {**BUDGET, "budget_tokens": 9_999}, {"thinking": ADAPTIVE, "effort": "high"}),
    "shown otherwise": (
        OPUS,
        {**BUDGET, "budget_tokens": 9_999, "display": "omitted"},
        {"thinking": {"type": "adaptive", "display": "omitted"}, "effort": "high"},
    ),
    "adaptive, as it is": (OPUS, {"type": "adaptive"}, {"thinking": {"type": "adaptive"}}),
    "adaptive, by budget": (
        SONNET,
        {"type": "adaptive"},
        {"thinking": {"type": "enabled", "budget_tokens": 8_000}},
    ),
    "too old": ("claude-3-5-haiku-20241022", BUDGET, {}),
    "not at all": (OPUS, {"type": "disabled"}, {"thinking": {"type": "disabled"}}),
    "one that cannot rest": ("claude-fable-5-1", {"type": "disabled"}, {"effort": "low"}),
}


@pytest.mark.parametrize(("model", "given", "expected"), FITTED.values(), ids=FITTED)
def test_its_own_field_is_fitted_to_the_generation(model, given, expected):
    body = sent(model, thinking=given, max_tokens=10_000)
    told = {"thinking": body.get("thinking"), **body.get("output_config", {})}
    assert {name: value for name, value in told.items() if value is not None} == expected


def test_an_effort_beside_it_says_how_long():
    body = sent(SONNET, thinking={"type": "adaptive"}, reasoning_effort="low", max_tokens=10_000)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2_000}
    body = sent(OPUS, thinking=BUDGET, reasoning_effort="max", max_tokens=10_000)
    assert body["output_config"] == {"effort": "max"}
