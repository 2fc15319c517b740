"""A provider's list as it comes: every usual shape, its pages, and where they end."""

import json

import pytest

from foundation.errors import UpstreamError
from models_registry.models import Model
from models_registry.providers.openai_compatible.catalogue import read_catalogue
from tests.models_registry.syncing import sync


def named(*names: str) -> list[dict]:
    return [{"id": name} for name in names]


@pytest.mark.parametrize(
    "body",
    [
        named("a", "b"),
        ["a", "b"],
        {"data": ["a", {"id": "b"}]},
        {
            "object": "list",
            "models": [{"name": "a", "model": "a"}, {"name": "B, the large one", "model": "b"}],
        },
        {"models": [{"name": "a"}, {"name": "b"}], "data": None},
        {"data": named("a", "b"), "models": [{"name": "c"}]},
        {"items": named("a", "b")},
    ],
)
def test_lists_of_models_are_read_in_every_usual_shape(linked, provider, body):
    provider.body = json.dumps(body).encode()
    assert sorted(sync(linked).added) == ["a", "b"]


@pytest.mark.parametrize("body", [{}, {"data": {"a": 1}}, {"models": "a"}, "a", 7, None])
def test_what_is_no_list_is_told(linked, provider, body):
    provider.body = json.dumps(body).encode()
    with pytest.raises(UpstreamError, match="does not send a list"):
        sync(linked)


PAGES = {
    "the last id": {"": {"has_more": True, "last_id": "cursor"}, "after=cursor": {"has_more": False}},
    "the last entry": {"": {"has_more": True}, "after=b": {}},
    "a token": {"": {"next_page_token": "t/1"}, "page_token=t%2F1": {"next_page_token": ""}},
    "an address": {
        "": {"next": "https://elsewhere.example/v9/x?offset=2&limit=2"},
        "offset=2&limit=2": {"next": None},
    },
    "a path": {"": {"next": "/v1/models?page=2"}, "page=2": {"next": "/v1/models"}},
}


@pytest.mark.parametrize("answers", PAGES.values(), ids=PAGES)
def test_all_pages_are_read(linked, provider, answers):
    first, second = answers
    provider.pages = {
        first: answers[first] | {"data": named("a", "b")},
        second: answers[second] | {"data": named("b", "c")},
    }
    assert sorted(sync(linked).added) == ["a", "b", "c"]
    assert [path.partition("?")[2] for path in provider.paths][:2] == [first, second]
    assert all(path.startswith("/v1/models") for path in provider.paths)


def test_anthropics_pages_have_a_name_of_their_own(make, provider):
    row = make.connection(kind="anthropic", base_url=provider.base_url, allow_private=True)
    provider.pages = {
        "limit=1000": {"data": named("a"), "has_more": True, "last_id": "a"},
        "limit=1000&after_id=a": {"data": named("b"), "has_more": False},
    }
    assert sorted(sync(row).added) == ["a", "b"]


def test_a_server_that_gives_one_page_for_ever_is_asked_once_more(linked, provider):
    provider.body = json.dumps({"data": named("a"), "has_more": True, "last_id": "a"}).encode()
    assert sync(linked).added == ["a"] and len(provider.paths) == 2


@pytest.mark.parametrize("bound", ["MAX_PAGES", "MAX_MODELS"])
def test_pages_have_an_end_and_what_stands_on_later_ones_has_not_vanished(
    linked, provider, monkeypatch, bound
):
    queries = ["", *(f"after=m{number}" for number in range(9))]
    provider.pages = {
        query: {"data": named(f"m{number}"), "has_more": True} for number, query in enumerate(queries)
    }
    provider.pages["after=m8"] = {"data": named("m9"), "has_more": False}
    assert len(sync(linked).added) == 10
    del provider.paths[:]
    monkeypatch.setattr(f"models_registry.catalogue.{bound}", 3)
    report = sync(linked)
    assert (report.kept, report.vanished, len(provider.paths)) == (3, [], 3)
    monkeypatch.undo()
    provider.pages = {"": {"data": named("m0")}}
    assert len(sync(linked).vanished) == 9, "of a whole one"


def test_of_a_page_that_is_too_long_nothing_vanishes(linked, provider, monkeypatch):
    monkeypatch.setattr("models_registry.providers.openai_compatible.catalogue.MAX_MODELS", 20)
    sync(linked)
    provider.listed = [f"m{number}" for number in range(20)] + ["small", "large"]
    assert sync(linked).vanished == []


def test_a_catalogue_that_breaks_off_switches_nothing_off(linked, provider, monkeypatch):
    provider.pages = {"": {"data": named("a"), "has_more": True}, "after=a": {"data": named("b")}}
    sync(linked)
    provider.pages["after=a"] = {"error": "busy"}
    with pytest.raises(UpstreamError):
        sync(linked)
    provider.pages["after=a"] = {"data": named("b")}
    monkeypatch.setattr("models_registry.catalogue.MAX_TIME_S", -1.0)
    with pytest.raises(UpstreamError, match="in time"):
        sync(linked)
    assert Model.objects.filter(vanished_at=None).count() == 2


def test_a_long_catalogue_is_bounded():
    body = json.loads(json.dumps({"data": [{"id": f"m{number}"} for number in range(3_000)]}))
    found = read_catalogue(body)
    assert len(found.models) == 2_000 and found.skipped == 1_000
    assert read_catalogue({"object": "list", "data": None}).models == []


@pytest.mark.parametrize(
    "following",
    [
        {"next": "http://[::1/?x=1"},
        {"has_more": True, "last_id": "\ud800"},
        {"next_page_token": "\udfff"},
    ],
    ids=["no address", "half an id", "half a token"],
)
def test_a_next_page_that_nobody_can_ask_for_is_the_providers_fault(linked, provider, following):
    sync(linked)
    provider.pages[""] = {"data": [{"id": "large"}], **following}
    with pytest.raises(UpstreamError) as caught:
        sync(linked)
    assert caught.value.code == "upstream_protocol"
    assert Model.objects.filter(vanished_at=None).count() == 2, "of half a catalogue nothing vanishes"
