"""llama.cpp's server as the registry finds it: what it lists, and what it says of itself elsewhere."""

import pytest

from models_registry import services
from models_registry.discovery import find_providers
from models_registry.platform.models import Model

pytestmark = pytest.mark.scope("platform")
LISTED = {
    "id": "../models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
    "object": "model",
    "created": 1735142223,
    "owned_by": "llamacpp",
    "meta": {"vocab_type": 2, "n_vocab": 128256, "n_ctx_train": 131072, "size": 4912898304},
}
PROPS = {"default_generation_settings": {"id": 0, "n_ctx": 4096}, "total_slots": 1}


@pytest.fixture
def connection(db, provider):
    provider.listed = [LISTED]
    return services.add_connection(
        actor=None, name="llama.cpp", kind="llamacpp", base_url=provider.base_url, secret="sk-1"
    )


def test_a_conversation_may_be_as_long_as_the_server_says(connection, provider):
    provider.props = PROPS
    services.sync_catalogue(actor=None, connection=connection)
    model = Model.objects.get()
    assert (model.name, model.context_window) == ("Meta-Llama-3.1-8B-Instruct-Q4_K_M", 4096)
    assert provider.paths == ["/v1/models", "/props"] and {
        seen["authorization"] for seen in provider.seen
    } == {"Bearer sk-1"}


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        ("D:\\models\\tiny.gguf", "tiny"),
        ("tiny", "tiny"),
        ("ggml-org/gemma-3-4b-it-GGUF:Q4_K_M", "ggml-org/gemma-3-4b-it-GGUF:Q4_K_M"),
    ],
)
def test_a_model_without_an_alias_is_called_as_its_file(connection, provider, listed, name):
    provider.listed = [{**LISTED, "id": listed}]
    services.sync_catalogue(actor=None, connection=connection)
    assert Model.objects.get().upstream_name == name


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        [],
        {"default_generation_settings": 7},
        {"default_generation_settings": {"n_ctx": -1}},
        b"<html>",
    ],
)
def test_what_it_does_not_say_there_stays_unknown(connection, provider, told):
    provider.props = told
    services.sync_catalogue(actor=None, connection=connection)
    assert Model.objects.get().context_window is None


def test_a_server_of_several_models_says_it_of_none(connection, provider):
    provider.props = PROPS
    provider.listed = [LISTED, {**LISTED, "id": "other"}]
    services.sync_catalogue(actor=None, connection=connection)
    assert {model.context_window for model in Model.objects.all()} == {None}
    assert provider.paths == ["/v1/models"]


def test_it_is_found_by_its_list_and_what_else_answers_there_is_left_alone(provider):
    def found() -> list[str]:
        return [one.kind for one in find_providers({}, {"llamacpp": provider.base_url})]

    assert found() == [], "another server that speaks OpenAI's API"
    provider.body = b'{"data": 7}'
    assert found() == []
    provider.body = None
    provider.listed = [LISTED]
    assert found() == ["llamacpp"]
