"""A server that says just these bytes to whoever calls it: its status, its headers, its body in packets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.answers.sse import EventReader
from gateway.calls import Call
from tests.gateway.calling import collaborators, make_call
from usage.pricing import Usage


@dataclass
class Server:
    """Where it listens, and the heads of what it was asked."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)


@contextlib.asynccontextmanager
async def telling(
    *parts: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    server = Server()
    head = {"Content-Type": "application/json", "Connection": "close", **(headers or {})}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            server.heads.append(await reader.readuntil(b"\r\n\r\n"))
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            writer.write(f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode())
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server


@dataclass
class Told:
    """What a program gets: an answer's body or a stream's events, or an error; and what it pays."""

    call: Call
    body: bytes
    error: AtriumError | None
    asked: int  # how often the server was

    @property
    def answer(self) -> dict[str, Any]:
        assert self.error is None, self.error
        return json.loads(self.body)

    @property
    def message(self) -> dict[str, Any]:
        return self.answer["choices"][0]["message"]

    @property
    def events(self) -> list[dict[str, Any]]:
        assert self.error is None, self.error
        return [json.loads(data) for data in EventReader().feed(self.body) if data != b"[DONE]"]

    @property
    def text(self) -> str:
        """Of the answer, in one piece or in many."""
        if not self.call.wants_stream:
            return self.message["content"]
        deltas = (one["choices"][0]["delta"] for one in self.events if one.get("choices"))
        return "".join(delta.get("content") or "" for delta in deltas)

    @property
    def bill(self) -> tuple[Usage, bool]:
        return billed_usage(self.call)


def tell(
    *parts: bytes,
    stream: bool,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    wants_usage: bool = False,
    asking: Mapping[str, Any] | None = None,
    **endpoint: Any,
) -> Told:
    """A call of a server that says this. `asking`: more of the request's body."""

    async def run() -> Told:
        async with (
            telling(*parts, status=status, headers=headers) as server,
            open_session(PRIVATE) as client,
        ):
            call = make_call(server.url, stream=stream, max_tokens=8_000, **endpoint)
            call.wants_usage = wants_usage
            call.body |= asking or {}
            body, error = b"", None
            try:
                if stream:
                    async for part in pipeline.stream(call, collaborators(client)):
                        body += part
                else:
                    body = await pipeline.complete(call, collaborators(client))
            except AtriumError as exc:
                error = exc
            return Told(call, body, error, len(server.heads))

    return asyncio.run(run())


def whole(content: Any, **more: Any) -> bytes:
    """An answer in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return json.dumps({"id": "x", "choices": [choice], **more}).encode()


def data(event: Any) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"
