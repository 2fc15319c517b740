"""A call in Anthropic's dialect, of a server that answers these bytes: what its client reads, and what went
out.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.calls import Call, Principal
from gateway.operations import messages
from models_registry.routes import Candidate
from tests.doubles.vendor import Vendor, running_vendor
from tests.gateway.calling import collaborators, make_endpoint, make_route
from tests.gateway.telling import telling

PATHS = {"anthropic": "/v1/messages"}
USER = {"role": "user", "content": "hi"}
REQUEST = {"model": "ours", "max_tokens": 100, "messages": [USER]}
MARK = {"cache_control": {"type": "ephemeral"}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PDF = {
    "type": "document",
    "title": "A",
    "citations": {"enabled": True},
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
}
THOUGHT_BLOCK = {"type": "thinking", "thinking": "Hm.", "signature": "Eq"}
USED = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
GIVEN = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "42"}, PNG]}
TOOL = {"name": "f", "description": "F.", "input_schema": {"type": "object", "properties": {"a": {}}}}
OPENAIS_TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "F.", "parameters": TOOL["input_schema"]},
}


def text(said: str, **more) -> dict:
    return {"type": "text", "text": said, **more}


def turn(role: str, *content: dict) -> dict:
    return {"role": role, "content": list(content)}


HISTORY = [
    turn("user", text("Look.", **MARK), PNG, PDF),
    turn("assistant", THOUGHT_BLOCK, {"type": "redacted_thinking", "data": "Em"}, text("I look."), USED),
    turn("user", GIVEN | {"is_error": True, **MARK}, text("And?")),
]
FULL = {
    "system": [text("Be kind.", **MARK), text("Be short.")],
    "messages": HISTORY,
    "max_tokens": 5_000,
    "stop_sequences": ["END"],
    "top_p": 0.95,
    "tools": [TOOL | MARK],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2_000},
    "metadata": {"user_id": "u-1"},
}


@dataclass
class Spoken:
    call: Call
    body: bytes = b""
    error: AtriumError | None = None
    sent: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> dict[str, Any]:
        assert self.error is None, self.error
        return assemble(read_events(self.body)) if self.call.wants_stream else json.loads(self.body)

    @property
    def blocks(self) -> list[dict[str, Any]]:
        return self.message["content"]


def parse(**body: Any) -> Call:
    """A checked call of this request, of which REQUEST is the rest. Raises InvalidInput."""
    raw = json.dumps(REQUEST | body).encode()
    return messages.OPERATION.parse(raw, Principal("acme", uuid4(), uuid4()), uuid4())


def speak(
    said: bytes | list[bytes] | Callable[[dict], tuple[int, bytes]],
    *,
    kind: str = "openai_compatible",
    **body: Any,
) -> Spoken:
    """`said`: a list is sent packet by packet."""

    async def run() -> Spoken:
        if isinstance(said, list):
            there = telling(*said, headers={"Content-Type": "text/event-stream"})
        else:
            answer = said if callable(said) else lambda _body: (200, said)
            there = running_vendor({PATHS.get(kind, "/v1/chat/completions"): answer})
        async with there as vendor, open_session(PRIVATE) as client:
            call = parse(**body)
            route = make_route([make_endpoint(f"{vendor.url}/v1", kind=kind)], "claude-sonnet-4-5")
            call.candidates = [Candidate(route, target, route.name) for target in route.targets]
            call.begin_attempt(call.candidates[0])
            spoken = Spoken(call)
            try:
                if call.wants_stream:
                    async for part in pipeline.stream(call, collaborators(client)):
                        spoken.body += part
                else:
                    spoken.body = await pipeline.complete(call, collaborators(client))
            except AtriumError as exc:
                spoken.error = exc
            bodies = vendor.bodies if isinstance(vendor, Vendor) else []
            spoken.sent = bodies[-1] if bodies else {}
            return spoken

    return asyncio.run(run())


def read_events(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each with its name. AssertionError for foreign lines."""
    *events, rest = body.decode().split("\n\n")
    assert rest == "", f"it ends with {rest!r}"
    told = []
    for event in events:
        name, data = event.split("\n")
        told.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {told[-1]['type']}", event
    return told


def assemble(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a stream makes. AssertionError for one that is not well-formed."""
    first, *rest, before_last, last = [event for event in events if event["type"] != "ping"]
    assert (first["type"], before_last["type"], last["type"]) == (
        "message_start",
        "message_delta",
        "message_stop",
    )
    message, texts, is_open = first["message"], [], False
    for event in rest:
        if event["type"] == "content_block_start":
            assert not is_open and event["index"] == len(texts), event
            message["content"].append(event["content_block"])
            texts.append([])
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            (name,) = delta.keys() - {"type"}
            assert is_open and event["index"] == len(texts) - 1 and delta[name], event
            if name == "partial_json":
                texts[-1].append(delta[name])
            else:
                message["content"][-1][name] += delta[name]
        else:
            assert event["type"] == "content_block_stop" and is_open and event["index"] == len(texts) - 1
        is_open = event["type"] != "content_block_stop"
    assert not is_open
    for block, pieces in zip(message["content"], texts, strict=True):
        if block["type"] == "tool_use":
            assert block["input"] == {}
            try:
                block["input"] = json.loads("".join(pieces))
            except ValueError:
                assert before_last["delta"]["stop_reason"] == "max_tokens", pieces
    return message | before_last["delta"] | {"usage": message["usage"] | before_last["usage"]}
