"""What a refusal by an upstream costs and says, and what is held for a call beforehand."""

import asyncio
import contextlib
import socket
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from foundation.errors import AtriumError, InvalidInput, UpstreamError
from gateway.answers.billed import NOTHING, billed_usage
from gateway.answers.refusals import callers_fault
from gateway.errors import UpstreamTimeout
from gateway.operations.chat_completions import AROUND_PROMPT, ASSUMED_WINDOW
from gateway.steps.reserve import reserve
from models_registry.providers.openai_compatible.errors import read_error
from tenants.sealing import Secret
from tests.gateway.calling import call_of, make_call, make_endpoint, make_route
from tests.gateway.sending import send
from usage.pricing import Price, Usage, cost, highest_cost


@pytest.mark.parametrize(
    "fault",
    [
        "400",
        "401",
        "403",
        "404",
        "429",
        "500",
        "503",
        "long-code",
        "html-502",
        "redirect",
        "context-1",
        "500-mid-stream-0",
    ],
)
def test_a_provider_that_refuses_charges_nothing(mock, fault):
    call = make_call(mock.base_url, f"fault-{fault}")
    with pytest.raises(AtriumError):
        send(call)
    assert call.was_dispatched and billed_usage(call) == (NOTHING, False)


def test_an_error_that_comes_with_status_200_is_one(mock):
    call = make_call(mock.base_url, "fault-error-200", stream=False)
    with pytest.raises(AtriumError) as caught:
        send(call)
    assert caught.value.code == "upstream_error" and billed_usage(call) == (NOTHING, False)


PRICES = [("1", "5", "2", "9"), ("5", "1", "9", "2"), ("0", "1", "0", "1")]


@pytest.mark.parametrize("prices", PRICES, ids="/".join)
@pytest.mark.parametrize("cached", [0, 30, 70])
@pytest.mark.parametrize("reasoning", [0, 40, 100])
def test_no_way_to_count_the_tokens_costs_more_than_was_held(prices, cached, reasoning):
    price = Price("EUR", *map(Decimal, prices))
    assert cost(price, Usage(70 - cached, cached, 100 - reasoning, reasoning)) <= highest_cost(price, 70, 100)


def test_what_is_held_is_enough_for_an_answer_that_was_only_reasoning():
    held = []

    class Books:
        async def reserve(self, slug, hold):
            held.append(hold.amount)

    price = Price("EUR", *map(Decimal, ("1", "5", "2", "9")))
    call = call_of(make_route([make_endpoint("http://nowhere/v1")], price=price))
    asyncio.run(reserve(call, Books()))
    most = call.size_bytes + AROUND_PROMPT
    assert held == [cost(call.route.price, Usage(0, most, 0, call.max_output_tokens))]


@pytest.mark.parametrize(
    ("window", "has_media", "size", "most"),
    [
        (None, False, 70_000, 70_000 + AROUND_PROMPT),
        (512, False, 70_000, 512),
        (200_000, False, 70_000, 70_000 + AROUND_PROMPT),
        (200_000, True, 70_000, 200_000),
        (None, True, 70_000, ASSUMED_WINDOW),
        (None, True, ASSUMED_WINDOW, ASSUMED_WINDOW + AROUND_PROMPT),
    ],
)
def test_what_bytes_do_not_bound_holds_the_whole_window(window, has_media, size, most):
    call = make_call("http://nowhere/v1", "any")
    call.size_bytes, call.has_media = size, has_media
    route = replace(call.route, context_window=window)
    assert call.operation.most_input_tokens(call, route) == most


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"functions": [{"name": "f"}]},
        {"response_format": {"type": "json_object"}},
    ],
)
def test_what_a_provider_says_about_tools_is_held_too(more):
    """Of Claude's 530 tokens about them no byte stands in a request: a small one cost more than was held."""
    call = call_of(make_route([make_endpoint("http://nowhere/v1")]), **more)
    assert call.operation.most_input_tokens(call, call.route) >= call.size_bytes + 530


def test_an_error_after_the_first_token_is_billed(mock):
    call = make_call(mock.base_url, "fault-500-mid-stream")
    with pytest.raises(AtriumError):
        send(call)
    assert billed_usage(call)[0].output_tokens == 3


def test_a_server_that_accepts_no_connection_was_sent_nothing():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _number in range(3):  # its queue is full; who comes now waits for ever
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        call = make_call(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "any", connect_timeout_s=0.3)
        with pytest.raises(UpstreamTimeout) as caught:
            send(call)
    assert caught.value.code == "upstream_unreachable" and billed_usage(call) == (NOTHING, False)


REFUSALS = [
    ({"message": "maximum context length is 10 tokens", "code": 400}, "context_length_exceeded", "messages"),
    (
        {
            "message": "the request exceeds the available context size",
            "type": "exceed_context_size_error",
            "code": 400,
        },
        "context_length_exceeded",
        "messages",
    ),
    ({"message": "no such field", "code": "unknown_field", "param": "x"}, "unknown_field", "x"),
    ({"message": "bad task-id and disk-size", "code": 400}, "upstream_invalid_request", None),
    ({"message": "wrong key sk-123", "code": "bad", "param": "x"}, "upstream_invalid_request", None),
    ({"message": "we know gsk_9f8a7b6c only", "code": "bad", "param": "x"}, "upstream_invalid_request", None),
    ({"message": "no", "code": "gsk_9f8a7b6c5d4e"}, "upstream_invalid_request", None),
]


@pytest.mark.parametrize(("error", "code", "param"), REFUSALS)
def test_a_fault_of_the_request_keeps_its_reason(error, code, param):
    endpoint = make_endpoint("http://nowhere/v1", secret=Secret("gsk_9f8a7b6c5d4e"))
    found = callers_fault(read_error(orjson.dumps({"error": error})), endpoint)
    assert isinstance(found, InvalidInput) and (found.code, found.param) == (code, param)
    assert (
        "sk-123" not in str(found.message)
        and "gsk_9f" not in f"{found.message} {found.code}"
        and ("disk-size" in str(found.message)) == ("disk-size" in error["message"])
    )


@pytest.mark.parametrize("status", [400, 401])
def test_a_connection_whose_key_is_refused_is_no_fault_of_the_caller(mock, status):
    """Google's OpenAI door says it with status 400."""
    secret = Secret("gsk_9f8a7b6c5d4e")
    call = make_call(mock.base_url, f"fault-echo-secret-{status}", secret=secret)
    with pytest.raises(UpstreamError) as caught:
        send(call)
    assert caught.value.code == "upstream_credentials" and "gsk" not in str(caught.value.message)
