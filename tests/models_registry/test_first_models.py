"""The embedded runtime's models become the platform's when it has them, and not before."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.utils import timezone

from models_registry import embedded, seeds, services
from models_registry.platform.models import Connection, Model
from models_registry.selectors import list_preparing_models, list_routes
from tenants.context import tenant
from tenants.models import Tenant

pytestmark = pytest.mark.scope("platform")

SMOL = {
    "id": "SmolLM2-135M-Instruct",
    "kind": "chat",
    "display_name": "SmolLM2 135M",
    "licence": "Apache-2.0",
    "context_window": 8192,
    "default_max_output_tokens": 512,
    "demo": False,
}
E5 = {"id": "multilingual-e5-small", "kind": "embedding", "licence": "MIT", "context_window": 512}
MAKING = {"id": SMOL["id"], "kind": "chat", "display_name": "SmolLM2 135M", "state": "preparing"}


@pytest.fixture
def runtime(db, provider):
    """A server that lists what it is told to and speaks of it on /health; its connection is seeded."""
    provider.listed = []
    provider.health = {"status": "ready", "models": [], "preparing": []}
    seeds.seed_platform(provider.base_url, "token-1")
    return provider


def noted() -> list:
    """When the runtime is to be asked again."""
    with database.cursor() as cursor:
        cursor.execute("SELECT due_at FROM public.tenants_duty WHERE kind = %s", [embedded.DUTY])
        return [due_at for (due_at,) in cursor.fetchall()]


def follow() -> list:
    """Ask the runtime; the times that were noted by it."""
    before = noted()
    embedded.follow_runtime()
    return [due_at for due_at in noted() if due_at not in before]


def test_nothing_is_offered_before_the_runtime_has_it_and_then_with_all_that_is_known(runtime):
    runtime.health["preparing"] = [MAKING]
    soon = follow()
    assert [due_at < timezone.now() + timedelta(seconds=5) for due_at in soon] == [True]
    assert set(Model.objects.values_list("name", flat=True)) == {"atrium-tiny"}
    runtime.listed, runtime.health["preparing"] = [SMOL, E5, {"id": "unknown", "kind": "chat"}], []
    assert follow() == []  # nothing is being made: nobody asks again
    smol = Model.objects.get(name=SMOL["id"])
    assert (smol.kind, smol.label, smol.licence, smol.is_demo) == (
        "chat",
        "SmolLM2 135M",
        "Apache-2.0",
        False,
    )
    assert (smol.context_window, smol.default_max_output_tokens) == (8192, 512)
    assert "English only" in smol.notes
    e5 = Model.objects.get(name=E5["id"])
    assert (e5.kind, e5.licence, e5.context_window) == ("embedding", "MIT", 512)
    assert not Model.objects.filter(name="unknown").exists()
    for currency in Tenant.Currency.values:
        with tenant("acme"):
            routes = list_routes(currency=currency)
        assert routes[SMOL["id"]].price.output == Decimal("0.40")
        assert (routes[E5["id"]].price.input, routes[E5["id"]].price.output) == (Decimal("0.02"), 0)


def test_a_first_model_is_stable_unless_its_manifest_says_otherwise(runtime):
    runtime.listed = [SMOL | {"channel": "stable"}, E5 | {"channel": "experimental"}]
    follow()
    channels = dict(Model.objects.values_list("name", "channel"))
    assert channels == {"atrium-tiny": "stable", SMOL["id"]: "stable", E5["id"]: "experimental"}


def test_no_first_model_is_marked_as_the_default(runtime):
    """Each reader begins with the one in their language; a mark would outweigh it."""
    runtime.listed = [E5, SMOL]
    follow()
    assert not Model.objects.filter(is_default=True).exists()


def test_the_runtime_is_asked_with_its_token(runtime):
    follow()
    assert runtime.paths == ["/health", "/v1/models"]
    assert [seen["authorization"] for seen in runtime.seen] == ["Bearer token-1"] * 2


def test_what_an_operator_has_made_of_a_model_stays(runtime):
    runtime.listed = [SMOL, E5]
    follow()
    smol = Model.objects.get(name=SMOL["id"])
    services.set_model(actor=None, model=smol, name="house-model", label="Ours", is_enabled=False)
    services.set_model_price(actor=None, model=smol, input=Decimal(7))
    follow()
    smol.refresh_from_db()
    assert (smol.name, smol.label, smol.is_enabled) == ("house-model", "Ours", False)
    assert Model.objects.count() == 3 and smol.prices.filter(currency="EUR").count() == 2


def test_a_name_that_somebody_else_has_is_left_to_them(runtime, make):
    other = make.connection("Other")
    make.model(SMOL["id"], other)
    runtime.listed = [SMOL]
    follow()
    assert Model.objects.get(name=SMOL["id"]).connection_id == other.pk


def test_a_runtime_that_does_not_answer_is_asked_again_later(runtime):
    runtime.close()
    later = follow()
    assert [due_at > timezone.now() + timedelta(seconds=5) for due_at in later] == [True]
    assert set(Model.objects.values_list("name", flat=True)) == {"atrium-tiny"}


@pytest.mark.parametrize("body", [b"[]", b'{"data": 7, "preparing": "x"}', b'{"data": [7, {"id": []}]}'])
def test_nonsense_offers_nothing(runtime, body):
    runtime.body = runtime.health = json.loads(body)
    runtime.body = body
    follow()
    assert set(Model.objects.values_list("name", flat=True)) == {"atrium-tiny"}


def test_one_that_is_switched_off_is_not_asked(runtime):
    services.update_connection(actor=None, connection=Connection.objects.get(), is_enabled=False)
    assert follow() == [] and runtime.paths == []


def test_pages_of_every_tenant_hear_which_chat_models_are_being_made(runtime):
    assert list_preparing_models() == []
    embedding = {**MAKING, "id": "e5", "kind": "embedding", "display_name": "E5"}
    failed = {**MAKING, "id": "x", "display_name": "X", "state": "failed"}
    runtime.health["preparing"] = [MAKING, embedding, failed]
    assert len(follow()) == 1
    with tenant("acme"):
        assert list_preparing_models() == ["SmolLM2 135M"]
    runtime.health["preparing"] = [embedding]
    assert len(follow()) == 1  # for the embedding model alone
    assert list_preparing_models() == []
    runtime.health["preparing"] = [failed]
    assert follow() == []


def test_one_that_can_be_chosen_is_not_called_in_the_making(runtime):
    """The runtime makes it anew, after a restart."""
    runtime.health["preparing"] = [MAKING]
    follow()
    assert list_preparing_models() == ["SmolLM2 135M"]
    runtime.listed = [SMOL]
    assert len(follow()) == 1
    assert list_preparing_models() == []


# -- the token -----------------------------------------------------------------------------------------------


def stored() -> str | None:
    secret = Connection.objects.get().open_secret()
    return secret.reveal() if secret else None


def test_the_connection_carries_the_token_sealed_and_follows_it(db):
    seeds.seed_platform("http://127.0.0.1:4711", "token-1")
    assert stored() == "token-1" and "token-1" not in str(Connection.objects.values())
    seeds.seed_platform("http://127.0.0.1:4711", "token-2")
    assert stored() == "token-2"
    seeds.seed_platform("http://127.0.0.1:4712", "token-3")  # another address and another token at once
    assert (stored(), Connection.objects.get().base_url) == ("token-3", "http://127.0.0.1:4712/v1")
    with tenant("acme"):
        assert list_routes()["atrium-tiny"].targets[0].endpoint.secret.reveal() == "token-3"


def test_a_runtime_of_earlier_days_gets_its_token_and_one_without_keeps_what_is_stored(db):
    seeds.seed_platform("http://127.0.0.1:4711", "")
    assert stored() is None
    seeds.seed_platform("http://127.0.0.1:4711", "token-1")
    assert stored() == "token-1"
    seeds.seed_platform("http://127.0.0.1:4712", "")  # somebody runs it by other means
    assert stored() == "token-1"
