"""Cohere's client, unmodified, at the running house: both versions of what it calls reranking."""

from contextlib import ExitStack

import cohere
import pytest
from cohere.core.api_error import ApiError

pytestmark = pytest.mark.scope(None)
QUERY, DOCUMENTS = "red green", ["blue", "red green", "red"]
RANKED = [(1, 1.0), (2, 0.5), (0, 0.0)]


@pytest.fixture
def client(house, key):
    """Makes a client; what it opened is closed at the end."""
    with ExitStack() as opened:

        def make(version=cohere.ClientV2, path: str = "", api_key: str = key, **options):
            address = f"{house.base_url.removesuffix('/v1')}{path}"
            return opened.enter_context(version(api_key=api_key, base_url=address, **options))

        yield make


@pytest.mark.parametrize("path", ["", "/v1"])
@pytest.mark.parametrize("version", [cohere.ClientV2, cohere.Client])
def test_documents_are_ranked(client, version, path):
    told = client(version, path).rerank(model="mock-rerank", query=QUERY, documents=DOCUMENTS, top_n=2)
    assert [(one.index, one.relevance_score) for one in told.results] == RANKED[:2]
    assert told.id and told.meta.tokens.input_tokens == 10


def test_what_no_other_provider_knows_is_told(client):
    told = client(cohere.Client).v2.with_raw_response.rerank(
        model="mock-rerank", query=QUERY, documents=DOCUMENTS, max_tokens_per_doc=100, priority=1
    )
    assert told.headers["x-atrium-dropped-params"] == "max_tokens_per_doc, priority"
    assert len(told.data.results) == 3


@pytest.mark.parametrize(
    ("asked", "status", "word"),
    [
        ({"documents": []}, 400, "documents"),
        ({"model": "nothing"}, 404, "nothing"),
        ({"max_tokens_per_doc": 0}, 400, "max_tokens_per_doc"),
    ],
)
def test_errors_are_its_own(client, asked, status, word):
    with pytest.raises(ApiError) as caught:
        client(max_retries=0).rerank(
            **{"model": "mock-rerank", "query": QUERY, "documents": DOCUMENTS} | asked
        )
    assert caught.value.status_code == status and word in caught.value.body["message"]
    assert caught.value.body.keys() == {"id", "message"}


def test_a_wrong_key_is_one(client):
    with pytest.raises(cohere.UnauthorizedError):
        client(api_key="atr_wrong", max_retries=0).rerank(
            model="mock-rerank", query=QUERY, documents=DOCUMENTS
        )
