"""Errors and pages where an answer belongs: with status 200, with other statuses of success, with none."""

import json

import pytest

from gateway.answers.billed import NOTHING
from gateway.steps import attempts
from tests.gateway.asking import ask, serving
from tests.gateway.calling import call_of, make_endpoint, make_route
from tests.gateway.streaming import DONE, END, event
from tests.gateway.telling import data, tell, telling, whole
from tests.gateway.test_refusals import OVERFLOWS
from usage.pricing import Usage

pytestmark = pytest.mark.usefixtures("short_pauses")

PAGE = b"<!DOCTYPE html>\n<html><body>" + b"Please log in. " * 500 + b"</body></html>"
HTML, TEXT = {"Content-Type": "text/html; charset=utf-8"}, {"Content-Type": "text/plain"}


# -- pages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("headers", [HTML, TEXT, None])
@pytest.mark.parametrize("begin", [b"", b"\n  ", b"\xef\xbb\xbf", b'<?xml version="1.0"?>'])
def test_a_page_is_no_answer_and_costs_nothing(stream, headers, begin):
    told = tell(begin + PAGE[:40], PAGE[40:], stream=stream, headers=headers)
    assert told.error.code == "upstream_invalid_response" and "web page" in told.error.message
    assert told.bill == (NOTHING, False)


@pytest.mark.parametrize("stream", [True, False])
def test_what_a_proxy_says_in_plain_words_costs_nothing(stream):
    told = tell(b"no healthy upstream " * 200, stream=stream, headers=TEXT)
    assert told.error.code == "upstream_invalid_response" and told.bill == (NOTHING, False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("said", [PAGE, b"no healthy upstream\n\n" * 200])
async def test_another_server_answers_in_their_place(said, stream):
    fine = event({"content": "Hello"}) + END + DONE if stream else whole("Hello")
    async with telling(said, headers=TEXT) as ill, telling(fine) as sound:
        call = call_of(make_route([make_endpoint(ill.url), make_endpoint(sound.url)]), stream=stream)
        assert b"Hello" in await ask(call)
        assert [lost.error_code for lost in call.attempts] == ["upstream_invalid_response"]


def test_an_answer_that_is_called_a_page_is_one():
    assert tell(whole("Hello"), stream=False, headers=HTML).text == "Hello"
    assert tell(event({"content": "Hello"}), END, DONE, stream=True, headers=HTML).text == "Hello"


def test_an_answer_about_tags_is_none():
    """Its packets may begin with one."""
    said = whole("<html>")
    cut = said.index(b"<html>")
    assert tell(said[:cut], said[cut:], stream=True).text == "<html>"
    piece = event({"content": "<html>"})
    cut = piece.index(b"<html>")
    assert tell(piece[:cut], piece[cut:], END, DONE, stream=True).text == "<html>"


# -- errors with status 200 ----------------------------------------------------------------------------------

BUSY = [
    {"error": {"code": 429, "message": "Slow down"}},
    {"error": {"code": "429", "message": "Slow down"}},
    {"error": {"code": "rate_limit_exceeded", "message": "Slow down"}},
    {"error": {"type": "rate_limit_error", "message": "Slow down"}},
    {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}},
    {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Slow down"}},
    {"error": "Rate limit reached for model"},
    {"status": 429, "error": "Slow down"},
    {"code": 429, "message": "Slow down"},
    {"status_code": 429, "msg": "Slow down"},
    {"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "busy"}}},
]


def shaped(error: dict, stream: bool) -> tuple[bytes, dict]:
    """As an event of a stream, or whole."""
    kind = "text/event-stream" if stream else "application/json"
    return data(error) if stream else json.dumps(error).encode(), {"Content-Type": kind}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("error", BUSY)
def test_a_rate_limit_with_status_200_is_one(error, stream):
    said, headers = shaped(error, stream)
    told = tell(said, stream=stream, headers={**headers, "Retry-After": "900"})
    assert (told.error.http_status, told.error.code) == (429, "upstream_rate_limited")
    assert told.error.retry_after_s == 900, "as the head says"
    assert told.asked == 1, "asked again only where the pause is short"
    assert told.bill == (NOTHING, False)


def test_a_rate_limit_that_ends_soon_is_waited_for():
    said, headers = shaped(BUSY[0], True)
    told = tell(said, stream=True, headers={**headers, "Retry-After-Ms": "1"})
    assert told.asked == attempts.MAX_OF_ONE


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"code": 400, "message": "temperature is odd"}, 400, "upstream_invalid_request"),
        ({"type": "invalid_request_error", "message": "temperature is odd"}, 400, "upstream_invalid_request"),
        ({"code": 401, "message": "No auth credentials found"}, 502, "upstream_credentials"),
        ({"type": "authentication_error", "message": "invalid x-api-key"}, 502, "upstream_credentials"),
        ({"code": 402, "message": "Insufficient credits"}, 502, "upstream_quota"),
        ({"code": "insufficient_quota", "message": "no more"}, 502, "upstream_quota"),
        ({"code": 403, "message": "flagged by moderation"}, 400, "403"),
        ({"code": 404, "message": "No endpoints found"}, 502, "upstream_not_found"),
        ({"code": "model_not_found", "type": "invalid_request_error"}, 502, "upstream_not_found"),
        ({"code": 408, "message": "too slow"}, 502, "upstream_error"),
        ({"code": 500, "message": "CUDA out of memory"}, 502, "upstream_error"),
        ({"code": "502", "message": "bad gateway"}, 502, "upstream_error"),
        ({"type": "overloaded_error", "message": "Overloaded"}, 429, "upstream_rate_limited"),
    ],
)
def test_an_error_before_the_first_byte_is_what_it_names(error, status, code, stream):
    said, headers = shaped({"error": error}, stream)
    told = tell(said, stream=stream, headers=headers)
    code = "upstream_invalid_request" if code.isdigit() else code
    assert (told.error.http_status, told.error.code) == (status, code)
    assert told.bill == (NOTHING, False)
    is_passing = code in ("upstream_error", "upstream_rate_limited")
    assert told.asked == (attempts.MAX_OF_ONE if is_passing else 1)


def test_an_error_in_the_middle_stays_the_servers():
    told = tell(event({"content": "Hel"}), data(BUSY[0]), stream=True)
    assert told.events[-1]["error"]["code"] == "upstream_error" and told.asked == 1


# -- events that are errors ----------------------------------------------------------------------------------

FAULTS = [
    b"event: error\ndata: it crashed\n\n",
    b'event: error\ndata: "it crashed"\n\n',
    b'event: error\ndata: {"message": "it crashed"}\n\n',
    b'event: error\ndata: {"error": null, "message": "it crashed"}\n\n',
    b'event: error\ndata: {"type": "error", "error": {"type": "api_error", "message": "it crashed"}}\n\n',
    b'event: error\ndata: {"status": 500, "title": "it crashed"}\n\n',
    b'EVENT:error\r\ndata:{"detail": "it crashed"}\r\n\r\n',
    b'data: {"message": "it crashed"}\nevent: error\n\n',
    b'data: {"detail": "it crashed"}\n\n',
    b'data: {"error": "it crashed", "error_type": "generation"}\n\n',
    b'data: {"status": 500, "title": "it crashed"}\n\n',
    b'error: {"code": 500, "message": "it crashed", "type": "server_error"}\n\n',
    b"event: error\ndata: Traceback\ndata: it crashed\n\n",
    b"data: Error: it crashed\n\n",
    b"data: [ERROR] it crashed\n\n",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_an_event_that_is_an_error_is_told_as_one(fault):
    """What would go on as if nothing had been is half an answer, told as a whole one."""
    first = tell(fault, DONE, stream=True)
    assert first.error.code == "upstream_error" and "it crashed" in first.error.message
    assert first.bill == (NOTHING, False)
    later = tell(event({"content": "Hel"}), fault, DONE, stream=True)
    assert later.events[0]["choices"][0]["delta"]["content"] == "Hel"
    assert "it crashed" in later.events[-1]["error"]["message"] and later.call.status == "error"


@pytest.mark.parametrize(
    "fault", [b"event: error\n\n", b"event: error\ndata:\n\n", b"event: error\ndata: {}\n\n"]
)
def test_an_error_without_words_is_one_too(fault):
    told = tell(event({"content": "Hel"}), fault, DONE, stream=True)
    assert told.events[-1]["error"]["code"] == "upstream_error"


@pytest.mark.parametrize(
    "aside", [b"event: message\n", b"event: errors\n", b"event: completion\nid: 7\nretry: 10\n"]
)
def test_other_names_of_events_change_nothing(aside):
    told = tell(aside + event({"content": "error: none"}), aside + END, DONE, stream=True)
    assert told.text == "error: none"


def relayed(raw: str) -> bytes:
    """As OpenRouter tells what it heard from the provider it asked."""
    metadata = {"raw": raw, "provider_name": "Somebody"}
    return json.dumps(
        {"error": {"message": "Provider returned error", "code": 400, "metadata": metadata}}
    ).encode()


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("raw", ["temperature is odd", '{"error": {"message": "temperature is odd"}}'])
def test_what_a_relay_heard_says_more_than_the_relay(raw, status):
    told = tell(relayed(raw), stream=False, status=status)
    assert "temperature is odd" in told.error.message and told.error.http_status == 400


@pytest.mark.parametrize("status", [200, 400])
def test_what_a_relay_heard_is_screened(status):
    told = tell(relayed("temperature is odd at http://10.1.2.3/v1"), stream=False, status=status)
    assert "temperature is odd" in told.error.message and "10.1.2.3" not in told.error.message
    told = tell(relayed('{"message": "key sk-proj-123456 is odd"}'), stream=False, status=status)
    assert "sk-proj" not in told.error.message


# -- ends that are none --------------------------------------------------------------------------------------

BROKEN_OFF = [
    {"finish_reason": "error"},
    {"finish_reason": "abort"},
    {"finish_reason": {"type": "abort", "message": "abort"}},
    {"finish_reason": "network_error"},
    {"finish_reason": "cancelled"},
    {"finish_reason": "timeout"},
    {"finish_reason": "insufficient_system_resource"},
    {"finish_reason": "stop", "native_finish_reason": "error"},
    {"finish_reason": "stop", "native_finish_reason": "network_error"},
    {"finish_reason": "MALFORMED_FUNCTION_CALL"},
    {"finish_reason": "function_call_filter: MALFORMED_FUNCTION_CALL"},
]
READ = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}


def ended(reasons: dict, stream: bool, usage: dict | None = None, content: str | None = None) -> bytes:
    """An answer that ended for these reasons."""
    report = {"usage": usage} if usage else {}
    if not stream:
        message = {"role": "assistant", "content": content}
        return json.dumps({"choices": [{"index": 0, "message": message} | reasons]} | report).encode()
    said = event({"content": content}) if content else b""
    return said + data({"choices": [{"index": 0, "delta": {}} | reasons]} | report) + DONE


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("reasons", BROKEN_OFF)
def test_an_answer_that_was_broken_off_is_no_success(reasons, stream):
    told = tell(ended(reasons, stream, content="Hel"), stream=stream)
    assert (told.call.status, told.call.error_code) == ("error", "upstream_error")
    if stream:
        assert told.text == "Hel" and told.events[-1]["error"]["code"] == "upstream_error"
    else:
        assert told.error.http_status == 502
    assert told.asked == 1 and told.bill[0].total_output > 0


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("usage", [None, READ])
@pytest.mark.parametrize("reasons", BROKEN_OFF)
async def test_another_server_answers_where_nothing_was_written(reasons, usage, stream):
    fine = event({"content": "Hello"}) + END + DONE if stream else whole("Hello")
    async with telling(ended(reasons, stream, usage)) as ill, telling(fine) as sound:
        call = call_of(make_route([make_endpoint(ill.url), make_endpoint(sound.url)]), stream=stream)
        told = await ask(call)
        assert b"Hello" in told and b"error" not in told
        (lost,) = call.attempts
        assert lost.error_code == "upstream_error" and lost.usage.total_input == (1000 if usage else 0)


@pytest.mark.parametrize("stream", [True, False])
def test_what_was_charged_for_is_not_bought_of_the_same_server_again(stream):
    told = tell(ended(BROKEN_OFF[-1], stream, READ), stream=stream)
    assert told.asked == 1 and told.error.http_status == 502 and "MALFORMED" in told.error.message
    assert told.bill == (Usage(1000), False)


async def test_so_it_is_where_the_answer_came_with_its_head():
    async with serving((200, json.loads(ended(BROKEN_OFF[-1], False, READ)))) as server:
        call = call_of(make_route([make_endpoint(server.url)]), stream=False)
        assert await ask(call) == b"upstream_error" and len(server.seen) == 1


# -- statuses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 203, 206])
def test_every_success_with_an_answer_is_one(status):
    assert tell(whole("Hello"), stream=False, status=status).text == "Hello"
    assert tell(event({"content": "Hello"}), END, DONE, stream=True, status=status).text == "Hello"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("status", "body"), [(202, b'{"id": "job-1"}'), (204, b""), (205, b"")])
def test_a_success_without_an_answer_says_so(status, body, stream):
    told = tell(body, stream=stream, status=status)
    assert told.error.http_status == 502 and f"no answer (status {status})" in told.error.message
    assert told.bill == (NOTHING, False) and told.asked == 1


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [408, 409, 425, 500, 503, 529])
def test_what_may_be_better_in_a_moment_is_asked_again(status, stream):
    told = tell(b"{}", stream=stream, status=status)
    code = "upstream_rate_limited" if status == 529 else "upstream_error"
    assert (told.error.code, told.asked) == (code, attempts.MAX_OF_ONE)
    assert told.bill == (NOTHING, False)


@pytest.mark.parametrize("message", OVERFLOWS)
@pytest.mark.parametrize(
    ("stream", "status", "begin", "end"),
    [
        (True, 500, b"", b""),
        (False, 500, b"", b""),
        (True, 400, b"", b""),
        (False, 400, b"", b""),
        (True, 200, b"data: ", b"\n\n"),
        (True, 200, b"error: ", b"\n\n"),
        (False, 200, b"", b""),
    ],
)
def test_what_is_too_long_is_not_asked_again_whatever_its_status(stream, status, begin, end, message):
    body = {"error": {"code": 500, "message": message, "type": "server_error"}}
    told = tell(begin + json.dumps(body).encode() + end, stream=stream, status=status)
    assert (told.error.http_status, told.error.code, told.asked) == (400, "context_length_exceeded", 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_the_administrators(status):
    told = tell(b"", stream=True, status=status, headers={"Location": "http://10.0.0.9/v1"})
    assert told.error.code == "redirected" and "10.0.0.9" not in told.error.message
    assert "another address" in told.error.message and told.asked == 1


@pytest.mark.parametrize("status", [300, 304, 405, 418])
def test_other_statuses_are_refusals(status):
    assert tell(b"", stream=True, status=status).error.code == "upstream_refused"
