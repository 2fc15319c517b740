"""Web origins in the management API, in the administration, and in the history of both."""

import pytest
from auditlog.models import LogEntry

from accounts.services import allow_web_origin, origins
from foundation.errors import QuotaExceeded
from tenants.local.models import WebOrigin

pytestmark = pytest.mark.django_db
PATH = "/api/v1/web-origins/"


def add(client, origin: str):
    return client.post(PATH, {"origin": origin}, content_type="application/json")


def test_an_administrator_lists_an_origin_and_takes_it_away(acme, globex, alice, charlie):
    acme.login_as(alice)
    made = add(acme, "https://App.example.org:443/")
    assert (made.status_code, made.json()["origin"]) == (201, "https://app.example.org")
    assert [row["origin"] for row in acme.get(PATH).json()["results"]] == ["https://app.example.org"]
    assert globex.login_as(charlie).get(PATH).json()["results"] == []
    again = add(acme, "https://app.example.org")
    assert (again.status_code, again.json()["code"]) == (409, "origin_exists")
    assert acme.delete(f"{PATH}{made.json()['id']}/").status_code == 204
    assert acme.get(PATH).json()["results"] == []
    entries = LogEntry.objects.filter(object_repr="https://app.example.org").order_by("pk")
    assert [(entry.action, entry.actor) for entry in entries] == [
        (LogEntry.Action.CREATE, alice),
        (LogEntry.Action.DELETE, alice),
    ]


@pytest.mark.parametrize("origin", ["*", "null", "https://a.example/x", "\u0000"])
def test_wildcards_and_paths_are_refused(acme, alice, origin):
    assert add(acme.login_as(alice), origin).status_code == 400


def test_members_may_neither_see_nor_list_any(acme, bob):
    acme.login_as(bob)
    assert acme.get(PATH).status_code == 403
    assert add(acme, "https://app.example.org").status_code == 403 and not WebOrigin.objects.exists()


def test_there_is_an_end_to_them(db, monkeypatch):
    monkeypatch.setattr(origins, "MAX_ORIGINS", 2)
    for number in range(2):
        allow_web_origin(actor=None, origin=f"https://a{number}.example")
    with pytest.raises(QuotaExceeded, match="At most 2"):
        allow_web_origin(actor=None, origin="https://a2.example")


def test_the_administration_lists_them_too(acme, alice):
    acme.login_as(alice)
    refused = acme.post("/admin/local/weborigin/add/", {"origin": "https://*.example.org"})
    assert refused.status_code == 400 and "https://app.example.org" in refused.content.decode()
    assert acme.post("/admin/local/weborigin/add/", {"origin": "https://app.example.org/"}).status_code == 302
    row = WebOrigin.objects.get()
    assert row.origin == "https://app.example.org"
    assert row.origin in acme.get("/admin/local/weborigin/").content.decode()
    assert acme.post(f"/admin/local/weborigin/{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not WebOrigin.objects.exists()
