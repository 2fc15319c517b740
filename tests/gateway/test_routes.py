"""The table of `/v1`."""

import pytest

from gateway.routes import find_route, list_routes, route


async def view(request, **places) -> None: ...


@pytest.fixture
def table(monkeypatch):
    list_routes()  # the rooms register theirs once
    monkeypatch.setattr("gateway.routes._routes", {})
    route("POST", "files")(view)
    route("GET", "files/{file}")(view)
    route("DELETE", "files/{file}")(view)
    route("GET", "files/{file}/content")(view)
    route("GET", "models/{model:path}")(view)


@pytest.mark.parametrize(
    ("path", "template", "places"),
    [
        ("files", "files", {}),
        ("files/f-1", "files/{file}", {"file": "f-1"}),
        ("files/f-1/content", "files/{file}/content", {"file": "f-1"}),
        ("models/org/name:7b", "models/{model:path}", {"model": "org/name:7b"}),
        ("models/a\nb", "models/{model:path}", {"model": "a\nb"}),
    ],
)
def test_a_path_is_found_with_what_stands_in_its_places(table, path, template, places):
    found = find_route(path)
    assert found is not None and (found[0].template, found[1]) == (template, places)


@pytest.mark.parametrize(
    "path", ["", "file", "files/", "files/a/b", "files/a/content/x", "models/", "models"]
)
def test_what_nobody_registered_is_not_found(table, path):
    assert find_route(path) is None


def test_a_view_is_registered_once(table):
    with pytest.raises(ValueError):
        route("GET", "files/{file}")(view)


def test_the_gateways_own_routes_are_there():
    assert {"chat/completions", "embeddings", "models", "models/{model:path}"} <= {
        one.template for one in list_routes()
    }
