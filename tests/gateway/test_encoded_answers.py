"""Answers that a server compresses, though nobody asked for it."""

import gzip
import json
import zlib

import pytest

from gateway.answers.decoding import MAX_STEP_BYTES, Decoder
from tests.gateway.asking import ask, serving
from tests.gateway.calling import make_call
from tests.gateway.streaming import DONE, END, event
from tests.gateway.telling import telling, whole

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


@pytest.mark.parametrize("cut", [1, 20, len(WHOLE) - 1])
def test_members_of_gzip_follow_one_another_wherever_they_are_cut(cut):
    packed = gzip.compress(WHOLE[:cut]) + gzip.compress(WHOLE[cut:]) + b"\0" * 8
    for size in (1, 7, len(packed)):
        decoder, text = Decoder("gzip"), b""
        for at in range(0, len(packed), size):
            text += decoder.decode(packed[at : at + size])
            while decoder.has_more:
                text += decoder.decode(b"")
        assert text == WHOLE


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_in_several_members_is_whole(stream):
    said = STREAM if stream else WHOLE
    packed = gzip.compress(said[:30]) + gzip.compress(said[30:])
    async with serving((200, packed, {"Content-Encoding": "gzip"})) as server:
        assert b"Hello" in await ask(make_call(server.url, stream=stream))


@pytest.mark.parametrize("header", ["GZIP", "gzip, identity", "identity, gzip", "gzip;q=1", " x-gzip "])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_header_is_written_in_many_ways(header, stream):
    packed = gzip.compress(STREAM if stream else WHOLE)
    async with serving((200, packed, {"Content-Encoding": header})) as server:
        assert b"Hello" in await ask(make_call(server.url, stream=stream))


@pytest.mark.parametrize("header", ["aws-chunked", "utf-8", "none", "Identity", "gzip", ""])
@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_not_packed_is_read_whatever_the_header_says(header, stream):
    """Proxies unpack and forget the header; storage and frameworks write other headers' words into it."""
    async with serving((200, STREAM if stream else WHOLE, {"Content-Encoding": header})) as server:
        assert b"Hello" in await ask(make_call(server.url, stream=stream))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br", "rot13"])
async def test_an_encoding_that_nobody_asked_for_is_named(encoding):
    async with serving((200, b"x" * 50, {"Content-Encoding": encoding})) as server:
        call = make_call(server.url, stream=False)
        assert await ask(call) == b"upstream_invalid_response" and encoding in call.error_message


@pytest.mark.parametrize("name", PACKERS)
async def test_the_reason_of_a_refusal_is_unpacked(name):
    packed = PACKERS[name](b'{"error": {"message": "temperature is odd"}}')
    async with serving((400, packed, {"Content-Encoding": name.removeprefix("raw ")})) as server:
        call = make_call(server.url)
        await ask(call)
        assert "temperature is odd" in call.error_message


async def test_a_refusal_that_unpacks_without_end_is_read_to_a_bound():
    """Its checksum is wrong: who reads to the end finds no sense in it, and no reason."""
    bomb = gzip.compress(b"temperature is odd" + b" " * 1_000_000)[:-8] + b"\0" * 8
    async with serving((400, bomb, {"Content-Encoding": "gzip"})) as server:
        call = make_call(server.url)
        assert await ask(call) == b"upstream_invalid_request"
    assert "temperature is odd" in call.error_message


async def test_no_encoding_is_asked_for():
    async with telling(whole("Hello")) as server:
        await ask(make_call(server.url, stream=False))
        assert server.heads[0].lower().count(b"accept-encoding:") == 1
        assert b"accept-encoding: identity\r\n" in server.heads[0].lower()
