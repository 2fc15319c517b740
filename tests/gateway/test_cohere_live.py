"""A provider with a protocol of its own behind the running house: the official client, and the bill."""

from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async

from tests.doubles.cohere import answer_chat, answer_vectors
from tests.doubles.vendor import running_vendor
from tests.gateway.connecting import connected
from tests.gateway.living import HELLO, ONE, events_of

pytestmark = pytest.mark.scope(None)
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


async def test_the_official_client_speaks_with_cohere_through_the_house(house):
    models = {"command-a": "chat", "embed-v4.0": "embedding"}
    async with (
        running_vendor({"/v2/chat": answer_chat, "/v2/embed": answer_vectors}) as vendor,
        connected("cohere", f"{vendor.url}/v2", models, input=Decimal(1), output=Decimal(2)),
        house.async_client() as client,
    ):
        stream = await client.chat.completions.create(
            model="command-a", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        whole = await client.chat.completions.create(model="command-a", messages=HELLO, tools=[TOOL])
        vectors = await client.embeddings.create(model="embed-v4.0", input=["one", "two"])
    said = [one.choices[0].delta for one in chunks if one.choices]
    assert "".join(delta.content or "" for delta in said) == 'Paris "à"'
    assert [one.usage.total_tokens for one in chunks if one.usage] == [29]
    (call,) = whole.choices[0].message.tool_calls
    assert (call.function.name, whole.choices[0].finish_reason) == ("weather", "tool_calls")
    assert [one.embedding for one in vectors.data] == [[0.5, 0.25]] * 2
    events = await sync_to_async(events_of)(ONE, 3)
    billed = [(one.model, one.input_tokens, one.output_tokens, one.cost, one.estimated) for one in events]
    assert billed == [
        ("embed-v4.0", 5, 0, Decimal("0.000005"), False),
        ("command-a", 17, 12, Decimal("0.000041"), False),
        ("command-a", 17, 12, Decimal("0.000041"), False),
    ]
