"""Calls that go out to an upstream, and come back as clients of OpenAI's read them."""

import asyncio
import json

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from gateway.answers.frames import Frames
from gateway.answers.sse import EventReader
from gateway.calls import Call
from gateway.state.quirks import Quirks
from gateway.steps.dispatch import dispatch
from gateway.steps.relay import read_answer, relay
from tests.gateway.calling import make_call


def relayed(response, call=None):
    """What goes out to a client of OpenAI's."""
    call = call or make_call("http://nowhere/v1")
    return relay(call, response, Frames(call))


async def _send(call: Call, pause_s: float = 0.0) -> bytes:
    async with open_session(PRIVATE) as client, dispatch(call, client, Quirks()) as response:
        if not call.wants_stream:
            return await read_answer(call, response)
        parts = []
        async for part in relayed(response, call):
            parts.append(part)
            await asyncio.sleep(pause_s)
        return b"".join(parts)


def send(call: Call, pause_s: float = 0.0) -> bytes:
    return asyncio.run(_send(call, pause_s))


class Chunks:
    """The body of a response that comes in just these pieces."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)

    async def readany(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""


def events_of(stream: bytes) -> list[dict]:
    return [json.loads(data) for data in EventReader().feed(stream)]
