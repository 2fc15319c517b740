"""Whole answers in other shapes than OpenAI's, read tolerantly."""

import json

import pytest

from tests.gateway.telling import tell, whole
from usage.pricing import Usage

CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
SHAPES = {
    "in an envelope": {"code": 0, "msg": "ok", "data": {"choices": [CHOICE], "usage": USAGE}},
    "in the output": {"output": {"choices": [CHOICE]}, "usage": {"input_tokens": 3, "output_tokens": 2}},
    "in the result": {"success": True, "errors": [], "result": {"choices": [CHOICE], "usage": USAGE}},
    "one choice": {"choices": CHOICE, "usage": USAGE},
    "numbered choices": {"choices": {"0": CHOICE}, "usage": USAGE},
    "choices with a gap": {"choices": [None, CHOICE], "usage": USAGE},
    "a text": {"choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}], "usage": USAGE},
    "a text as message": {"choices": [{**CHOICE, "message": "Hello"}], "usage": USAGE},
    "a delta": {"choices": [{"index": 0, "delta": {"content": "Hello"}}], "usage": USAGE},
    "parts": {
        "choices": [{"message": {"content": [None, {"type": "text", "text": "Hello"}]}}],
        "usage": USAGE,
    },
    "Ollama": {
        "message": {"role": "assistant", "content": "Hello"},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 3,
        "eval_count": 2,
    },
    "Anthropic": {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    },
    "a list of one": [{"choices": [CHOICE], "usage": USAGE}],
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_answer_is_found(shape, stream):
    told = tell(json.dumps(SHAPES[shape]).encode(), stream=stream)
    assert told.text == "Hello"
    assert (told.bill[0].total_input, told.bill[0].total_output, told.bill[1]) == (3, 2, False)
    if not stream:
        answer = told.answer
        assert answer["choices"][0]["finish_reason"] == "stop" and answer["choices"][0]["index"] == 0
        assert answer["usage"]["total_tokens"] == 5 and not answer.keys() & {
            "data",
            "output",
            "result",
            "message",
        }


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("behind", [b"\n\n", b"\0\0", b"\n[DONE]", b"\r\ndata: [DONE]\n\n", b" \n"])
def test_what_follows_the_answer_is_left_out(behind, stream):
    assert tell(whole("Hello") + behind, stream=stream).text == "Hello"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("behind", [b"}", b" text", b'{"choices": []}x'])
def test_what_may_be_a_part_of_it_is_not(behind, stream):
    assert tell(whole("Hello") + behind, stream=stream).error.code == "upstream_invalid_response"


@pytest.mark.parametrize("stream", [True, False])
def test_a_comma_too_many_is_left_out_and_none_in_texts(stream):
    said = b'{"choices": [{"message": {"content": "a,] b,} \\" c,}",}, "finish_reason": "stop",},\n]}'
    assert tell(said, stream=stream).text == 'a,] b,} " c,}'


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_number_is_null(number):
    said = whole("Hello").replace(b'"stop"', b'"stop", "score": ' + number)
    assert tell(said, stream=False).answer["choices"][0]["score"] is None


def test_no_choices_at_all_were_not_written():
    told = tell(
        json.dumps({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}}).encode(),
        stream=False,
    )
    assert told.error.code == "upstream_invalid_response"
    assert told.bill[0].total_output == 0


def with_log_probabilities(tokens: int, alternatives: int) -> bytes:
    one = {"token": " word", "logprob": -12.345678, "bytes": list(b" word")}
    content = [{**one, "top_logprobs": [one] * alternatives}] * tokens
    choice = {**CHOICE, "logprobs": {"content": content}}
    usage = {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


@pytest.mark.parametrize("stream", [True, False])
def test_a_long_answer_has_as_many_log_probabilities_as_were_asked_for(stream):
    asking = {"logprobs": True, "top_logprobs": 20}
    told = tell(with_log_probabilities(3_000, 20), stream=stream, asking=asking)
    assert told.text == "Hello" and told.bill == (Usage(3, 0, 3_000, 0), False)
    if not stream:
        assert len(told.answer["choices"][0]["logprobs"]["content"]) == 3_000


@pytest.mark.parametrize(
    "asking",
    [
        {},
        {"logprobs": False, "top_logprobs": 20},
        {"logprobs": True},
        {"logprobs": True, "top_logprobs": "20"},
    ],
)
def test_of_more_values_than_were_asked_for_nobody_reads_any(asking):
    told = tell(with_log_probabilities(3_000, 20), stream=False, asking=asking)
    assert told.error is not None and told.error.code == "upstream_invalid_response"


def test_there_is_a_most_of_values_whatever_is_asked_for():
    many = json.dumps({"choices": [CHOICE]}).encode()[:-1] + b', "x": [' + b"0," * 6_000_000 + b"0]}"
    told = tell(many, stream=False, asking={"logprobs": True, "top_logprobs": 10**9})
    assert told.error is not None and told.error.code == "upstream_invalid_response"
