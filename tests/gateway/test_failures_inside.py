"""Failures that come with status 200 in shapes of their own: none of them is a success, and another server is
asked where nothing was said yet.
"""

import asyncio
import json

import pytest

from foundation.errors import UpstreamError
from gateway.answers.billed import NOTHING, billed_usage
from tests.gateway.asking import FINE, ask, serving
from tests.gateway.calling import call_of, make_endpoint, make_route
from tests.gateway.hearing import ROLE, choice, hear
from tests.gateway.streaming import DONE, END, event, usage_event

pytestmark = pytest.mark.usefixtures("short_pauses")

FAILED_CHOICE = {"delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "it broke"}}
FAILURES = [
    b'{"choices":null,"base_resp":{"status_code":1002,"status_msg":"it broke"}}',
    b'{"error_code":336007,"error_msg":"it broke"}',
    b'{"detail":"it broke"}',
    b'{"errors":[{"message":"it broke"}]}',
    b'{"code":20012,"message":"it broke","data":null}',
    json.dumps({"choices": [FAILED_CHOICE]}).encode(),
    b'{"choices":[{"index":0,"delta":{},"error":{"message":"it broke"}}]}',
]


def data(raw: bytes) -> bytes:
    return b"data: " + raw + b"\n\n"


@pytest.mark.parametrize("begin", [[], [event({"content": "Hel"})]], ids=["first", "after text"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_of_any_shape_is_one(failure, begin):
    heard = hear([*begin, data(failure), DONE])
    assert heard.call.error_code == heard.inside.error_code == "upstream_error"
    assert "it broke" in heard.error["message"] and isinstance(heard.deltas[-1], UpstreamError)
    assert heard.text() == heard.inner_text == ("Hel" if begin else "")
    assert begin or billed_usage(heard.call) == (NOTHING, False)


def test_a_choice_that_ended_in_an_error_without_a_word_is_one():
    heard = hear([event({"content": "Hel"}), choice(delta={}, finish_reason="ERROR"), DONE])
    assert heard.text() == "Hel" and heard.call.error_code == "upstream_error"


@pytest.mark.parametrize(
    "beside",
    [
        {"base_resp": {"status_code": 0, "status_msg": "success"}},
        {"error_code": 0, "error_msg": ""},
        {"code": 200, "message": "ok"},
        {"detail": ""},
        {"errors": []},
    ],
)
def test_a_word_of_success_is_no_failure(beside):
    alone = data(json.dumps(beside).encode())
    heard = hear([event({"content": "Hel"}, **beside), alone, event({"content": "lo"}), END, DONE])
    assert heard.text() == heard.inner_text == "Hello" and heard.error is None


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_that_is_a_failure_is_one(failure, stream):
    async def run() -> None:
        async with serving((200, json.loads(failure))) as server:
            call = call_of(make_route([make_endpoint(server.url)]), stream=stream)
            assert await ask(call) == b"upstream_error" and "it broke" in call.error_message
            assert billed_usage(call) == (NOTHING, False)

    asyncio.run(run())


# -- nothing was said ----------------------------------------------------------------------------------------

EMPTY = {
    "nothing": (b"", "upstream_incomplete"),
    "done alone": (DONE, "upstream_incomplete"),
    "a role and done": (ROLE + DONE, "upstream_incomplete"),
    "no output by the report": (ROLE + usage_event(0) + DONE, "upstream_incomplete"),
    "no word understood": (b"<p>Sorry</p>\n\n" + DONE, "upstream_invalid_response"),
    "no text understood": (ROLE + b"text: Hello\n\n" + END + DONE, "upstream_invalid_response"),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_an_answer_that_says_nothing_is_none(kind):
    stream, code = EMPTY[kind]
    heard = hear([stream])
    assert heard.call.error_code == heard.inside.error_code == code and not heard.text()


@pytest.mark.parametrize("kind", ["done alone", "a role and done", "no word understood"])
def test_the_next_model_is_asked_where_nothing_was_said(kind):
    async def run() -> None:
        async with serving((200, EMPTY[kind][0])) as empty, serving(FINE) as good:
            call = call_of(*(make_route([make_endpoint(one.url)]) for one in (empty, good)))
            assert b"Hello" in await ask(call)
            assert [lost.error_code for lost in call.attempts] == [EMPTY[kind][1]] and call.status == "ok"

    asyncio.run(run())


def test_an_error_behind_the_role_leaves_room_for_the_next_model():
    async def run() -> None:
        failure = ROLE + data(b'{"error":{"message":"it broke"}}')
        async with serving((200, failure)) as broken, serving(FINE) as good:
            call = call_of(*(make_route([make_endpoint(one.url)]) for one in (broken, good)))
            answer = await ask(call)
            assert b"Hello" in answer and b"it broke" not in answer

    asyncio.run(run())


@pytest.mark.parametrize(
    "said",
    [
        END,  # a model may have nothing to say
        usage_event(5),
        event({"refusal": "No"}),
        event({"reasoning": "Hm"}),
        event({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}),
        event({"images": [{"image_url": {"url": "data:image/png;base64,AAAA"}}]}),
    ],
)
def test_what_is_no_text_is_something_too(said):
    heard = hear([ROLE, said, DONE], wants_usage=True)
    assert heard.error is None and heard.call.status == "ok"
    assert len(heard.chunks) == (2 if said is END else 3), "the reason of the end comes, whoever writes it"
    assert heard.chunks[0]["choices"][0]["delta"]["role"] == "assistant"


@pytest.mark.parametrize("before", [b"  ", b"\t", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", [b"data", b"Data", b"DATA"])
def test_fields_are_read_however_they_are_written(before, name):
    parts = [ROLE, event({"content": "Hel"}), event({"content": "lo"}), END, DONE]
    heard = hear([before + name + part.removeprefix(b"data") for part in parts])
    assert heard.text() == heard.inner_text == "Hello" and heard.error is None
