"""What every kind of provider must say: one folder of one shape each."""

import inspect
import os
from pathlib import Path

import pytest

from models_registry.addresses import read_base_url
from models_registry.kinds import Location
from models_registry.providers.openai_compatible import COUNT_TOKENS, OpenAICompatible
from models_registry.providers.table import PROVIDERS, find_provider, kind_choices
from tenants.sealing import Secret

KINDS = pytest.mark.parametrize("kind", PROVIDERS)
README = Path(__file__).parents[2] / "README.md"
CHUNK = {"id": "x", "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}]}


@KINDS
def test_a_kind_has_a_folder_of_its_name_and_says_what_is_usual(kind):
    provider = PROVIDERS[kind]
    assert type(provider).__module__ == f"models_registry.providers.{kind}"
    assert str(provider.label) and len(kind) <= 20 and inspect.getdoc(inspect.getmodule(type(provider)))
    assert provider.location in Location.values
    if provider.base_url:
        is_local = provider.location == Location.LOCAL
        assert read_base_url(provider.base_url, allow_private=is_local).url == provider.base_url
    assert not (provider.is_found_locally and provider.key_variable)


@KINDS
def test_limits_of_time_are_sensible(kind):
    limits = PROVIDERS[kind].timeouts
    assert 0 < limits.connect <= limits.idle <= limits.first_byte <= limits.total <= 3_600


@KINDS
def test_its_key_travels_in_headers_and_nowhere_else(kind):
    provider, secret = PROVIDERS[kind], Secret("sk-canary-0123456789")
    for headers in (provider.auth_headers(secret), provider.catalogue_headers(secret)):
        assert any("sk-canary-0123456789" in value for value in headers.values())
    for headers in (provider.auth_headers(None), provider.catalogue_headers(None)):
        assert not headers.keys() - {"anthropic-version"}
    assert all(path.startswith("/") for path in [*provider.paths.values(), provider.catalogue_path])


@KINDS
def test_writing_a_request_leaves_the_callers_as_it_is(kind):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "stream": True}
    before = repr(body)
    assert PROVIDERS[kind].write_body("chat.completions", body)
    assert repr(body) == before


@KINDS
def test_a_kind_has_chats_and_no_operation_that_the_gateway_does_not_know(kind):
    provider, body = PROVIDERS[kind], {"model": "m", "input": ["a"]}
    assert {"chat.completions"} <= provider.paths.keys() <= {*OpenAICompatible.paths, COUNT_TOKENS}
    assert provider.write_body("something.new", body) == body


@KINDS
def test_events_of_openais_shape_pass_as_they_are_where_a_kind_has_none_of_its_own(kind):
    provider = PROVIDERS[kind]
    if not provider.has_own_events:
        assert provider.read_event(CHUNK) is CHUNK
        assert type(provider).read_event is OpenAICompatible.read_event, "else it is never asked"


@KINDS
def test_no_test_finds_a_key_of_the_machine(kind):
    variable = PROVIDERS[kind].key_variable
    assert not variable or variable not in os.environ, f"name {variable} in tests/prepared.py"


@KINDS
def test_the_readme_lists_it(kind):
    key = PROVIDERS[kind].key_variable
    lines = [line for line in README.read_text().splitlines() if line.startswith("|") and f"`{kind}`" in line]
    assert len(lines) == 1 and (not key or f"`{key}`" in lines[0])


def test_a_kind_that_is_no_longer_known_is_read_like_any_other_server():
    assert find_provider("gone") is PROVIDERS["openai_compatible"]
    assert [kind for kind, _label in kind_choices()] == list(PROVIDERS)


QUESTION = {"role": "user", "content": "Count."}
BEGUN = {"role": "assistant", "content": "One, two"}


def written(kind: str, *messages: dict, **more) -> dict:
    return PROVIDERS[kind].write_body("chat.completions", {"model": "m", "messages": [*messages], **more})


def test_a_begun_answer_is_gone_on_with_where_a_kind_can():
    """The embedded runtime does so unasked; to others nothing is said that they may refuse."""
    body = written("vllm", QUESTION, BEGUN)
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert written("mistral", QUESTION, BEGUN)["messages"] == [QUESTION, {**BEGUN, "prefix": True}]
    assert [kind for kind, one in PROVIDERS.items() if one.continues_answers] == [
        "vllm",
        "mistral",
        "moonshot",
        "embedded",
    ]
    for kind in PROVIDERS.keys() - {"vllm", "mistral", "moonshot", "cohere"}:
        assert written(kind, QUESTION, BEGUN) == {"model": "m", "messages": [QUESTION, BEGUN]}, kind


@pytest.mark.parametrize(
    "messages",
    [[QUESTION], [BEGUN, QUESTION], [{"role": "assistant", "content": ""}], [{"role": "assistant"}]],
)
def test_whoever_asks_a_question_gets_an_answer(messages):
    assert written("vllm", *messages) == {"model": "m", "messages": messages}


def test_a_caller_who_knows_the_fields_is_left_alone():
    asked = {"add_generation_prompt": True}
    assert written("vllm", QUESTION, BEGUN, **asked).keys() == {"model", "messages", *asked}
    assert written("mistral", {**BEGUN, "prefix": False})["messages"] == [{**BEGUN, "prefix": False}]
