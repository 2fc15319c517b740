"""Vendors that speak OpenAI's API with words of their own behind the running house: the official client, and
the bill.
"""

from decimal import Decimal

import anthropic
import pytest
from asgiref.sync import sync_to_async

from tests.doubles.vendor import running_vendor
from tests.doubles.vendors import DEEPSEEK, TEXT, THOUGHT, VENDORS
from tests.gateway.connecting import connected
from tests.gateway.living import HELLO, ONE, events_of

pytestmark = pytest.mark.scope(None)
PRICES = {"input": Decimal(1), "cached": Decimal("0.1"), "output": Decimal(2), "reasoning": Decimal(3)}


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.kind)
async def test_the_official_client_speaks_with_a_vendor_through_the_house(house, vendor):
    async with (
        running_vendor(vendor.routes) as running,
        connected(vendor.kind, f"{running.url}{vendor.base}", {"theirs": "chat"}, **PRICES),
        house.async_client() as client,
    ):
        stream = await client.chat.completions.create(
            model="theirs", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        whole = await client.chat.completions.create(model="theirs", messages=HELLO)
    said = [one.choices[0].delta for one in chunks if one.choices]
    assert "".join(delta.content or "" for delta in said) == TEXT == whole.choices[0].message.content
    assert [one.usage.total_tokens for one in chunks if one.usage] == [sum(vendor.usage)]
    assert whole.usage.total_tokens == sum(vendor.usage) and len(running.asked) == 2
    cost = sum(count * price for count, price in zip(vendor.usage, PRICES.values(), strict=True)) / 1_000_000
    for event in await sync_to_async(events_of)(ONE, 2):
        counted = event.input_tokens, event.cached_tokens, event.output_tokens, event.reasoning_tokens
        assert (counted, event.cost, event.estimated) == (vendor.usage, cost, False)


async def test_anthropics_client_gives_deepseek_its_thoughts_back(house):
    """As Claude Code does; without them DeepSeek refuses the call of a tool."""
    tool = {"name": "weather", "input_schema": {"type": "object", "properties": {"at": {"type": "integer"}}}}
    asked = {"model": "theirs", "max_tokens": 100, "tools": [tool]}
    address, key = house.base_url.removesuffix("/v1"), house.keys[ONE]
    async with (
        running_vendor(DEEPSEEK.routes) as running,
        connected("deepseek", f"{running.url}/v1", {"theirs": "chat"}, **PRICES),
        anthropic.AsyncAnthropic(base_url=address, api_key=key, max_retries=0) as client,
    ):
        said = await client.messages.create(messages=HELLO, **asked)
        thought = said.content[0]
        used = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"at": 1}}
        given = {"type": "tool_result", "tool_use_id": "t1", "content": "rain"}
        history = [{"role": "assistant", "content": [thought, used]}, {"role": "user", "content": [given]}]
        answer = await client.messages.create(messages=[*HELLO, *history], **asked)
    assert (thought.type, thought.thinking, answer.content[-1].text) == ("thinking", THOUGHT, TEXT)
    body = running.bodies[-1]
    assert body["messages"][1]["reasoning_content"] == THOUGHT and "thinking" not in body
