"""A Redis client that loses a cancellation, as redis-py does now and then before Python 3.12: answers still end, and can be stopped."""

import asyncio
from types import SimpleNamespace
from uuid import uuid4

import orjson
import pytest

from gateway.sse import DONE, frame
from prompts import answers, events


class StubbornPipeline:
    """Takes a moment for everything, and swallows what should cancel it."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def xadd(self, _key: str, fields: dict[str, str]) -> None:
        self.sent.append(fields.get("text", ""))

    def expire(self, _key: str, _seconds: int) -> None: ...

    def delete(self, *_keys: str) -> None: ...

    async def execute(self) -> None:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)

    async def __aenter__(self) -> "StubbornPipeline":
        return self

    async def __aexit__(self, *_exception: object) -> None: ...


@pytest.fixture
def host():
    pipeline = StubbornPipeline()
    redis = SimpleNamespace(pipeline=lambda **_options: pipeline)
    return SimpleNamespace(redis=redis, pipeline=pipeline)


async def words(count: int, pause_s: float):
    for number in range(count):
        await asyncio.sleep(pause_s)
        yield frame(orjson.dumps({"choices": [{"delta": {"content": f"w{number} "}}]}))
    yield frame(DONE)


@pytest.mark.parametrize("count", range(8, 14))
async def test_an_answer_ends_whatever_its_publisher_is_doing(host, count):
    answer = answers.Answer("acme", uuid4(), uuid4(), "mock", "en", uuid4())
    async with asyncio.timeout(10):
        await answers._follow(host, answer, words(count, 0.011))
    assert "".join(host.pipeline.sent) == answer.text == "".join(f"w{number} " for number in range(count)), "each piece once, in order"


async def test_a_request_to_stop_is_not_lost_in_redis(host):
    sending = asyncio.create_task(events.begin(host.redis, "acme", uuid4(), ""))
    await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
