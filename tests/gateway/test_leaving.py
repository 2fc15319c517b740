"""Clients that leave before an answer in one piece has come."""

import asyncio
from types import SimpleNamespace

import pytest

from gateway import request
from gateway.http import ClientGone
from tests.gateway.calling import call_of, make_endpoint, make_route


async def leave(making, monkeypatch, read_on_s: float) -> list[bytes]:
    """What is sent to a client who leaves at once."""
    monkeypatch.setattr(request, "READ_ON_S", read_on_s)
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def answer(body, headers):
        sent.append(body)

    call = call_of(make_route([make_endpoint("http://localhost:1")]))
    call.begin_attempt(call.candidates[0])
    await request.answer_whole(SimpleNamespace(receive=receive, answer=answer), making, call)
    return sent


async def test_an_answer_that_comes_soon_is_read_to_its_end(monkeypatch):
    async def making():
        await asyncio.sleep(0.05)
        return b"{}"

    assert await leave(making(), monkeypatch, read_on_s=20) == [b"{}"]


async def test_one_that_does_not_come_is_ended(monkeypatch):
    ended = asyncio.Event()

    async def making():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(ClientGone):
        await leave(making(), monkeypatch, read_on_s=0.05)
    assert ended.is_set()
