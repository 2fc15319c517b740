"""Servers of this process, each told what to answer to which request, and a call that asks them."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.calls import Call
from tests.gateway.calling import collaborators
from tests.gateway.streaming import DONE, END, event, usage_event

Answer = Callable[[dict], tuple[int, object]]  # of a request's body: status, and JSON or bytes of a stream
FINE = (200, event({"content": "Hello"}) + END + usage_event(2) + DONE)
WHOLE = (200, {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]})
ILL = (500, {"error": {"message": "boom"}})
DEAD = (200, None)
BUSY = (429, {"error": {"message": "slow down"}})


@dataclass
class Server:
    """Where it listens, and what it was asked."""

    url: str
    seen: list[dict]


@contextlib.asynccontextmanager
async def serving(*answers: Answer | tuple[int, object]):
    """A server that answers its requests in turn; the last answer stays."""
    seen: list[dict] = []

    async def reply(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        seen.append(body)
        answer = answers[min(len(seen), len(answers)) - 1]
        status, content, *headers = answer(body) if callable(answer) else answer
        headers = headers[0] if headers else {}
        if content is None:  # it dies in the middle
            request.transport.close()
            return web.Response()
        if isinstance(content, bytes):
            return web.Response(
                status=status, body=content, content_type="text/event-stream", headers=headers
            )
        return web.json_response(content, status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", reply)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Server(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", seen)
    finally:
        await runner.cleanup()


async def ask(call: Call, **more) -> bytes:
    """The frames, or the answer; an error's code where there is none."""
    async with open_session(PRIVATE) as client:
        host = collaborators(client, **more)
        try:
            if not call.wants_stream:
                return await pipeline.complete(call, host)
            return b"".join([part async for part in pipeline.stream(call, host)])
        except AtriumError as exc:
            return exc.code.encode()
