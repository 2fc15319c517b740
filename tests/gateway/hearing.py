"""The bytes of one stream, heard through both doors: `/v1` and the house's own rooms."""

import asyncio
import json

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.answers.frames import error_frame
from gateway.answers.sse import EventReader
from gateway.calls import Call
from gateway.deltas import Reasoning, Text, TextWasReasoning
from tests.gateway import calling
from tests.gateway.calling import collaborators
from tests.gateway.streaming import event, server

PING = b'data: {"type": "ping"}\n\n'
ROLE = event({"role": "assistant", "content": ""})


def choice(**fields) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **fields}]}).encode() + b"\n\n"


class Heard:
    """What a client of `/v1` and a room of the house got of the same bytes."""

    def __init__(self, frames: bytes, deltas: list, call: Call, inside: Call) -> None:
        self.events = [json.loads(data) for data in EventReader().feed(frames) if data != b"[DONE]"]
        self.frames = frames
        self.deltas = deltas
        self.call = call
        self.inside = inside
        self.chunks = [one for one in self.events if "error" not in one]

    @property
    def error(self) -> dict | None:
        return next((one["error"] for one in self.events if "error" in one), None)

    def text(self, name: str = "content") -> str:
        deltas = (one["choices"][0]["delta"] for one in self.chunks if one["choices"])
        return "".join(delta.get(name) or "" for delta in deltas)

    @property
    def inner_text(self) -> str:
        return self._inside()[0]

    @property
    def inner_reasoning(self) -> str:
        return self._inside()[1]

    def _inside(self) -> tuple[str, str]:
        text = thoughts = ""
        for delta in self.deltas:
            if isinstance(delta, Text):
                text += delta.text
            elif isinstance(delta, Reasoning):
                thoughts += delta.text
            elif isinstance(delta, TextWasReasoning):
                text, thoughts = "", thoughts + text
        return text, thoughts

    @property
    def usage(self) -> tuple[int, int, int, int]:
        usage, is_estimated = billed_usage(self.call)
        assert not is_estimated
        return usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens


async def _hear(parts: list[bytes], wants_usage: bool, then_wait: bool = False, **endpoint) -> Heard:
    async with open_session(PRIVATE) as client:
        async with server(parts, then_wait=then_wait) as port:
            call = calling.make_call(f"http://127.0.0.1:{port}", max_tokens=8_000, **endpoint)
            call.wants_usage = wants_usage
            frames = b""
            try:
                async for part in pipeline.stream(call, collaborators(client)):
                    frames += part
            except AtriumError as exc:
                frames += error_frame(exc)
        async with server(parts, then_wait=then_wait) as port:
            inside = calling.make_call(f"http://127.0.0.1:{port}", max_tokens=8_000, **endpoint)
            deltas: list = []
            try:
                async for delta in pipeline.deltas(inside, collaborators(client)):
                    deltas.append(delta)
            except AtriumError as exc:
                deltas.append(exc)
        return Heard(frames, deltas, call, inside)


def hear(parts: list[bytes], *, wants_usage: bool = False, **endpoint) -> Heard:
    """`endpoint`: `then_wait`, and its fields, such as the kind of its provider."""
    return asyncio.run(_hear(parts, wants_usage, **endpoint))
