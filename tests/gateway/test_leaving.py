"""Clients that leave before an answer in one piece has come."""

import asyncio
import threading
from decimal import Decimal
from types import SimpleNamespace

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from gateway import pipeline, request
from gateway.http import ClientGone
from gateway.operations.chat_completions import ChatCompletions
from tests.gateway.bills import Bills
from tests.gateway.calling import call_of, collaborators, make_call, make_endpoint, make_route
from tests.gateway.streaming import server, whole
from usage.pricing import Usage


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
    await request.answer_whole(SimpleNamespace(scope={}, receive=receive, answer=answer), making, call)
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


class Slowly(ChatCompletions):
    """Reads an answer only when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_go_on = threading.Event()

    def read_answer(self, call, raw):
        self.begun.set()
        self.may_go_on.wait(20)
        return super().read_answer(call, raw)


async def test_an_answer_that_is_being_read_costs_what_it_says(monkeypatch):
    """A long one is read in a thread, which the end of its caller does not stop."""
    monkeypatch.setattr("gateway.steps.relay.MAX_BYTES_AT_ONCE", 0)
    slowly, books = Slowly(), Bills()
    async with server(whole({"content": "Hi"}, usage={"prompt_tokens": 7, "completion_tokens": 2})) as port:
        call = make_call(f"http://127.0.0.1:{port}/v1", stream=False)
        call.operation, call.held = slowly, Decimal(1)
        async with open_session(PRIVATE) as client:
            asking = asyncio.create_task(pipeline.complete(call, collaborators(client, ledger=books)))
            await asyncio.to_thread(slowly.begun.wait, 20)
            asking.cancel()
            await asyncio.sleep(0.05)
            slowly.may_go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await asking
    assert [(bill.status, bill.usage, bill.estimated) for bill in books.bills] == [
        ("cancelled", Usage(7, 0, 2, 0), False)
    ]
