"""Images, sound, files and tool calls in messages: what is none is refused by the place where it stands."""

import base64
from uuid import uuid4

import orjson
import pytest

from foundation.errors import InvalidInput
from tests.gateway.parsing import parse
from tests.gateway.speaking import parse as parse_messages

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
PLACE = "messages[0].content[0]"


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def image(url, **more) -> dict:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64(content)}"


def boxed(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + bytes(12)


def sound(content: bytes, kind: str = "wav") -> dict:
    return {"type": "input_audio", "input_audio": {"data": b64(content), "format": kind}}


def file(**fields) -> dict:
    return {"type": "file", "file": fields}


def send(*parts):
    return parse(messages=[{"role": "user", "content": list(parts)}])


@pytest.mark.parametrize(
    "part",
    [
        image("https://example.com/a.png", detail="low"),
        image("HTTP://example.com/a.png"),
        image(data_url(PNG)),
        image(data_url(b"\xff\xd8\xff\xe0" + bytes(9), "image/jpeg")),
        image(
            data_url(b"\xff\xd8\xff\xe0" + bytes(9), "image/png")
        ),  # the wrong one of two is still an image
        image(data_url(b"GIF89a" + bytes(9), "image/gif")),
        image(data_url(b"RIFF" + bytes(4) + b"WEBPVP8 ", "image/webp")),
        image(data_url(PNG).rstrip("=")),
        image(data_url(PNG)[:40] + "\r\n" + data_url(PNG)[40:]),
        image(data_url(PNG).replace("=", "%3D")),
        image("data:image/png;charset=utf-8;base64," + b64(PNG)),
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        sound(b"RIFF" + bytes(4) + b"WAVEfmt "),
        sound(b"ID3" + bytes(9), "mp3"),
        sound(b"\xff\xf3" + bytes(9), "mp3"),
        sound(b"fLaC" + bytes(9), "flac"),
        file(file_id="file-1"),
        file(file_data=data_url(b"%PDF-1.7", "application/pdf"), filename="a.pdf"),
        file(file_data=data_url(b"a,b", "text/csv"), filename="a.csv"),
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "of_another_kind", "of_another_kind": 7},
        {"type": "of_another_kind", "url": "https://example.com/a"},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "text", "text": "x", "uuid": "u", "image_url": {"url": "https://example.com/a.png"}},
        *(image(data_url(boxed(brand), "image/heic")) for brand in (b"avif", b"heic", b"mif1", b"hevc")),
    ],
)
def test_what_is_one_passes_as_it_is(part):
    call = send(part)
    assert call.has_media and call.body["messages"][0]["content"] == [part]


IMAGE = f"{PLACE}.image_url.url"


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"type": "image_url"}, f"{PLACE}.image_url"),
        (image(7), IMAGE),
        (image(""), IMAGE),
        (image("ftp://example.com/a.png"), IMAGE),
        (image("file:///etc/passwd"), IMAGE),
        (image("a.png"), IMAGE),
        (image(b64(PNG)), IMAGE),
        (image("data:image/png," + b64(PNG)), IMAGE),
        (image("data:image/png;base64"), IMAGE),
        (image("data:image/png;base64,"), IMAGE),
        (image("data:image/png;base64,!!!!"), IMAGE),
        (image("data:image/png;base64,ä"), IMAGE),
        (image(data_url(PNG).replace("GgoA", "Ggo!A")), IMAGE),
        (image(data_url(b"hello, I am no picture")), IMAGE),
        (image(data_url(PNG, "image/svg+xml")), IMAGE),
        (image(data_url(PNG, "text/html")), IMAGE),
        ({"type": "image_url", "image_url": "nowhere"}, f"{PLACE}.image_url"),
        ({"type": "input_audio"}, f"{PLACE}.input_audio"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA"}}, f"{PLACE}.input_audio.format"),
        (sound(b"no sound at all"), f"{PLACE}.input_audio.data"),
        (sound(b"RIFF" + bytes(4) + b"WAVEfmt ", "mp3"), f"{PLACE}.input_audio.data"),
        ({"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}, f"{PLACE}.input_audio.data"),
        ({"type": "file"}, f"{PLACE}.file"),
        (file(filename="a"), f"{PLACE}.file"),
        (file(file_data="data:application/pdf;base64,?"), f"{PLACE}.file.file_data"),
        (file(file_data=data_url(b"no pdf", "application/pdf")), f"{PLACE}.file.file_data"),
        ({"type": "video_url", "video_url": {"url": "javascript:1"}}, f"{PLACE}.video_url.url"),
        *((image(data_url(boxed(brand), "image/avif")), IMAGE) for brand in (b"isom", b"mp42", b"qt  ")),
        ({}, f"{PLACE}.type"),
        ({"type": None, "image_url": "https://example.com/a.png"}, f"{PLACE}.type"),
        ({"image_url": "https://example.com/a.png"}, f"{PLACE}.type"),
        ({"type": "text", "text": "x", "image_url": "file:///etc/passwd"}, f"{PLACE}.image_url"),
        ({"type": "input_image", "image_url": data_url(b"no picture")}, f"{PLACE}.image_url"),
        ({"type": "of_another_kind", "url": " file:///etc/passwd"}, f"{PLACE}.url"),
    ],
)
def test_what_is_none_is_named_by_its_place(part, place):
    with pytest.raises(InvalidInput) as caught:
        send(part)
    assert caught.value.param == place and caught.value.http_status == 400


def test_the_place_counts_messages_and_parts():
    text = {"type": "text", "text": "look"}
    with pytest.raises(InvalidInput) as caught:
        parse(
            messages=[
                {"role": "system", "content": "x"},
                {"role": "user", "content": [text, image(data_url(PNG)), image("nowhere")]},
            ]
        )
    assert caught.value.param == "messages[1].content[2].image_url.url"


def called(arguments) -> list[dict]:
    function = {"name": "f", "arguments": arguments}
    call = {"id": "c", "type": "function", "function": function}
    return [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}]


@pytest.mark.parametrize("arguments", ["{", "f(1)", '{"a": NaN}', "{'a': 1}"])
def test_a_tool_call_whose_arguments_are_no_json_is_named_by_its_place(arguments):
    with pytest.raises(InvalidInput) as caught:
        parse(messages=called(arguments))
    assert caught.value.param == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"tool_calls": [{}]}, "tool_calls[0].function"),
        ({"tool_calls": [{"type": "function", "function": "f"}]}, "tool_calls[0].function"),
        ({"tool_calls": [{"function": {"arguments": "{}"}}]}, "tool_calls[0].function.name"),
        ({"tool_calls": [{"function": {"name": 5}}]}, "tool_calls[0].function.name"),
        ({"tool_calls": ["f"]}, "tool_calls[0]"),
        ({"tool_calls": [None]}, "tool_calls[0]"),
        ({"tool_calls": [{"type": "custom", "custom": "f"}]}, "tool_calls[0].custom"),
        ({"function_call": {"arguments": "{}"}}, "function_call.name"),
        ({"function_call": {"name": "f", "arguments": "{"}}, "function_call.arguments"),
        ({"function_call": "f"}, "function_call"),
    ],
)
def test_a_call_of_nothing_is_named_by_its_place(fields, place):
    blocks = [{"type": "text", "text": "x"}]
    with pytest.raises(InvalidInput) as caught:
        parse(messages=[*called("{}"), {"role": "assistant", "content_blocks": blocks, **fields}])
    assert caught.value.param == f"messages[2].{place}"


def test_a_call_of_a_custom_tool_is_one():
    call = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "{"}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}]
    assert parse(messages=messages).body["messages"][1]["tool_calls"] == [call]


@pytest.mark.parametrize("arguments", ["{}", '{"a": [1]}', "", "null"])
def test_a_tool_call_that_is_one_passes(arguments):
    assert len(parse(messages=called(arguments)).body["messages"]) == 2


def test_ten_megabytes_of_picture_are_read_once():
    url = data_url(PNG + bytes(6_000_000))
    assert orjson.dumps(send(image(url)).body["messages"]).count(b"base64") == 1


NEAR = (
    "http://169.254.169.254/latest/meta-data",
    "http://localhost:8000/x.png",
    "HTTP://127.0.0.1/x.png",
    "http://127.1/x.png",
    "http://2130706433/x.png",
    "http://0x7f.0.0.1/",
    "http://[::1]/x.png",
    "http://[::ffff:10.0.0.1]/",
    "http://10.0.0.5/admin",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://a.example@127.0.0.1/",
    "http://a.example\\@127.0.0.1/",
    "http://127.0.0.1\t.a.example/",
    "http:///127.0.0.1/",
    "http://127。0。0。1/",
    "http://a.example:22/",
)


@pytest.mark.parametrize("url", NEAR)
def test_no_model_server_is_sent_to_a_machine_of_the_site(url):
    text = {"type": "text", "text": "x", "uuid": "u"}
    parts = [
        ("image_url.url", image(url)),
        ("image_url", {"type": "image_url", "image_url": url}),
        ("video_url.url", {"type": "video_url", "video_url": {"url": url}}),
        ("audio_url.url", {"type": "audio_url", "audio_url": {"url": url}}),
        ("source.url", {"type": "document", "source": {"type": "url", "url": url}}),
        ("image_url", {"type": "input_image", "image_url": url}),
        ("image_url", {**text, "image_url": url}),
        ("image_url.url", {**text, "image_url": {"url": url}}),
        ("audio_url.url", {**text, "audio_url": {"url": url}}),
        ("video_url", {**text, "video_url": url}),
        ("input_audio.data", {**text, "input_audio": {"data": url}}),
        ("input_image.url", {**text, "input_image": {"url": url}}),
        ("file_url", {"type": "input_file", "file_url": url}),
        ("video[1]", {"type": "video", "video": ["https://example.com/a.png", url]}),
        ("a[0].b", {"type": "of_another_kind", "a": [{"b": f"\nh\tt{url[2:]}"}]}),
    ]
    for field, part in parts:
        with pytest.raises(InvalidInput) as caught:
            send(part)
        assert caught.value.param == f"{PLACE}.{field}"
    with pytest.raises(InvalidInput) as caught:
        parse_messages(messages=[{"role": "user", "content": [{**text, "image_url": url}]}])
    assert caught.value.param == f"{PLACE}.image_url"
    with pytest.raises(InvalidInput) as caught:
        send({"image_url": url})
    assert caught.value.param == f"{PLACE}.type"
    for kind in ("image", "document"):
        with pytest.raises(InvalidInput) as caught:
            parse_messages(
                messages=[
                    {"role": "user", "content": [{"type": kind, "source": {"type": "url", "url": url}}]}
                ]
            )
        assert caught.value.param == f"{PLACE}.source.url"


def test_who_writes_of_a_machine_of_the_site_sends_nobody_there():
    url = NEAR[0]
    assert not send({"type": "text", "text": url}).has_media
    found = {"type": "search_result", "source": url, "title": url, "content": [{"type": "text", "text": url}]}
    called = {"type": "tool_use", "id": "c", "name": "fetch", "input": {"url": url}}
    parse_messages(
        messages=[
            {"role": "user", "content": [found]},
            {"role": "assistant", "content": [called]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": url}]},
        ]
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/ü/b c.png?x=@127.0.0.1#y",
        "https://93.184.216.34/a.png",
        "https://a.example:8443/" + "x" * 3_000,
        "http://nas.example.internal/a.png",
    ],
)
def test_addresses_on_the_internet_pass_as_they_are_written(url):
    call = send(image(url))
    assert call.body["messages"][0]["content"][0]["image_url"]["url"] == url


def test_a_file_of_our_own_is_refused_with_what_to_do():
    """Its name means nothing to a provider, whose refusal would speak of its own files."""
    with pytest.raises(InvalidInput, match="send it as “file_data”") as caught:
        send(file(file_id=f"file-{uuid4().hex}"))
    assert caught.value.param == "messages[0].content[0].file.file_id"
