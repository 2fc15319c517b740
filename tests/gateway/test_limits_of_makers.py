"""Keys that a key made call within that one's limits, in its counters, over HTTP in a living house."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest

from accounts.models import ApiKey
from accounts.services import create_api_key, create_user, revoke_api_key, set_limit
from tenants.context import tenant
from tenants.provisioning.services import create_tenant
from tests.gateway.limiting import eventually

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(180)]


@pytest.fixture
def place(house, django_db_blocker):
    """A tenant, and a key of its person that calls models and makes keys."""
    slug = f"makers-{uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        create_tenant(slug=slug, name=slug, host=f"{slug}.localhost")
        with tenant(slug):
            person = create_user(actor=None, email=f"erin@{slug}.example", name="Erin", roles=["user"])
            key, text = create_api_key(actor=None, user=person, name="k", scopes=["inference", "manage"])
        yield SimpleNamespace(slug=slug, key=key, text=text, house=house)


def bound(place, key, measure: str, amount: int) -> None:
    with tenant(place.slug):
        set_limit(actor=None, level="key", subject_id=key.pk, measure=measure, amount=amount)


def make_key(place, text: str) -> str:
    made = httpx.post(
        f"http://127.0.0.1:{place.house.port}/api/v1/api-keys/",
        json={"name": "made", "scopes": ["inference", "manage"]},
        headers={"Host": f"{place.slug}.localhost", "Authorization": f"Bearer {text}"},
        timeout=60,
    )
    assert made.status_code == 201, made.text
    return made.json()["key"]


def ask(place, text: str, model: str = "mock") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
    return place.house.post(body, headers={"Authorization": f"Bearer {text}"}, slug="live-one")


def test_a_key_and_all_it_made_get_together_what_it_may_have(place):
    """At the same moment; a chain of keys, and one whose maker is revoked, are no way around it either."""
    bound(place, place.key, "requests_per_minute", 8)
    texts = [place.text]
    for _number in range(2):
        texts += [make_key(place, texts[0]), make_key(place, texts[-1])]
    with tenant(place.slug):
        revoke_api_key(actor=None, key=ApiKey.objects.exclude(maker_ids=[]).order_by("created_at").first())
    texts.pop(1)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda text: ask(place, text), texts * 8))
    assert sorted(answer.status_code for answer in answers) == [200] * 8 + [429] * 24
    refused = ask(place, texts[-1])
    assert refused.headers["x-ratelimit-limit-requests"] == "8"
    message = refused.json()["error"]["message"]
    assert message.startswith("The limit of the API key that made this one is reached: 8 requests per minute")
    assert "The limit of this API key is reached" in ask(place, place.text).text


def test_a_limit_that_the_maker_gets_later_is_heard_of_by_what_it_made(place):
    made = make_key(place, place.text)
    assert ask(place, made).status_code == 200
    bound(place, place.key, "requests_per_minute", 3)
    eventually(lambda: ask(place, made).status_code == 429)
