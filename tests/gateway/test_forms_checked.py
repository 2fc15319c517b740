"""Whether a schema is one is told to those who may call, a few at a time."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from foundation.errors import InvalidInput, QuotaExceeded
from gateway import counting, pipeline
from gateway.bounds import Bound
from gateway.calls import Call
from gateway.operations.messages.count import OPERATION as COUNT
from gateway.state.in_flight import InFlight
from gateway.steps import verify
from tenants.measures import Measure
from tests.gateway.calling import collaborators, make_call
from tests.gateway.parsing import parse
from tests.gateway.speaking import parse as parse_messages
from tests.gateway.test_json_answers import of

BOUND = Bound("key", Measure.REQUESTS_PER_MINUTE, 1, "acme:key")


class Full:
    """Counters in which there is no room."""

    async def admit(self, bounds, tokens=0):
        raise QuotaExceeded("full", code="rate_limit_exceeded")


def wanting(schema) -> Call:
    call = make_call("http://nowhere/v1")
    call.form = parse(response_format=of(schema)).form
    return call


def snapshot_of(call: Call, *bounds: Bound) -> SimpleNamespace:
    return SimpleNamespace(
        bounds_of=lambda *_call: bounds,
        grants={},
        routes={"ours": call.route},
        policy_of=lambda _principal: "",
        candidates={},
    )


async def test_beyond_a_limit_no_schema_is_read():
    call = wanting({"title": "beyond a limit", "enum": []})
    host = collaborators(None, in_flight=InFlight(), limiter=Full())
    with pytest.raises(QuotaExceeded):
        await pipeline.prepare(call, snapshot_of(call, BOUND), host)
    assert not call.form.is_known
    assert (host.in_flight._all, host.in_flight._by_name) == (0, {})


async def test_a_call_whose_schema_is_none_leaves_its_place_and_holds_nothing():
    call = wanting({"title": "within", "enum": []})
    host = collaborators(None, in_flight=InFlight(), ledger=None)
    with pytest.raises(InvalidInput) as caught:
        await pipeline.prepare(call, snapshot_of(call), host)
    assert caught.value.param == "response_format.json_schema.schema.enum"
    assert call.form.is_known and (host.in_flight._all, host.in_flight._by_name) == (0, {})


async def test_few_schemas_are_read_at_once_and_known_ones_do_not_wait():
    release = threading.Event()
    begun = [verify._threads.submit(release.wait, 30) for _number in range(verify.MOST_AT_ONCE)]
    known, new = wanting({"title": "known"}), wanting({"title": "new"})
    known.form.verify()
    try:
        reading = asyncio.create_task(verify.verify(new))
        await verify.verify(known)
        looks = [await asyncio.to_thread(lambda: new.form.is_known) for _number in range(100)]
        assert not any(looks), "long answers have other threads"
    finally:
        release.set()
    await reading
    assert new.form.is_known and all(one.result(30) for one in begun)


async def test_a_form_is_checked_where_tokens_are_counted_too():
    form = {"type": "json_schema", "schema": {"title": "counted", "enum": []}}
    call = parse_messages(output_config={"format": form})
    call.operation = COUNT
    with pytest.raises(InvalidInput) as caught:
        await counting.prepare(call, snapshot_of(wanting({})))
    assert caught.value.param == "output_config.format.schema.enum"


def test_the_memory_of_schemas_is_bounded(monkeypatch):
    monkeypatch.setattr("gateway.operations.chat_completions.schemas.MOST_KNOWN", 3)
    forms = [wanting({"title": f"number {number}"}).form for number in range(5)]
    for form in forms:
        form.verify()
    assert [form.is_known for form in forms] == [False, False, True, True, True]
