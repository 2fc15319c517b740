"""The named reference: the least a Python gateway can do. Raw ASGI and aiohttp, a fixed bearer, the body
parsed, the usage read; no limits, no ledger.

BENCH_UPSTREAM=http://127.0.0.1:9000/v1 BENCH_KEY=secret python -m bench.passthrough FD serves on an inherited
listening socket
"""

from __future__ import annotations

import hmac
import os
import socket
import sys

import aiohttp
import orjson
import uvicorn

UPSTREAM = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:9000/v1")
EXPECTED = f"Bearer {os.environ.get('BENCH_KEY', 'secret')}".encode()
JSON_HEADERS = [(b"content-type", b"application/json")]
SSE_HEADERS = [(b"content-type", b"text/event-stream")]
UPSTREAM_HEADERS = {"authorization": "Bearer upstream", "content-type": "application/json"}

session: aiohttp.ClientSession


async def app(scope, receive, send):
    """The whole gateway."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    if not hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), EXPECTED):
        await answer(send, 401, b'{"error":{"message":"no"}}')
        return
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message.get("more_body"):
            break
    call = orjson.loads(body)
    async with session.post(UPSTREAM + "/chat/completions", data=body, headers=UPSTREAM_HEADERS) as upstream:
        if call.get("stream"):
            await relay(upstream, send)
            return
        payload = await upstream.read()
        assert orjson.loads(payload)["usage"]["completion_tokens"]
        await answer(send, upstream.status, payload)


async def answer(send, status: int, body: bytes) -> None:
    """A whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*JSON_HEADERS, (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def relay(upstream: aiohttp.ClientResponse, send) -> None:
    """A stream, passed on unparsed; only its tail is kept, for the usage."""
    await send({"type": "http.response.start", "status": upstream.status, "headers": SSE_HEADERS})
    tail = b""
    async for data in upstream.content.iter_any():
        tail = (tail + data)[-2048:]
        await send({"type": "http.response.body", "body": data, "more_body": True})
    assert b'"completion_tokens"' in tail
    await send({"type": "http.response.body", "body": b""})


async def lifespan(receive, send) -> None:
    """One client session for the life of the process."""
    global session
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
            )
            await send({"type": "lifespan.startup.complete"})
        else:
            await session.close()
            await send({"type": "lifespan.shutdown.complete"})
            return


if __name__ == "__main__":
    # not uvicorn's own fd option: it takes the socket for a Unix one, leaves Nagle's algorithm on, and
    # every answer waits 40 ms for an ACK
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
