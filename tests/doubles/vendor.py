"""A vendor's API on a real socket: for each path a function, perhaps a coroutine's, that answers a request's
body with a status and the bytes that the vendor's documentation shows, perhaps with headers.

    async with running_vendor({"/v1/embeddings": answer}) as vendor:
        ...                                # vendor.url, vendor.asked
"""

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Said = tuple[int, bytes] | tuple[int, bytes, Mapping[str, str]]
Answer = Callable[[dict[str, Any]], Said | Awaitable[Said]]


@dataclass
class Asked:
    path: str
    key: str
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


@dataclass
class Vendor:
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [one.body for one in self.asked]


@contextlib.asynccontextmanager
async def running_vendor(answers: Mapping[str, Answer]) -> AsyncIterator[Vendor]:
    """`url` ends before the paths begin. What begins like an event goes out as a stream."""
    vendor = Vendor()

    async def reply(request: web.Request) -> web.Response:
        body = await request.json()
        key = request.headers.get("Authorization", "")
        vendor.asked.append(Asked(request.path, key, body, request.headers, request.query_string))
        said = answers[request.path](body)
        status, content, *more = await said if inspect.isawaitable(said) else said
        kind = "application/json" if content.startswith(b"{") else "text/event-stream"
        headers = {"Content-Type": kind, **(more[0] if more else {})}
        return web.Response(status=status, body=content, headers=headers)

    app = web.Application()
    for path in answers:
        app.router.add_post(path, reply)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    vendor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield vendor
    finally:
        await runner.cleanup()
