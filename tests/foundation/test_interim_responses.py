"""Responses before the answer (RFC 9110, 15.2): a few are left out, and no server sends them for ever."""

import asyncio
import contextlib

import aiohttp
import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import MOST_INTERIM, open_session

HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.asynccontextmanager
async def server(parts, then_on: bytes = b""):
    """Sends these bytes, and then the others until it is left."""

    async def answer(reader, writer) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"".join(parts))
            while then_on:
                writer.write(then_on)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


async def ask(url: str) -> str:
    async with open_session(PRIVATE) as client, client.get(url) as response:
        return await response.text()


@pytest.mark.parametrize("count", [1, MOST_INTERIM - 1])
async def test_some_are_left_out(count):
    async with server([HINT * count, ANSWER]) as url:
        assert await ask(url) == "ok"


@pytest.mark.timeout(60)
async def test_one_who_sends_them_for_ever_is_left_and_holds_nobody_up():
    async with server([], then_on=HINT * 500) as url:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(url)
