"""What a provider with events of its own can rely on: each is read by it, its errors are errors, and what it
cannot read is nonsense instead of a crash.
"""

import asyncio
import json

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import UpstreamError
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.deltas import Finish, Text
from models_registry.providers.openai_compatible import OpenAICompatible
from models_registry.providers.table import PROVIDERS
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.hearing import hear


class Loud(OpenAICompatible):
    """Its events are `{"content": a text}`, `{"ended": a reason}` and `{"failed": a reason}`."""

    kind = "loud"
    has_own_events = True

    def read_event(self, event):
        assert isinstance(event, dict)
        if "failed" in event:
            return {"error": {"message": event["failed"]}, "usage": event.get("usage")}
        choice = {"index": 0, "finish_reason": event.get("ended")}
        delta = {"content": event["content"].upper()} if "content" in event else {}
        return {"choices": [{**choice, "delta": delta}], "usage": event.get("usage")}


@pytest.fixture(autouse=True)
def loud(monkeypatch):
    monkeypatch.setitem(PROVIDERS, Loud.kind, Loud())


def event(**fields) -> bytes:
    return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"


USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


def test_no_event_passes_unread_though_it_differs_from_the_last_in_its_text_alone():
    words = ["1 ", "two ", "three "]  # the first is the same in both protocols
    heard = hear([*(event(content=word) for word in words), event(ended="stop", usage=USAGE)], kind="loud")
    assert heard.text() == heard.inner_text == "1 TWO THREE "
    assert heard.usage == (7, 0, 3, 0) and heard.error is None


def test_an_error_that_only_the_provider_knows_as_one_ends_the_stream():
    heard = hear([event(content="one "), event(failed="out of memory", usage=USAGE)], kind="loud")
    assert heard.text() == heard.inner_text == "ONE " and heard.usage == (7, 0, 3, 0)
    assert "out of memory" in heard.error["message"] and heard.call.error_code == "upstream_error"
    assert isinstance(heard.deltas[-1], UpstreamError)


@pytest.mark.parametrize("odd", [event(content=7), b"data: [7]\n\n", b"data: {7}\n\n"])
def test_an_event_that_it_cannot_read_is_nonsense(odd):
    heard = hear([odd, event(content="one ")], kind="loud")
    assert heard.text() == "" and heard.call.error_code == "upstream_invalid_response"
    heard = hear([event(content="one "), odd, event(content="two"), event(ended="stop")], kind="loud")
    assert heard.text() == heard.inner_text == "ONE TWO" and heard.error is None


@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_that_it_cannot_read_is_nonsense(stream):
    async def run() -> None:
        answers = {"/v1/chat/completions": lambda body: (200, b'{"content": 7}')}
        async with running_vendor(answers) as vendor, open_session(PRIVATE) as client:
            endpoint = make_endpoint(f"{vendor.url}/v1", kind="loud")
            call = call_of(make_route([endpoint]), stream=stream)
            with pytest.raises(UpstreamError) as caught:
                if stream:
                    [part async for part in pipeline.stream(call, collaborators(client))]
                await pipeline.complete(call, collaborators(client))
            assert caught.value.code == "upstream_invalid_response" and billed_usage(call)[1]

    asyncio.run(run())


def test_the_end_has_its_reason():
    heard = hear([event(content="one"), event(ended="MAX_TOKENS")], kind="loud")
    assert heard.deltas == [Text("ONE"), Finish("length")]
