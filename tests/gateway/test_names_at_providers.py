"""Names that callers give to what a provider keeps in an account that several tenants may share, and what it
is told of keeping: read at the provider's socket.
"""

import asyncio
import re
from dataclasses import replace

import orjson
import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from gateway import pipeline
from gateway.operations import embeddings
from gateway.state.quirks import Quirks
from models_registry.providers.table import PROVIDERS
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.connecting import connected
from tests.gateway.living import HELLO
from tests.gateway.telling import whole
from tests.live import TENANTS

KNOWING = {"openai", "mistral"}
SPEAKING = sorted(PROVIDERS.keys() - {"anthropic", "cohere"})  # these have APIs of their own
EMBEDDING = [kind for kind in SPEAKING if "embeddings" in PROVIDERS[kind].paths]
NAMES = {"prompt_cache_key": "my-app", "user": "bob@acme.example", "safety_identifier": "bob"}
ID = make_endpoint("http://nowhere/v1").id
PATH = "/v1/chat/completions"
FINE = (200, whole("Hello"))


def sent(
    *, answer=lambda body: FINE, calls: int = 1, tenant: str = "acme", endpoint=None, **body
) -> list[dict]:
    """What the provider got of calls with these fields, all that the house's callers may write."""

    async def run() -> list[dict]:
        quirks = Quirks()
        vectors = (200, b'{"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 1}}')
        routes = {PATH: answer, "/v1/embeddings": lambda body: vectors}
        async with running_vendor(routes) as vendor, open_session(PRIVATE) as client:
            for _number in range(calls):
                there = make_endpoint(f"{vendor.url}/v1", **{"kind": "openai", "id": ID} | (endpoint or {}))
                call = call_of(make_route([there]), stream=False, **body)
                call.principal = replace(call.principal, tenant=tenant)
                if "input" in body:
                    call.operation = embeddings.OPERATION
                    del call.body["messages"], call.body["stream"]
                await pipeline.complete(call, collaborators(client, quirks=quirks))
            return vendor.bodies

    return asyncio.run(run())


@pytest.mark.parametrize("kind", SPEAKING)
def test_a_key_of_the_cache_is_the_tenants_own_and_goes_where_it_is_known(kind):
    def key(tenant: str, value: object) -> object:
        (body,) = sent(tenant=tenant, prompt_cache_key=value, endpoint={"kind": kind})
        return body.get("prompt_cache_key", "none")

    if kind not in KNOWING:
        assert key("acme", "my-app") == "none"
        return
    keys = [key("acme", "my-app"), key("globex", "my-app"), key("acme", "other"), key("acme", 7)]
    assert len(set(keys)) == 4 and all(re.fullmatch("[0-9a-f]{64}", one) for one in keys)
    assert key("acme", "my-app") == keys[0] and key("acme", keys[1]) not in keys
    assert key("acme", None) == "none"


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_made_alike_from_a_tenant_and_a_value_cut_elsewhere(name):
    one, other = (sent(tenant=slug, **{name: text})[0] for slug, text in (("ac", "mex"), ("acme", "x")))
    assert one[name] != other[name]


@pytest.mark.parametrize("more", [{}, {"input": "text"}])
@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_people_are_known_by_their_names_in_their_tenants_own_account_alone(name, more):
    said = {name: NAMES[name], **more}
    (own,) = sent(endpoint={"origin": "tenant"}, **said)
    assert own[name] == NAMES[name]
    (acme,), (globex,) = (sent(tenant=slug, **said) for slug in ("acme", "globex"))
    assert acme[name] != globex[name] and len(acme[name]) == 64
    assert sent(**said)[0][name] == acme[name], "the same person is the same again"


@pytest.mark.parametrize("kind", SPEAKING)
@pytest.mark.parametrize("said", [{}, {"metadata": {"a": "b"}}])
def test_openai_is_told_to_store_nothing(kind, said):
    (body,) = sent(endpoint={"kind": kind, "origin": "tenant"}, **said)
    assert body.get("store", "unsaid") == (False if kind == "openai" else "unsaid")
    assert ("metadata" in body) == (kind not in ("openai", "azure") and bool(said)), "refused unless stored"


@pytest.mark.parametrize("kind", EMBEDDING)
def test_of_vectors_nothing_is_stored_anyway(kind):
    assert "store" not in sent(input="text", endpoint={"kind": kind})[0]


@pytest.mark.parametrize(
    ("kind", "more"), [*((kind, {}) for kind in SPEAKING), *((kind, {"input": "text"}) for kind in EMBEDDING)]
)
def test_what_callers_note_of_their_calls_stays_out_of_the_platforms_account(kind, more):
    """Names of people, addresses, numbers of customers."""
    (body,) = sent(metadata={"customer": "bob@acme.example"}, endpoint={"kind": kind}, **more)
    assert "metadata" not in body


def test_a_server_that_does_not_know_store_is_asked_once_more_without():
    def answer(body: dict) -> tuple[int, bytes]:
        message = "property 'store' is unsupported"
        return (400, orjson.dumps({"error": {"message": message}})) if "store" in body else FINE

    assert ["store" in body for body in sent(answer=answer, calls=2)] == [True, False, False]


# -- through the house ---------------------------------------------------------------------------------------


@pytest.mark.scope(None)
async def test_the_official_clients_of_two_tenants_share_no_name_in_one_account(house):
    kept = {"store": True, "metadata": {"topic": "x"}, "service_tier": "priority"}
    async with (
        running_vendor({PATH: lambda body: FINE}) as vendor,
        connected("openai", f"{vendor.url}/v1", {"gpt-shared": "chat"}),
    ):
        for slug in TENANTS:
            async with house.async_client(slug) as client:
                answer = await client.chat.completions.create(
                    model="gpt-shared", messages=HELLO, **NAMES, **kept
                )
                assert answer.choices[0].message.content == "Hello"
    one, other = vendor.bodies
    assert all(one[name] != other[name] and len(one[name]) == 64 for name in NAMES)
    assert one["store"] is other["store"] is False and not {"metadata", "service_tier"} & one.keys()
