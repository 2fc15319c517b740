"""A Redis client that loses a cancellation, as redis-py does now and then before Python 3.12:
answers still end, and can be stopped.
"""

import asyncio
from types import SimpleNamespace
from uuid import uuid4

import pytest

from gateway.deltas import Finish, Text
from prompts import answers, events


class StubbornRedis:
    """What it takes first, it takes slowly, and it swallows what should cancel that."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_executing = asyncio.Event()

    def pipeline(self, **_options: object) -> "StubbornPipeline":
        return StubbornPipeline(self)


class StubbornPipeline:
    def __init__(self, redis: StubbornRedis) -> None:
        self._redis = redis
        self._texts = []

    def xadd(self, _key: str, fields: dict[str, str]) -> None:
        self._texts.append(fields.get("text", ""))

    def expire(self, _key: str, _seconds: int) -> None: ...

    def delete(self, *_keys: str) -> None: ...

    async def execute(self) -> None:
        if not self._redis.is_executing.is_set():
            self._redis.is_executing.set()
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                await asyncio.sleep(0.1)
        self._redis.sent += self._texts

    async def __aenter__(self) -> "StubbornPipeline":
        return self

    async def __aexit__(self, *_exception: object) -> None: ...


async def test_an_answer_that_ends_while_its_publisher_sends_arrives_whole_and_in_order():
    redis, answer = StubbornRedis(), answers.Answer("acme", uuid4(), uuid4(), "mock", "en", uuid4())

    async def deltas():
        yield Text("first ")
        await redis.is_executing.wait()
        yield Text("last")
        yield Finish("stop")

    async with asyncio.timeout(10):
        await answers._follow(SimpleNamespace(redis=redis), answer, deltas())
    assert redis.sent == ["first ", "last"] and answer.draft.text == "first last"


async def test_a_request_to_stop_is_not_lost_in_redis():
    redis = StubbornRedis()
    sending = asyncio.create_task(events.begin(redis, "acme", uuid4(), []))
    await redis.is_executing.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
