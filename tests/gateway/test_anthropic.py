"""OpenAI's requests as Anthropic's Messages API gets them, by its published description; nobody has asked the
vendor. The double refuses what it refuses.
"""

import asyncio
import copy

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, InvalidInput
from foundation.told import keep
from gateway import pipeline
from tenants.sealing import Secret
from tests.doubles.anthropic import answer_messages
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.telling import whole

PATH, OPENAIS_PATH = "/v1/messages", "/v1/chat/completions"
SONNET, OPUS = "claude-sonnet-4-5-20250929", "claude-opus-4-7"
FUNCTION = {"name": "f", "description": "F.", "parameters": {"type": "object", "properties": {"a": {}}}}
CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
USER, HELLO = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello"}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "42"}
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
USED = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
MARK = {"cache_control": {"type": "ephemeral"}}
KNOWN = {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]}


def text(said: str, **more) -> dict:
    return {"type": "text", "text": said, **more}


def result(content: object = "42", **more) -> dict:
    return {"type": "tool_result", "tool_use_id": "c1", "content": content, **more}


def sent(model: str = SONNET, **body) -> dict:
    """The request as it arrives; raises what the caller is told."""

    async def run() -> dict:
        async with running_vendor({PATH: answer_messages}) as vendor, open_session(PRIVATE) as client:
            fields = {"kind": "anthropic", "secret": Secret("sk-ant-0123456789"), "origin": "tenant"}
            there = make_endpoint(f"{vendor.url}/v1", **fields)
            call = call_of(make_route([there], model), **{"stream": False, "messages": [USER]} | body)
            call.operation.check(call)
            before = copy.deepcopy(call.body)
            await pipeline.complete(call, collaborators(client))
            assert call.body == before, "another candidate gets OpenAI's"
            (asked,) = vendor.asked
            assert asked.headers["x-api-key"] == "sk-ant-0123456789" and not asked.key
            assert asked.headers["anthropic-version"] == "2023-06-01"
            return asked.body

    return asyncio.run(run())


def refusal(**body) -> AtriumError:
    with pytest.raises(AtriumError) as caught:
        sent(**body)
    return caught.value


# -- messages ------------------------------------------------------------------------------------------------

JPEG = "/9j/4AAQSkZJRgABAQ=="
WEBP = "UklGRiQAAABXRUJQVlA4"


@pytest.mark.parametrize(
    ("declared", "data", "kind"),
    [
        ("image/png", JPEG, "image/jpeg"),
        ("image/jpg", JPEG, "image/jpeg"),
        ("image/jpeg", "iVBO\nRw0K\nGgo=", "image/png"),
        ("image/png", "R0lGODlhAQABAA==", "image/gif"),
        ("image/png", WEBP, "image/webp"),
        ("image/png", "iVBORw0KGgo=", "image/png"),
        ("image/bmp", "Qk0AAAAA", "image/bmp"),
    ],
)
def test_a_picture_goes_out_as_what_it_is(declared, data, kind):
    part = {"type": "image_url", "image_url": {"url": f"data:{declared};base64,{data}"}}
    (message,) = sent(messages=[{"role": "user", "content": [part]}])["messages"]
    assert message["content"][0]["source"] == {"type": "base64", "media_type": kind, "data": data}


def test_a_picture_in_a_document_goes_out_as_what_it_is():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": JPEG}}
    part = {"type": "document", "source": {"type": "content", "content": [image]}}
    (message,) = sent(messages=[{"role": "user", "content": [part]}])["messages"]
    (inner,) = message["content"][0]["source"]["content"]
    assert inner["source"]["media_type"] == "image/jpeg"


ASSISTANT_CALLS = {"role": "assistant", "content": [USED]}
RESULTS = {"role": "user", "content": [result()]}
TURNS = {
    "calls and null": (
        [USER, {**HELLO, "content": None, "tool_calls": CALLS}, RESULT],
        [USER, ASSISTANT_CALLS, RESULTS],
    ),
    "calls and white space": (
        [USER, {**HELLO, "content": " \n", "tool_calls": CALLS}, RESULT],
        [USER, ASSISTANT_CALLS, RESULTS],
    ),
    "calls and empty parts": (
        [USER, {**HELLO, "content": [text("")], "tool_calls": CALLS}, RESULT],
        [USER, ASSISTANT_CALLS, RESULTS],
    ),
    "text and calls": (
        [USER, {**HELLO, "tool_calls": CALLS}, RESULT, USER],
        [USER, {"role": "assistant", "content": [text("Hello"), USED]}, RESULTS, USER],
    ),
    "several results": (
        [
            USER,
            {**HELLO, "content": None, "tool_calls": [*CALLS, {**CALLS[0], "id": "functions.f:2"}]},
            RESULT,
            {**RESULT, "tool_call_id": "functions.f:2", "content": [text("7"), PNG]},
            USER,
        ],
        [
            USER,
            {"role": "assistant", "content": [USED, {**USED, "id": "functions_f_2"}]},
            {
                "role": "user",
                "content": [result(), result([text("7"), IMAGE]) | {"tool_use_id": "functions_f_2"}],
            },
            USER,
        ],
    ),
    "a call of the kind before tools": (
        [
            USER,
            {**HELLO, "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
        ],
        [
            USER,
            {"role": "assistant", "content": [{**USED, "id": "function_1", "input": {}}]},
            {"role": "user", "content": [result() | {"tool_use_id": "function_1"}]},
        ],
    ),
    "an answer that came to nothing": ([USER, {**HELLO, "content": None}, USER], [USER, USER]),
    "an answer of white space": ([USER, {**HELLO, "content": "\n\n"}, USER], [USER, USER]),
    "an empty question before another": ([{**USER, "content": ""}, USER], [USER]),
    "an empty part beside others": (
        [{"role": "user", "content": [text(""), PNG, text("what?"), text("\n")]}],
        [{"role": "user", "content": [IMAGE, text("what?")]}],
    ),
    "an image at an address": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b"}}]}],
        [
            {
                "role": "user",
                "content": [{"type": "image", "source": {"type": "url", "url": "https://a.example/b"}}],
            }
        ],
    ),
    "files": (
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                    },
                    {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}},
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                    },
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "hi"},
                    },
                ],
            }
        ],
    ),
    "a begun answer": ([USER, {**HELLO, "content": "Hello, \n"}], [USER, {**HELLO, "content": "Hello,"}]),
    "a begun answer in parts": (
        [USER, {**HELLO, "content": [text("One "), text("two ")]}],
        [USER, {**HELLO, "content": [text("One "), text("two")]}],
    ),
    "a begun answer of nothing": ([USER, {**HELLO, "content": " "}], [USER]),
    "white space in the middle stays": (
        [USER, {**HELLO, "content": "Hello \n"}, USER],
        [USER, {**HELLO, "content": "Hello \n"}, USER],
    ),
    "two of one role": ([USER, USER, HELLO, HELLO, USER], [USER, USER, HELLO, HELLO, USER]),
    "a refusal": (
        [USER, {**HELLO, "content": [{"type": "refusal", "refusal": "No."}]}, USER],
        [USER, {**HELLO, "content": [text("No.")]}, USER],
    ),
    "names and what answers have": (
        [{**USER, "name": "Ada"}, {**HELLO, "annotations": [], "refusal": None, "audio": None}, USER],
        [USER, HELLO, USER],
    ),
    "marks for the cache": (
        [
            {"role": "user", "content": [text("long", cache_control={"type": "ephemeral", "ttl": "1h"})]},
            HELLO,
            {**USER, **MARK},
        ],
        [
            {"role": "user", "content": [text("long", **MARK)]},
            HELLO,
            {"role": "user", "content": [text("hi", **MARK)]},
        ],
    ),
    "a result with a mark and an error": (
        [USER, {**HELLO, "content": None, "tool_calls": CALLS}, {**RESULT, **MARK, "is_error": True}],
        [USER, ASSISTANT_CALLS, {"role": "user", "content": [result(is_error=True, **MARK)]}],
    ),
}


@pytest.mark.parametrize(("given", "expected"), TURNS.values(), ids=TURNS)
def test_messages_become_turns(given, expected):
    assert sent(messages=given)["messages"] == expected


SYSTEM = {
    "one": ([{"role": "system", "content": "Be kind."}, USER], "Be kind."),
    "a developer's": ([{"role": "developer", "content": "Be kind."}, USER], "Be kind."),
    "several, and late ones": (
        [{"role": "system", "content": "One."}, USER, {"role": "system", "content": [text("Two.", **MARK)]}],
        [text("One."), text("Two.", **MARK)],
    ),
    "an empty one": ([{"role": "system", "content": ""}, USER], None),
    "a blank one": ([{"role": "developer", "content": [text(" ")]}, USER], None),
}


@pytest.mark.parametrize(("given", "expected"), SYSTEM.values(), ids=SYSTEM)
def test_instructions_stand_apart(given, expected):
    body = sent(messages=given)
    assert body.get("system") == expected and body["messages"] == [USER]


@pytest.mark.parametrize("nothing", ["", " ", [text("")], []])
def test_a_tool_may_have_given_nothing(nothing):
    messages = [USER, {**HELLO, "content": None, "tool_calls": CALLS}, {**RESULT, "content": nothing}]
    assert sent(messages=messages)["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "c1"}]


@pytest.mark.parametrize(
    "given",
    [[{**USER, "content": ""}], [USER, HELLO, {**USER, "content": " "}], [{**HELLO, "content": " "}]],
)
def test_an_empty_question_is_refused_rather_than_another_one_answered(given):
    with pytest.raises(InvalidInput, match="The provider says: messages"):
        sent(messages=given)


WRONG = {
    "arguments that are no JSON": (
        [
            USER,
            {**HELLO, "tool_calls": [{**CALLS[0], "function": {"name": "f", "arguments": '{"a'}}]},
            RESULT,
        ],
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments that are no object": (
        [
            USER,
            {**HELLO, "tool_calls": [{**CALLS[0], "function": {"name": "f", "arguments": "[1]"}}]},
            RESULT,
        ],
        "messages[1].tool_calls[0].function.arguments",
    ),
    "a call of nothing": (
        [USER, {**HELLO, "tool_calls": [{"id": "c1"}]}, RESULT],
        "messages[1].tool_calls[0].function",
    ),
    "an image that is none": (
        [{"role": "user", "content": [text("a"), {"type": "image_url", "image_url": {"url": "cat.png"}}]}],
        "messages[0].content[1].image_url.url",
    ),
    "sound": (
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "input_audio",
                        "input_audio": {"data": "UklGRiQAAABXQVZFZm10IA==", "format": "wav"},
                    }
                ],
            }
        ],
        "messages[0].content[0].type",
    ),
    "a file that stands elsewhere": (
        [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}],
        "messages[0].content[0].file.file_data",
    ),
}


@pytest.mark.parametrize(("messages", "place"), WRONG.values(), ids=WRONG)
def test_what_it_cannot_be_asked_is_told_with_its_place(messages, place):
    told = refusal(messages=messages)
    assert isinstance(told, InvalidInput) and told.param == place and place in str(told.message)
    assert isinstance(keep(told.message)["with"]["reason"], dict), "read by somebody else later, it is theirs"


# -- thoughts that come back ---------------------------------------------------------------------------------

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "Eq"}
HIDDEN = {"type": "redacted_thinking", "data": "Em"}


def test_signed_thoughts_go_back_before_what_was_said():
    unsigned = [{"type": "thinking", "thinking": "x"}, {**THOUGHT, "signature": ""}, {"type": ["x"]}, "x"]
    given = [{**THOUGHT, "index": 0}, HIDDEN, *unsigned]
    messages = [
        USER,
        {**HELLO, "reasoning_content": "Hm.", "thinking_blocks": given, "tool_calls": CALLS},
        RESULT,
    ]
    assert sent(messages=messages)["messages"][1]["content"] == [THOUGHT, HIDDEN, text("Hello"), USED]


def test_blocks_of_another_order_go_back_as_they_came():
    blocks = [THOUGHT, text("One."), {**THOUGHT, "signature": "Er"}, USED]
    given = {**HELLO, "thinking_blocks": [THOUGHT], "tool_calls": CALLS, "content_blocks": [*blocks, IMAGE]}
    assert sent(messages=[USER, given, RESULT])["messages"][1]["content"] == blocks


def test_other_servers_get_no_thoughts_and_the_messages_as_they_are():
    async def run() -> list[dict]:
        routes = {OPENAIS_PATH: lambda body: (200, whole("Hello"))}
        async with running_vendor(routes) as vendor, open_session(PRIVATE) as client:
            there = make_endpoint(f"{vendor.url}/v1")
            messages = [USER, {**HELLO, "content": " ", "thinking_blocks": [THOUGHT], "content_blocks": []}]
            await pipeline.complete(
                call_of(make_route([there]), stream=False, messages=messages), collaborators(client)
            )
            return vendor.bodies[0]["messages"]

    assert asyncio.run(run()) == [USER, {**HELLO, "content": " "}]


def test_no_file_of_an_account_is_read_by_its_id():
    """It may be anybody's who shares the account; the other door refuses it, too."""
    for kind in ("document", "image"):
        part = {"type": kind, "source": {"type": "file", "file_id": "file_011"}}
        refused = refusal(messages=[USER, {**USER, "content": [part]}])
        assert refused.param == "messages[1].content[0].source.type"
