"""Answers that a server compresses, though nobody asked for it."""

import gzip
import json
import zlib

import pytest

from foundation.errors import UpstreamError
from gateway.answers.decoding import MAX_STEP_BYTES, Decoder
from tests.gateway.calling import make_call
from tests.gateway.test_asking_again import ask, serving
from tests.gateway.test_estimates import DONE, END, event

STREAM = event({"content": "Hello"}) + END + DONE
WHOLE = json.dumps(
    {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
).encode()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", PACKERS)
async def test_it_is_unpacked(name, stream):
    packed = PACKERS[name](STREAM if stream else WHOLE)
    async with serving((200, packed, {"Content-Encoding": name.removeprefix("raw ")})) as server:
        assert b"Hello" in await ask(make_call(server.url, stream=stream))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("encoding", "body"), [("br", b"x" * 50), ("gzip", b"no gzip at all"), ("zstd", STREAM)]
)
async def test_what_cannot_be_unpacked_makes_no_sense(encoding, body, stream):
    async with serving((200, body, {"Content-Encoding": encoding})) as server:
        assert await ask(make_call(server.url, stream=stream)) == b"upstream_invalid_response"


def test_a_bomb_is_unpacked_in_steps():
    decoder = Decoder("gzip")
    sizes = [len(decoder.decode(gzip.compress(b"\0" * 50_000_000)))]
    while decoder.has_more:
        sizes.append(len(decoder.decode(b"")))
    assert max(sizes) <= MAX_STEP_BYTES and sum(sizes) == 50_000_000


@pytest.mark.parametrize("stream", [True, False])
async def test_a_bomb_is_an_answer_that_is_too_long(stream):
    bomb = gzip.compress(b" " * 400_000_000, compresslevel=1)
    async with serving((200, bomb, {"Content-Encoding": "gzip"})) as server:
        assert (await ask(make_call(server.url, stream=stream))).startswith(b"upstream_")


def test_each_byte_alone_is_unpacked_too():
    decoder = Decoder("gzip")
    packed = gzip.compress(STREAM)
    assert b"".join(decoder.decode(packed[at : at + 1]) for at in range(len(packed))) == STREAM
    with pytest.raises(UpstreamError):
        Decoder("br").decode(b"x")
