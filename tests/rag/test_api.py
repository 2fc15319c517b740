"""`/api/v1/collections/…` as a program uses it, with a key of its own person."""

import json

import pytest

from accounts.models import ApiKey, Grant, Project
from accounts.services import create_api_key, create_project, set_project_member
from accounts.services.grants import grant
from rag.models import Chunk, Collection, Document, SavedQuestion
from tenants.local.models import Work
from tests.rag.works import bring, work_off

pytestmark = pytest.mark.django_db
BASE = "/api/v1/collections/"
LEAVE = "Jede Mitarbeiterin hat Anspruch auf dreißig Tage Jahresurlaub."


class Program:
    def __init__(self, client, person, **options) -> None:
        scopes = {"scopes": ["read", "manage"]} | options
        text = create_api_key(actor=None, user=person, name="program", **scopes)[1]
        self._client = client
        self._headers = {"Authorization": f"Bearer {text}"}

    def ask(self, method: str, path: str, body: object = None, **headers: str):
        return self._client.generic(
            method,
            path if path.startswith("/") else BASE + path,
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=self._headers | headers,
        )


def test_a_collection_from_its_making_to_its_end(acme, bob):
    program = Program(acme, bob)
    made = program.ask("POST", "", {"name": "Ordnungen", "languages": ["de"]}, **{"Idempotency-Key": "a"})
    again = program.ask("POST", "", {"name": "Ordnungen", "languages": ["de"]}, **{"Idempotency-Key": "a"})
    assert made.status_code == again.status_code == 201 and made.json()["id"] == again.json()["id"]
    told = made.json()
    assert (told["visibility"], told["progress"]["document_counts"]) == ("private", {})
    assert Collection.objects.get().owner_id == bob.pk
    own = f"{told['id']}/"
    text = {"title": "Urlaub", "text": LEAVE, "metadata": {"year": 2024}}
    document = program.ask("POST", f"{own}documents/", text)
    assert document.status_code == 201 and document.json()["state"] == "waiting"
    assert document.json()["can_cancel"] and not document.json()["can_retry"]
    assert program.ask("POST", f"{own}documents/", text).status_code == 200, "the same is one document"
    (booked,) = Document.objects.values_list("key_id", "project_id")
    key = ApiKey.objects.get(name="program")
    assert booked == (key.pk, key.project_id), "whose budget binds its vectors"
    place = f"/api/v1/documents/{document.json()['id']}/"
    assert program.ask("POST", f"{place}cancel/").json()["state"] == "stopped"
    assert program.ask("POST", f"{place}cancel/").status_code == 409
    assert program.ask("POST", f"{place}retry/").json()["state"] == "waiting"
    work_off()
    told = program.ask("GET", place).json()
    assert (told["state"], told["why"], told["metadata"]) == ("ready", "", {"year": 2024})
    asked = {"question": "Wie viele Tage Urlaub?", "filters": {"type": "gte", "key": "year", "value": 2024}}
    found = program.ask("POST", f"{own}search/", asked).json()
    assert [hit["text"] for hit in found["hits"]] == [LEAVE]
    assert found["trace"]["leg"] == "words" and found["trace"]["gaps"] == [{"why": "no_model", "model": ""}]
    asked["filters"]["value"] = 2025
    assert program.ask("POST", f"{own}search/", asked).json()["hits"] == [], "no match is no result"
    program.ask("PATCH", place, {"metadata": {"year": 2025}})
    assert len(program.ask("POST", f"{own}search/", asked).json()["hits"]) == 1
    question = {"text": "Wie viel?", "document": told["id"], "char_from": 0, "char_to": 9}
    saved = program.ask("POST", f"{own}questions/", question).json()
    assert program.ask("GET", f"{own}questions/").json()["results"] == [saved]
    assert program.ask("DELETE", f"/api/v1/saved-questions/{saved['id']}/").status_code == 204
    assert program.ask("DELETE", place).status_code == 204
    assert not Chunk.objects.exists() and program.ask("POST", f"{own}search/", asked).json()["hits"] == []
    assert program.ask("DELETE", own).status_code == 204 and not Collection.objects.exists()


def test_a_file_of_ones_own_and_a_page_are_brought(acme, bob, alice):
    program = Program(acme, bob)
    own = program.ask("POST", "", {"name": "Files"}).json()["id"]
    file = bring(LEAVE, "leave.txt", owner=bob, purpose="user_data")
    document = program.ask("POST", f"{own}/documents/", {"file": f"file-{file.pk.hex}"}).json()
    assert (document["title"], document["file"]) == ("leave.txt", f"file-{file.pk.hex}")
    page = program.ask(
        "POST", f"{own}/documents/", {"url": "https://example.com/a", "recrawl_days": 7}
    ).json()
    assert (page["source"], page["recrawl_days"]) == ("url", 7)
    listed = program.ask("GET", f"{own}/documents/?limit=1").json()
    assert [one["id"] for one in listed["results"]] == [page["id"]] and listed["next"]
    assert len(program.ask("GET", f"{own}/documents/?source=upload").json()["results"]) == 1
    others = bring("other", owner=alice, purpose="user_data")
    refused = program.ask("POST", f"{own}/documents/", {"file": f"file-{others.pk.hex}"})
    assert refused.status_code == 404 and refused.json()["code"] == "file_not_found"
    for body, place in (
        ({}, "file"),
        ({"text": "a", "url": "https://example.com"}, "file"),
        ({"text": "a", "recrawl_days": 1}, "recrawl_days"),
        ({"text": "a", "metadata": {"a": []}}, "metadata"),
        ({"text": "a", "metadata": {"": 1}}, "metadata"),
        ({"text": "a", "metadata": {"a": "x\0y"}}, "metadata"),
    ):
        assert list(program.ask("POST", f"{own}/documents/", body).json()["errors"]) == [place], body
    assert Document.objects.count() == 2


def test_a_collection_is_handed_over_by_the_rules_of_the_page(acme, bob, alice, make_collection):
    giver, maker = Program(acme, bob), Program(acme, alice)
    own = make_collection("Mine alone", owner_id=bob.pk)
    shared = make_collection("Shared handbook")
    place = f"{own.pk}/hand-over/"
    for path, body, status, param in (
        (place, {}, 400, "person"),
        (place, {"to": "everybody", "person": alice.email}, 400, "person"),
        (place, {"person": "nobody@acme.example"}, 400, "person"),
        (place, {"person": bob.email}, 400, "person"),
        (place, {"to": "everybody"}, 403, None),
        (f"{shared.pk}/hand-over/", {"person": alice.email}, 403, None),
    ):
        refused = giver.ask("POST", path, body)
        assert refused.status_code == status, refused.content
        assert param is None or param in refused.content.decode()
    assert maker.ask("POST", place, {"person": alice.email}).status_code == 404
    given = giver.ask("POST", place, {"person": alice.email})
    assert given.status_code == 200 and given.json()["visibility"] == "private"
    assert giver.ask("GET", f"{own.pk}/").status_code == 404, "it is the giver's no more"
    assert maker.ask("POST", place, {"to": "everybody"}).json()["visibility"] == "shared"
    assert giver.ask("GET", f"{own.pk}/").json()["visibility"] == "shared"
    assert maker.ask("POST", place, {"person": bob.email}).status_code == 400, (
        "what is shared is nobody's own"
    )
    own.refresh_from_db()
    assert (own.owner_id, own.keeper_id) == (None, alice.pk)


def test_a_key_reads_on_its_project_and_writes_as_its_person_may(acme, bob, make_collection, add):
    law = create_project(actor=None, name="Law")
    shared, closed = make_collection("Shared"), make_collection("Closed")
    add(shared, "Leave", LEAVE)
    hidden = add(closed, "Secret", LEAVE)
    question = SavedQuestion.objects.create(collection=closed, text="Q")
    grant(actor=None, kind="collection", target=closed.pk, project=law, effect=Grant.Effect.ALLOW)
    set_project_member(actor=None, project=law, user=bob, role="editor")
    program = Program(acme, bob)
    assert {row["name"] for row in acme.login_as(bob).get(BASE).json()["results"]} == {"Shared", "Closed"}
    acme.logout()
    assert [row["name"] for row in program.ask("GET", "").json()["results"]] == ["Shared"]
    for method, path in (
        ("GET", f"{closed.pk}/"),
        ("GET", f"{closed.pk}/documents/"),
        ("POST", f"{closed.pk}/search/"),
        ("GET", f"/api/v1/documents/{hidden.pk}/"),
        ("DELETE", f"/api/v1/saved-questions/{question.pk}/"),
    ):
        assert program.ask(method, path, {}).status_code == 404, path
    on_law = Program(acme, bob, project=law)
    assert len(on_law.ask("GET", "").json()["results"]) == 2
    refused = program.ask("POST", f"{shared.pk}/documents/", {"text": "mine"})
    assert refused.status_code == 403 and refused.json()["code"] == "not_allowed"
    assert program.ask("POST", "", {"name": "For all", "visibility": "shared"}).status_code == 403
    reader = Program(acme, bob, scopes=["read"])
    assert reader.ask("GET", "").status_code == 200
    assert reader.ask("POST", "", {"name": "Mine"}).json()["code"] == "missing_scope"


def test_what_changes_the_index_has_another_made_beside_it(acme, alice, make_collection, add):
    program = Program(acme, alice)
    row = make_collection("Rules")
    add(row, "Leave", LEAVE)
    assert program.ask("PATCH", f"{row.pk}/", {"description": "of the house"}).status_code == 200
    assert not Work.objects.exists()
    told = program.ask("PATCH", f"{row.pk}/", {"chunk_characters": 400}).json()
    assert told["chunk_characters"] == 400 and told["progress"]["is_rebuilding"]
    work_off()
    told = program.ask("GET", f"{row.pk}/").json()["progress"]
    assert not told["is_rebuilding"] and told["chunk_count"] == 1
    refused = program.ask("PATCH", f"{row.pk}/", {"embedding_model": "none"})
    assert refused.status_code == 400 and refused.json()["param"] == "embedding_model"


def test_a_keys_models_and_its_projects_policy_bind_collections(acme, bob):
    project = create_project(actor=None, name="Locked")
    Project.objects.filter(pk=project.pk).update(data_policy="local")
    set_project_member(actor=None, project=project, user=bob, role="editor")
    program = Program(acme, bob, project=project)
    ApiKey.objects.filter(project=project).update(model_names=["mock"])
    refused = program.ask("POST", "", {"name": "Other", "embedding_model": "another"})
    assert refused.status_code == 400 and "may not use that model" in refused.json()["detail"]
    made = program.ask("POST", "", {"name": "Words"})
    assert made.status_code == 201 and Collection.objects.get().data_policy == "local"
