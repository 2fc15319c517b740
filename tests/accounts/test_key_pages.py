"""The page of one's own API keys: made, shown once, limited, revoked."""

import re
from datetime import date, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone, translation
from django.utils.formats import date_format

from accounts import shown_once
from accounts.models import ApiKey, User
from accounts.services import create_api_key, grant
from tenants.measures import Measure
from tests.conftest import manage
from tests.estate import PROVIDER, make_people

pytestmark = pytest.mark.django_db
KEY = re.compile(r"atr_acme_\w{8}_[\w-]{43}")
NEW = {"name": "laptop", "scopes": ["inference"]}


@pytest.fixture
def bobs(acme, bob):
    User.objects.filter(pk=bob.pk).update(time_zone="America/Los_Angeles")
    return acme.login_as(bob)


def errors_of(response) -> dict:
    return dict(response.context["form"].errors)


def test_a_key_is_made_shown_once_and_revoked(bobs):
    made = bobs.post("/keys/new/", NEW)
    assert made.status_code == 302 and made.url == "/keys/", (
        "loading the page of the key again must not make a second one"
    )
    (text,) = KEY.findall(bobs.get("/keys/").content.decode())
    key = ApiKey.objects.get(name="laptop")
    assert (
        bobs.get("/keys/").context.get("created_text") is None
        and text not in bobs.get("/keys/").content.decode()
    )
    assert bobs.post(f"/keys/{key.pk}/revoke/").status_code == 302
    assert not ApiKey.objects.get(pk=key.pk).is_usable


def test_a_head_does_not_use_up_the_new_key(bobs):
    bobs.post("/keys/new/", NEW)
    assert bobs.head("/keys/").status_code == 200
    assert KEY.search(bobs.get("/keys/").content.decode())


def test_the_new_key_waits_sealed_and_not_for_long(bobs, monkeypatch):
    bobs.post("/keys/new/", NEW)
    assert not KEY.search(str(dict(bobs.session)))
    monkeypatch.setattr(shown_once, "KEPT_S", -1)
    assert not KEY.search(bobs.get("/keys/").content.decode())
    assert shown_once.SESSION_NAME not in bobs.session


def test_a_key_expires_at_the_end_of_its_last_day_where_the_person_is(bobs):
    last_day = timezone.localdate() + timedelta(days=20)
    bobs.post("/keys/new/", NEW | {"expires_on": last_day.isoformat()})
    key = ApiKey.objects.get()
    with timezone.override("America/Los_Angeles"):
        moment = timezone.localtime(key.expires_at)
    assert (moment.date(), moment.hour, moment.minute) == (last_day, 23, 59)
    page = bobs.get("/keys/", headers={"accept-language": "de"}).content.decode()
    with translation.override("de"):
        assert date_format(last_day) in page


def test_what_cannot_be_stands_in_the_form_with_what_was_typed(bobs):
    wrong = {
        "name": "my name",
        "scopes": ["inference", "organization"],
        "expires_on": "2001-01-01",
        "requests_per_minute": 3_000_000_000,
        "tokens_per_day": 2_000_000_000_000,
        "calls_at_once": 0,
    }
    response = bobs.post("/keys/new/", wrong)
    assert response.status_code == 400 and set(errors_of(response)) == {
        "scopes",
        "expires_on",
        "requests_per_minute",
        "tokens_per_day",
        "calls_at_once",
    }
    assert 'value="my name"' in response.content.decode() and not ApiKey.objects.exists()


def test_what_only_the_service_refuses_stands_in_the_form_too(bobs, monkeypatch):
    from accounts.forms import ApiKeyForm

    monkeypatch.setattr(ApiKeyForm, "clean_expires_on", lambda form: date(2001, 1, 1))
    response = bobs.post("/keys/new/", NEW | {"expires_on": "2001-01-01"})
    assert response.status_code == 400 and set(errors_of(response)) == {"expires_on"}
    monkeypatch.undo()
    monkeypatch.setattr(ApiKeyForm, "_clean_fields", _let_a_huge_number_through(ApiKeyForm._clean_fields))
    response = bobs.post("/keys/new/", NEW)
    assert response.status_code == 400 and set(errors_of(response)) == {"requests_per_minute"}


def _let_a_huge_number_through(clean):
    def patched(form):
        clean(form)
        form.cleaned_data["requests_per_minute"] = 3_000_000_000

    return patched


def test_only_scopes_that_one_may_give_are_offered(acme):
    people = make_people("acme")
    for role, offered in (("user", False), ("auditor", True)):
        page = acme.login_as(people[role]).get("/keys/").content.decode()
        assert ('value="organization"' in page) is offered, role
    assert acme.post("/keys/new/", {"name": "k", "scopes": ["organization"]}).status_code == 302


def test_a_key_is_limited_to_chosen_models(bobs):
    from models_registry.services import add_connection, add_model

    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    for name in ("small", "large"):
        add_model(actor=None, connection=connection, name=name, upstream_name=name)
    page = bobs.get("/keys/").content.decode()
    assert 'name="model_names" value="small"' in page and 'name="model_names" value="large"' in page
    bobs.post("/keys/new/", NEW | {"model_names": ["small"]})
    assert ApiKey.objects.get().model_names == ["small"]
    bobs.post("/keys/new/", NEW | {"name": "free"})
    assert ApiKey.objects.get(name="free").model_names == []
    assert bobs.post("/keys/new/", NEW | {"model_names": ["not offered"]}).status_code == 400


def test_a_key_is_limited_in_every_measure_that_there_is(bobs):
    amounts = {
        "requests_per_minute": 60,
        "tokens_per_minute": 20_000,
        "tokens_per_day": 200_000_000_000,
        "calls_at_once": 1,
    }
    assert amounts.keys() == set(Measure.values)
    assert bobs.post("/keys/new/", NEW | amounts).status_code == 302
    key = ApiKey.objects.get()
    assert {row.measure: row.amount for row in key.limits.all()} == amounts
    page = bobs.get("/keys/").content.decode()
    shown = re.findall(r'<span class="small muted key-limit">([^<]*)</span>', page)
    assert shown == [
        "60 requests per minute", "20,000 tokens per minute", "200,000,000,000 tokens per day",
        "1 call at once",
    ]  # fmt: skip
    bobs.post("/keys/new/", NEW | {"name": "free"} | dict.fromkeys(amounts, ""))
    assert not ApiKey.objects.get(name="free").limits.exists()


def test_many_models_can_be_searched_few_are_seen_at_a_glance(bobs):
    from models_registry.services import add_connection, add_model

    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    for number in range(8):
        add_model(actor=None, connection=connection, name=f"model-{number}")
    assert "data-filters" not in bobs.get("/keys/").content.decode()
    add_model(actor=None, connection=connection, name="model-8")
    page = bobs.get("/keys/").content.decode()
    field = re.search(r"<input[^>]*data-filters[^>]*>", page)
    assert field and "name=" not in field[0], "what one looks for is no part of the form"
    assert page.count('name="model_names"') == 9, "the list is whole, and a script shortens it"


@pytest.mark.parametrize("name", ["h/*", "does-not-exist", "*", "closed"])
def test_a_key_names_models_that_its_person_may_use(acme, alice, bob, name):
    from models_registry.services import add_connection, add_model

    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    add_model(actor=None, connection=connection, name="h/small", aliases=["nick"], is_enabled=False)
    add_model(actor=None, connection=connection, name="closed")
    grant(actor=None, kind="model", target="closed", effect="deny", user=bob)
    command = ["apikey", "create", "--tenant", "acme", "--user", bob.email, "--name", "k"]
    manage(*command, "--model", "h/small", "--model", "nick")
    assert ApiKey.objects.get().model_names == ["h/small", "nick"]
    if name != "closed":  # who has the command may prepare a key for a right to come
        with pytest.raises(CommandError, match="There is no model"):
            manage(*command, "--model", "nick", "--model", name)
    acme.login_as(bob)
    address = "/api/v1/api-keys/"
    for response in (
        acme.post(address, {"name": "k", "model_names": [name]}, content_type="application/json"),
        acme.patch(
            f"{address}{ApiKey.objects.get().pk}/", {"model_names": [name]}, content_type="application/json"
        ),
    ):
        answer = response.json()
        assert (response.status_code, answer["code"], answer["param"]) == (
            400,
            "model_not_found",
            "model_names",
        )
    assert ApiKey.objects.get().model_names == ["h/small", "nick"]


def test_a_foreign_key_cannot_be_revoked(acme, alice, bob):
    row, _text = create_api_key(actor=alice, user=alice, name="hers")
    assert acme.login_as(bob).post(f"/keys/{row.pk}/revoke/").status_code == 404


def test_on_the_command_line_too_a_date_is_the_last_day(bob):
    call_command(
        "apikey",
        "create",
        "--tenant",
        "acme",
        "--user",
        bob.email,
        "--name",
        "k",
        "--expires",
        "2099-01-31",
        stdout=StringIO(),
    )
    assert ApiKey.objects.get().expires_at.isoformat() == "2099-01-31T23:59:59.999999+00:00"


def test_what_a_key_allows_is_told_in_words(acme, bob):
    create_api_key(actor=None, user=bob, name="k", scopes=["inference", "read"])
    page = acme.login_as(bob).get("/keys/", headers={"accept-language": "de"}).content.decode()
    shown = re.findall(r'<span class="badge">([^<]*)</span>', page)
    assert "Modelle aufrufen (/v1)" in shown and not {"inference", "read"} & set(shown)
