"""Streams in which the arguments of a call break off, or are no JSON: no client takes them for whole."""

import asyncio
import json

import anthropic
import pytest

from gateway.operations.messages.arguments import MOST_DEPTH, Arguments
from tests.doubles.anthropic import START, begun, end, said, stop
from tests.gateway.hearing import choice, hear
from tests.gateway.speaking import TOOL, read_events, speak
from tests.gateway.streaming import DONE, event, server
from tests.gateway.telling import tell

USED = '{"type":"tool_use","id":"t1","name":"f","input":{}}'


def claude(*arguments: str) -> list[bytes]:
    return [
        START,
        begun(0, USED),
        *(said(0, "input_json_delta", "partial_json", piece) for piece in arguments),
        stop(0),
    ]


def openais(*arguments: str) -> list[bytes]:
    first, *rest = arguments
    call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": first}}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in rest]
    return [event({"tool_calls": [piece]}) for piece in (call, *pieces)]


ENDS = {
    "anthropic": end("tool_use"),
    "openai_compatible": [choice(delta={}, finish_reason="tool_calls"), DONE],
}
SAYS = {"anthropic": claude, "openai_compatible": openais}
KINDS = pytest.mark.parametrize("kind", SAYS)


def told_to(client: str, kind: str, parts: list[bytes]) -> tuple[str, list[dict]]:
    """Why it ended, or “error”, and the events."""
    if client == "anthropic":
        spoken = speak(b"".join(parts), kind=kind, stream=True, tools=[TOOL])
        if spoken.error is not None:  # before anything went out
            return "error", [{"error": {"message": str(spoken.error.message)}}]
        events = read_events(spoken.body)
        last = events[-1] if events[-1]["type"] == "error" else events[-2]
        return last.get("delta", {}).get("stop_reason", "error"), events
    heard = hear(parts, kind=kind)
    reasons = [one["choices"][0]["finish_reason"] for one in heard.chunks if one.get("choices")]
    return "error" if heard.error else next(filter(None, reasons)), heard.events


@KINDS
@pytest.mark.parametrize(("client", "cut"), [("anthropic", "max_tokens"), ("openai", "length")])
def test_a_call_that_breaks_off_is_told_as_that(client, cut, kind):
    """Where the server ends as if all had come, and where it is gone."""
    parts = SAYS[kind]('{"path": "/a', '.txt", "te')
    assert told_to(client, kind, [*parts, *ENDS[kind]])[0] == cut
    gone = parts[:-1] if kind == "anthropic" else parts
    assert told_to(client, kind, gone)[0] == "error"
    whole = SAYS[kind]('{"path": "/a', '.txt"}')
    assert told_to(client, kind, [*whole, *ENDS[kind]])[0] not in (cut, "error")
    assert told_to(client, kind, whole)[0] == "error", "nobody knows whether another call would have come"


@pytest.mark.parametrize("is_cut", [True, False])
def test_so_is_one_of_the_kind_before_tools(is_cut):
    arguments = ('{"a": ', '"b' if is_cut else '"b"}')
    pieces = [event({"function_call": {"name": "f", "arguments": arguments[0]}})]
    pieces.append(event({"function_call": {"arguments": arguments[1]}}))
    ended = choice(delta={}, finish_reason="function_call")
    wanted = "length" if is_cut else "function_call"
    assert told_to("openai", "openai_compatible", [*pieces, ended, DONE])[0] == wanted
    function = {"name": "f", "arguments": "".join(arguments)}
    answer = {"choices": [{"message": {"function_call": function}, "finish_reason": "function_call"}]}
    assert tell(json.dumps(answer).encode(), stream=False).answer["choices"][0]["finish_reason"] == wanted


NO_JSON = {
    "a name of python": ['{"a": ', "None}"],
    "two": ['{"a": 1}', '{"b": 2}'],
    "a comma too many": ['{"a": 1,', "}"],
    "no colon": ['{"a"', " 1}"],
    "a number": ['{"a": 0', "1}"],
    "an escape": ['{"a": "\\', 'x"}'],
    "closed otherwise": ['{"a": [1', "}}"],
    "nested too deep": ['{"a":', "[" * (MOST_DEPTH + 1)],
}


@KINDS
@pytest.mark.parametrize("arguments", NO_JSON.values(), ids=NO_JSON)
def test_arguments_that_are_no_json_never_reach_a_client_that_reads_them_as_they_come(arguments, kind):
    reason, events = told_to("anthropic", kind, [*SAYS[kind](*arguments), *ENDS[kind]])
    assert reason == "error" and "no JSON" in events[-1]["error"]["message"]
    pieces = [one["delta"]["partial_json"] for one in events if one.get("delta", {}).get("partial_json")]
    assert pieces == arguments[: len(pieces)] and len(pieces) < len(arguments)


FROM_THE_BEGINNING = {
    "python": ["{", "'a", "': 1}"],
    "a list": ["[1,", ' "2"]'],
    "a text": ["Paris\n"],
    "json twice": ['"{\\"a\\"', ': 1}"'],
}


@KINDS
@pytest.mark.parametrize("arguments", FROM_THE_BEGINNING.values(), ids=FROM_THE_BEGINNING)
def test_what_is_no_json_from_the_beginning_is_told_as_in_whole_answers(arguments, kind):
    """An agent's tool refuses it, and the model is told: it can write the call anew."""
    reason, events = told_to("anthropic", kind, [*SAYS[kind](*arguments), *ENDS[kind]])
    pieces = [one["delta"]["partial_json"] for one in events if one.get("delta", {}).get("partial_json")]
    assert reason == "tool_use"
    assert [json.loads(piece) for piece in pieces] == [{"INVALID_JSON": "".join(arguments)}]


def test_the_official_client_tells_an_error_of_ours():
    """Of itself it would fail at the piece, and nobody would know why."""
    parts = [*openais('{"a": ', "None}"), *ENDS["openai_compatible"]]
    body = speak(b"".join(parts), stream=True, tools=[TOOL]).body

    async def ask() -> None:
        async with server([body]) as port:
            client = anthropic.AsyncAnthropic(base_url=f"http://127.0.0.1:{port}", api_key="k", max_retries=0)
            question = [{"role": "user", "content": "hi"}]
            async with client, client.messages.stream(model="m", max_tokens=9, messages=question) as answer:
                await answer.get_final_message()

    with pytest.raises(anthropic.APIStatusError, match="no JSON"):
        asyncio.run(ask())


WHOLE = [
    {},
    {"a": [1, -2.5e-3, True, False, None, {"b": []}], "": "x"},
    {"a": 'q"\\/\b\f\n\r\t\u00e9 \U0001f600', "b": {"c": {"d": 0}}},
]


@pytest.mark.parametrize("value", WHOLE)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("form", [{}, {"indent": 1}, {"ensure_ascii": False}])
def test_json_passes_wherever_it_is_cut(value, size, form):
    text, arguments = json.dumps(value, **form), Arguments()
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    for piece in pieces:
        assert not arguments.is_whole and arguments.add(piece) == piece
    assert arguments.is_whole and arguments.add(" \n") == " \n"


def test_bare_ends_of_lines_go_out_escaped():
    assert Arguments().add('{"a": "b\n\tc\x01"}') == '{"a": "b\\n\\tc\\u0001"}'
