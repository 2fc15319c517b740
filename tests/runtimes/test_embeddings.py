"""Embeddings of the runtime, as an OpenAI client sees them: with a small random model that the server made
itself of a file.
"""

import base64
import struct
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from openai import BadRequestError

from tests.runtimes.conftest import PATIENCE_S, TOKEN, wait_until
from tests.runtimes.first_models import PIECES, POSITIONS, WIDTH

BEGIN, END, QUERY, HELLO = 0, 2, PIECES.index("▁query"), PIECES.index("▁hello")


@pytest.fixture(scope="module")
def server(kinds_server):
    """Once its model is made."""
    wait_until(
        lambda: [one["id"] for one in kinds_server.health()["preparing"]] == ["broken"], 100, "none is made"
    )
    return kinds_server


@pytest.fixture(scope="module")
def embed(server):
    """embed(input, …) → the vectors."""

    def call(texts, **options) -> list[list[float]]:
        answer = server.openai.embeddings.create(model="small", input=texts, **options)
        assert [entry.index for entry in answer.data] == list(range(len(answer.data)))
        return [entry.embedding for entry in answer.data]

    return call


def cosine(first, second) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def test_one_text_and_many_become_vectors_of_length_one(embed):
    (alone,) = embed("hello world")
    assert len(alone) == WIDTH and cosine(alone, alone) == pytest.approx(1, abs=1e-5)
    texts = ["tax law", "hello world", "s", "hello tax laws world", "hello world"]
    together = embed(texts)
    for text, vector in zip(texts, together, strict=True):  # whatever stands beside it in the batch
        assert vector == pytest.approx(embed(text)[0], abs=1e-5)
    assert together[1] == pytest.approx(alone, abs=1e-5)
    assert together[0] != pytest.approx(together[1], abs=1e-3)


def test_base64_holds_the_same_numbers(server, embed):
    answers = {}
    for encoding in ("float", "base64"):
        body = {"model": "small", "input": "hello", "encoding_format": encoding}
        answer = post(server, body).json()
        assert (answer["object"], answer["model"], answer["data"][0]["object"]) == (
            "list",
            "small",
            "embedding",
        )
        answers[encoding] = answer["data"][0]["embedding"]
    unpacked = struct.unpack(f"<{WIDTH}f", base64.b64decode(answers["base64"]))
    assert list(unpacked) == pytest.approx(answers["float"], abs=1e-6)


def test_tokens_are_taken_as_they_are_and_opened_and_closed(embed):
    words = embed("query: hello")[0]
    row = [QUERY, PIECES.index(":"), HELLO]
    assert embed([row])[0] == pytest.approx(words, abs=1e-5)
    assert embed(row)[0] == pytest.approx(words, abs=1e-5)
    assert embed([[BEGIN, *row, END], row]) == [pytest.approx(words, abs=1e-5)] * 2


def test_a_text_is_opened_by_what_it_is_for(embed):
    query, passage = embed("query: hello")[0], embed("passage: hello")[0]
    assert query != pytest.approx(passage, abs=1e-3)
    assert embed("hello")[0] == query  # the model's default
    for kind, vector in (("query", query), ("passage", passage)):
        assert embed("hello", extra_body={"input_type": kind})[0] == vector
        assert embed(f"{kind}: hello", extra_body={"input_type": "query"})[0] == vector  # said already


def test_usage_counts_the_tokens_that_the_model_read(server):
    answer = server.openai.embeddings.create(model="small", input=["query: hello", "query: hello world"])
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (5 + 6, 11)


def test_many_at_once_each_get_their_own(embed):
    texts = ["hello", "hello world", "tax law", "s", "hello tax laws"]
    expected = [embed(text)[0] for text in texts]
    with ThreadPoolExecutor(10) as pool:
        lists = list(pool.map(embed, [texts * 20] * 5 + [[text] for text in texts]))
    for found in lists[:5]:
        for vector, right in zip(found, expected * 20, strict=True):
            assert vector == pytest.approx(right, abs=1e-5)
    for found, right in zip(lists[5:], expected, strict=True):
        assert found[0] == pytest.approx(right, abs=1e-5)


def test_who_leaves_leaves_nothing_behind(server, embed):
    with pytest.raises(httpx.ReadTimeout):
        post(server, {"model": "small", "input": ["hello world"] * 2_048}, timeout=0.01)

    def is_idle() -> bool:
        state = next(one for one in server.health()["models"] if one["id"] == "small")
        return (state["requests"], state["active"]) == (0, 0)

    wait_until(is_idle, PATIENCE_S, "the work goes on")
    assert len(embed("hello")) == 1


def post(server, body, timeout: float = 30) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.post(f"{server.url}/v1/embeddings", json=body, headers=headers, timeout=timeout)


LONG = [HELLO] * POSITIONS
BAD_FIELDS = [
    ({"model": 7}, "model", ""),
    ({"input": None}, "input", "must be a string"),
    ({"input": 7}, "input", "must be a string"),
    ({"input": []}, "input", "must be a string"),
    ({"input": ""}, "input[0]", "empty"),
    ({"input": ["a", ""]}, "input[1]", "empty"),
    ({"input": ["a", 7]}, "input[1]", "mixture"),
    ({"input": [[1], []]}, "input[1]", "non-empty"),
    ({"input": [[1], [True]]}, "input[1]", "token ids"),
    ({"input": [[4], [len(PIECES)]]}, "input[1]", f"outside of 0 to {len(PIECES) - 1}"),
    ({"input": [[-1]]}, "input[0]", "outside of 0"),
    ({"input": ["a"] * 2_049}, "input", "2049 entries; at most 2048"),
    ({"input": ["a", "hello " * 30]}, "input", f"{POSITIONS} tokens. However, input[1] has 35 tokens"),
    ({"input": [LONG]}, "input", f"input[0] has {POSITIONS + 2} tokens"),
    ({"encoding_format": "int8"}, "encoding_format", "float, base64"),
    ({"dimensions": 0}, "dimensions", "at least 1"),
    ({"dimensions": WIDTH // 2}, "dimensions", f"vectors of {WIDTH} dimensions only"),
    ({"input_type": "poem"}, "input_type", "query or passage"),
    ({"input_type": 7}, "input_type", "string"),
]


@pytest.mark.parametrize(("fields", "param", "words"), BAD_FIELDS)
def test_a_bad_field_is_named_with_its_bounds(server, fields, param, words):
    response = post(server, {"model": "small", "input": "hello", **fields})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert words in error["message"]


def test_the_only_width_may_be_named_and_unknown_fields_are_ignored(server, embed):
    assert embed("hello", dimensions=WIDTH) == embed("hello")
    assert post(server, {"model": "small", "input": "hello", "user": "bob", "x": [1]}).status_code == 200


def test_too_many_tokens_in_all_are_refused(server):
    row = [HELLO] * (POSITIONS - 2)
    whole = post(server, {"model": "small", "input": [row] * 2_048})
    assert whole.status_code == 200 and whole.json()["usage"]["prompt_tokens"] == 2_048 * POSITIONS


def test_each_kind_has_its_own_address(server):
    with pytest.raises(BadRequestError) as caught:
        server.openai.chat.completions.create(model="small", messages=[{"role": "user", "content": "x"}])
    assert (caught.value.code, caught.value.param) == ("model_not_supported", "model")
    with pytest.raises(BadRequestError) as caught:
        server.openai.embeddings.create(model="private", input="x", extra_headers={"X-Atrium-Tenant": "acme"})
    assert caught.value.code == "model_not_supported"


def test_an_embedding_model_is_listed_with_what_it_is(server):
    model = server.openai.models.retrieve("small")
    assert (model.kind, model.display_name, model.licence, model.context_window, model.dimensions) == (
        "embedding",
        "Small",
        "MIT",
        POSITIONS,
        WIDTH,
    )
    assert model.prefixes == {"query": "query: ", "passage": "passage: "}
    assert not hasattr(model, "max_output_tokens")
