"""A small server that sends just the bytes of each case, and the events that streams are made of."""

import asyncio
import contextlib
import json

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.calls import Call
from tests.gateway import calling
from tests.gateway.calling import collaborators
from usage.pricing import Usage

WORDS = "word " * 4_000  # 20,000 bytes
TEXT = 20_000 // 4


def cut(pieces: int) -> list[str]:
    size = len(WORDS) // pieces
    return [WORDS[start : start + size] for start in range(0, len(WORDS), size)]


def event(delta: dict, **more) -> bytes:
    return (
        b"data: "
        + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}).encode()
        + b"\n\n"
    )


def usage_event(completion: int, prompt: int = 7, **more) -> bytes:
    return (
        b"data: "
        + json.dumps(
            {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}, **more}
        ).encode()
        + b"\n\n"
    )


END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"message": "out of memory"}}\n\n'


@contextlib.asynccontextmanager
async def server(
    parts: list[bytes],
    *,
    then_wait: bool = False,
    kind: str = "text/event-stream",
    has_answered: asyncio.Event | None = None,
):
    """An upstream that sends these bytes, each in a packet of its own, and then ends or falls silent."""

    async def answer(reader, writer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)
            if has_answered:
                has_answered.set()
            if then_wait:
                await reader.read()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def make_call(port: int, *, stream: bool, max_tokens: int = 8_000) -> Call:
    return calling.make_call(f"http://127.0.0.1:{port}", stream=stream, max_tokens=max_tokens)


async def _bill(parts: list[bytes], leaves_after: int | None, then_wait: bool) -> tuple[Usage, bool]:
    async with server(parts, then_wait=then_wait) as port, open_session(PRIVATE) as client:
        call = make_call(port, stream=True)
        frames = pipeline.stream(call, collaborators(client))
        got = 0
        with contextlib.suppress(AtriumError):
            async for frame in frames:
                got += frame.count(b"word")
                if leaves_after is not None and got >= leaves_after:
                    break
        await frames.aclose()
        return billed_usage(call)


def bill(parts: list[bytes], leaves_after: int | None = None, *, then_wait: bool = False) -> tuple[int, bool]:
    """(output tokens billed, whether by estimate) of a stream that is read to its end, or left after so many
    words.
    """
    usage, is_estimated = asyncio.run(_bill(parts, leaves_after, then_wait))
    return usage.output_tokens + usage.reasoning_tokens, is_estimated


async def answer_whole(parts: list[bytes], *, leaves: bool) -> Call:
    has_answered = asyncio.Event()
    async with (
        server(parts, kind="application/json", then_wait=leaves, has_answered=has_answered) as port,
        open_session(PRIVATE) as client,
    ):
        call = make_call(port, stream=False)
        task = asyncio.create_task(pipeline.complete(call, collaborators(client)))
        if leaves:
            async with asyncio.timeout(30):
                await has_answered.wait()
            task.cancel()
        with contextlib.suppress(AtriumError, asyncio.CancelledError):
            await task
        return call


def whole(message: dict, **more) -> list[bytes]:
    return [
        json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **more}).encode()
    ]
