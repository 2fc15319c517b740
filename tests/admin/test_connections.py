"""Connections through the forms."""

import re
import time
from functools import partial
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.services import create_user
from models_registry.admin.kept_secret import KEPT_S
from models_registry.models import Connection, Model
from models_registry.platform import models as platform_models
from models_registry.services import add_connection, add_model
from tenants.sealing import seal
from tests.admin.model_forms import url
from tests.estate import make_estate, make_platform_estate
from tests.models_registry.provider import Provider
from tests.routes import PLATFORM, TENANT

pytestmark = pytest.mark.django_db
OWN = {"name": "Own", "kind": "vllm", "base_url": "https://a.example/v1"}


def fields(**changes: str) -> dict[str, str]:
    """What the form of a new connection sends."""
    return OWN | {"is_enabled": "on", "location": ""} | changes


def test_a_connections_key_goes_in_and_never_comes_out(acme, alice):
    acme.login_as(alice)
    data = fields(kind="openai", base_url="", secret="sk-very-secret")
    assert acme.post(url("models_registry_connection_add"), data).status_code == 302
    row = Connection.objects.get()
    assert row.base_url == "https://api.openai.com/v1" and row.open_secret().reveal() == "sk-very-secret"
    for page in ("change", "history"):
        assert b"very-secret" not in acme.get(url(f"models_registry_connection_{page}", row.pk)).content
    changed = data | {"name": "Other", "secret": ""}
    acme.post(url("models_registry_connection_change", row.pk), changed | {"base_url": row.base_url})
    row.refresh_from_db()
    assert row.name == "Other" and row.open_secret().reveal() == "sk-very-secret", (
        "an empty field keeps the key"
    )
    acme.post(
        url("models_registry_connection_change", row.pk),
        changed | {"base_url": row.base_url, "remove_secret": "on"},
    )
    row.refresh_from_db()
    assert not row.has_secret


def test_the_key_is_not_sent_to_another_host_by_mistake(acme, alice):
    row = make_estate(alice).connection
    data = fields(name=row.name, kind=row.kind, base_url="https://elsewhere.example/v1", secret="")
    response = acme.login_as(alice).post(url("models_registry_connection_change", row.pk), data)
    assert response.status_code == 400 and b"Enter the API key again" in response.content
    assert Connection.objects.get(pk=row.pk).base_url == row.base_url


# -- a refused form keeps what was typed ---------------------------------------------------------------------

KEY = "sk-typed-once"


def kept_in(response) -> str:
    """What a refused form keeps of the key: beside the empty field, and not the key itself."""
    page = response.content.decode()
    assert KEY not in page
    return "".join(re.findall(r'<input type="hidden" name="secret-kept" value="([^"]*)">', page))


@pytest.fixture
def refused(acme, alice):
    """The fields of a form that was refused for its address alone, and is sent again with what it kept."""
    data = fields(base_url="ftp://a.example", secret=KEY)
    page = acme.login_as(alice).post(url("models_registry_connection_add"), data)
    kept = kept_in(page)
    assert kept and not Connection.objects.exists() and b"is kept for 10 minutes" in page.content
    return fields(secret="", **{"secret-kept": kept})


def test_a_refused_form_keeps_the_key_and_shows_nothing_of_it(acme, refused):
    again = acme.post(url("models_registry_connection_add"), refused | {"name": ""})
    refused["secret-kept"] = kept_in(again)
    assert acme.post(url("models_registry_connection_add"), refused).status_code == 302
    row = Connection.objects.get()
    assert row.open_secret().reveal() == KEY
    moved = refused | {"base_url": "https://elsewhere.example/v1", "name": "Moved"}
    assert acme.post(url("models_registry_connection_change", row.pk), moved).status_code == 302
    assert Connection.objects.get().open_secret().reveal() == KEY


def test_what_is_typed_now_takes_the_place_of_what_was_kept(acme, refused):
    acme.post(url("models_registry_connection_add"), refused | {"secret": "sk-better"})
    assert Connection.objects.get().open_secret().reveal() == "sk-better"


def test_a_key_that_is_to_be_removed_does_not_come_back_from_the_page(acme, refused):
    row = add_connection(
        actor=None, name="Own", kind="vllm", base_url="https://a.example/v1", secret="sk-old"
    )
    acme.post(url("models_registry_connection_change", row.pk), refused | {"remove_secret": "on"})
    assert not Connection.objects.get().has_secret


@pytest.mark.parametrize("kept", ["", "v1:", "v1:é", KEY, "v1:" + "A" * 60])
def test_what_is_no_kept_key_is_none(acme, refused, kept):
    page = acme.post(url("models_registry_connection_add"), refused | {"secret-kept": kept})
    assert Connection.objects.exists() == (kept == "")
    assert kept == "" or b"Enter the API key again" in page.content
    assert not Connection.objects.exclude(secret="").exists()


def test_a_kept_key_opens_for_whoever_typed_it_and_in_their_organisation(acme, globex, charlie, refused):
    other = create_user(actor=None, email="eve@acme.example", name="Eve", roles=["owner"])
    for client, person in ((acme, other), (globex, charlie)):
        page = client.login_as(person).post(url("models_registry_connection_add"), refused)
        assert b"Enter the API key again" in page.content and kept_in(page) == ""
    assert not Connection.objects.exists()


@pytest.mark.parametrize(("age_s", "is_good"), [(KEPT_S - 60, True), (KEPT_S + 60, False)])
def test_a_key_is_not_kept_for_long(acme, alice, refused, age_s, is_good):
    place = {"table": Connection._meta.db_table, "row": alice.pk, "field": "typed_secret"}
    refused["secret-kept"] = seal(f"{int(time.time()) - age_s} {KEY}", **place)
    page = acme.post(url("models_registry_connection_add"), refused)
    assert Connection.objects.exists() == is_good
    if not is_good:
        assert b"Enter the API key again" in page.content and kept_in(page) == ""


def test_an_address_that_is_kept_otherwise_than_it_was_entered_is_told(acme, alice):
    acme.login_as(alice)
    data = fields()
    add = partial(acme.post, url("models_registry_connection_add"), follow=True)
    told = add(data | {"base_url": "https://a.example/v1/chat/completions"})
    assert b"kept as https://a.example/v1:" in told.content
    row = Connection.objects.get()
    change = partial(acme.post, url("models_registry_connection_change", row.pk), follow=True)
    assert b"kept as https://a.example/v2:" in change(data | {"base_url": "https://a.example/v2/"}).content
    for page in (
        change(data | {"base_url": "https://a.example/v2", "name": "Other"}),
        add(data | {"base_url": "https://b.example/v1"}),
        add(data | {"name": "Usual", "kind": "openai", "base_url": ""}),
    ):
        assert b"kept as" not in page.content
    assert Connection.objects.count() == 3


def test_who_calls_a_strangers_server_the_houses_own_is_told_at_the_field(acme, alice):
    response = acme.login_as(alice).post(url("models_registry_connection_add"), fields(location="local"))
    assert response.status_code == 400 and not Connection.objects.exists()
    assert "Only the operator" in str(response.context["adminform"].form.errors["location"])


def test_a_tenant_reaches_no_private_network(acme, alice):
    data = fields(base_url="http://10.0.0.5:8000/v1", allow_private="on", may_be_private="on")
    response = acme.login_as(alice).post(url("models_registry_connection_add"), data)
    assert response.status_code in (400, 403) and not Connection.objects.exists()
    page = response.content.decode()
    assert "Ask the operator of the platform" in page and "manage.py" not in page, "they have no shell"


@pytest.mark.scope("platform")
def test_an_operator_lets_a_connection_into_a_private_network(on_platform, olga):
    data = {
        "name": "In",
        "kind": "vllm",
        "base_url": "http://10.0.0.5:8000/v1",
        "is_enabled": "on",
        "location": "local",
        "may_be_private": "on",
    }
    response = on_platform.login_as(olga).post(
        reverse("system:registry_platform_connection_add", urlconf=PLATFORM), data
    )
    assert response.status_code == 302 and platform_models.Connection.objects.get(name="In").allow_private


def test_models_are_fetched_after_a_question_and_a_failure_is_told(acme, alice):
    provider = Provider()
    row = make_estate(alice).connection
    Connection.objects.filter(pk=row.pk).update(base_url=provider.base_url)
    acme.login_as(alice)
    address = url("models_registry_connection_sync", row.pk)
    assert b"Fetch the lists of models" in acme.get(address).content and not provider.paths
    page = acme.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "2 added" in page and Model.objects.filter(name="small", connection=row).exists()
    assert "at most 4,096 tokens" in page and "cannot be used here" not in page
    provider.listed = ["small", *(f"n° {number}" for number in range(11)), "<b>x"]
    page = acme.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "12 models have names that cannot be used here: n° 0, " in page and "n° 9…" in page
    provider.listed = ["small", "<b>x"]
    page = acme.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "cannot be used here: &lt;b&gt;x." in page and "<b>x" not in page
    assert "at most 4,096 tokens" not in page, "nothing was added"
    provider.status = 500
    page = acme.post(
        url("models_registry_connection_test", row.pk), {"confirmed": "yes"}, follow=True
    ).content.decode()
    row.refresh_from_db()
    assert row.last_error and row.last_error[:20] in page


DEAR = {"id": "dear", "pricing": {"prompt": "0.000001", "completion": "0"}}
TAKE_OVER = "The catalogue says what 1 of those added costs"


def fetch_models(client, name: str, row, listed: list) -> str:
    provider = Provider()
    provider.listed = listed
    type(row).objects.filter(pk=row.pk).update(base_url=provider.base_url, allow_private=True)
    return client.post(name, {"confirmed": "yes"}, follow=True).content.decode()


def test_prices_of_a_catalogue_are_announced_where_they_can_be_taken_over(acme, alice, in_dollars):
    row = make_estate(alice).connection
    sync = partial(fetch_models, acme.login_as(alice), url("models_registry_connection_sync", row.pk), row)
    assert "1 added" in (page := sync(["small"])) and TAKE_OVER not in page
    assert TAKE_OVER in sync(["small", DEAR])


def test_who_is_billed_in_euros_is_not_told_to_take_dollars_over(acme, alice):
    row = make_estate(alice).connection
    page = fetch_models(acme.login_as(alice), url("models_registry_connection_sync", row.pk), row, [DEAR])
    assert "1 added" in page and TAKE_OVER not in page


@pytest.mark.scope("platform")
def test_the_platform_takes_over_any_currency(on_platform, olga):
    row = make_platform_estate(olga).connection
    address = reverse("system:registry_platform_connection_sync", args=[row.pk], urlconf=PLATFORM)
    assert TAKE_OVER in fetch_models(on_platform.login_as(olga), address, row, [DEAR])


def test_the_counts_lead_to_the_connections_models(acme, alice):
    row = make_estate(alice).connection
    Connection.objects.filter(pk=row.pk).update(name="<b>Ours")
    sync = partial(fetch_models, acme.login_as(alice), url("models_registry_connection_sync", row.pk), row)
    page = sync(["small", "large"])
    address = re.search(r'<a href="([^"]+)" class="underline">&lt;b&gt;Ours: 2 added', page)[1]
    assert "<b>Ours" not in page
    other = add_connection(actor=None, name="Other", kind="openai")
    add_model(actor=None, connection=other, name="elsewhere")
    shown = acme.get(unescape(address)).content.decode()
    assert "large" in shown and "small" in shown and "elsewhere" not in shown


@pytest.mark.scope("platform")
def test_what_comes_back_is_not_called_added(on_platform, olga):
    row = make_platform_estate(olga).connection
    address = reverse("system:registry_platform_connection_sync", args=[row.pk], urlconf=PLATFORM)
    platform_models.Connection.objects.filter(pk=row.pk).update(location="us")
    sync = partial(fetch_models, on_platform.login_as(olga), address, row)
    assert "2 of those added or back again stay switched off" in sync(["small", "large"])
    platform_models.Model.objects.filter(connection=row).update(is_enabled=True, vanished_at=None)
    sync(["large"])
    page = sync(["large", "small"])
    assert "0 added, 1 back again, 0 switched off, 1 unchanged" in page
    assert "1 of those added or back again stays switched off" in page and "new models" not in page


def test_a_connection_with_models_stays(acme, alice):
    row = make_estate(alice).connection
    acme.login_as(alice).post(url("models_registry_connection_delete", row.pk), {"post": "yes"})
    assert Connection.objects.filter(pk=row.pk).exists()


def test_timeouts_say_their_defaults(acme, alice):
    acme.login_as(alice)
    page = acme.get(url("models_registry_connection_add")).content.decode()
    assert "Empty: 5 s." in page and "Empty: 120 s, for servers of your own (such as vLLM) 600 s." in page
    for kind, seconds in (("openai", "120"), ("vllm", "600")):
        row = add_connection(
            actor=None, name=kind, kind=kind, base_url="https://model.example.com/v1", idle_timeout_s=7
        )
        page = acme.get(url("models_registry_connection_change", row.pk)).content.decode()
        assert f"Empty: {seconds} s." in page


def test_the_start_page_says_how_many_connections_were_never_asked(acme, alice):
    def card() -> str:
        return acme.get(reverse("service:index", urlconf=TENANT)).content.decode()

    acme.login_as(alice)
    answered = "Every connection answered when it was last asked"
    assert answered not in card() and "never been checked" not in card()
    row = add_connection(actor=None, name="one", kind="openai", secret="x")
    assert answered not in card() and "1 connection has never been checked." in card()
    Connection.objects.filter(pk=row.pk).update(last_checked_at=timezone.now())
    assert answered in card() and "never been checked" not in card()
