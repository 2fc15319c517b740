"""The rail's places: each room's own, for those who may see them."""

import pytest
from django.test import Client

from administration.rail import _places, rail_place


def titles(client: Client) -> list[str]:
    html = client.get("/usage/", headers={"host": "acme.localhost"}).content.decode()
    rail = html.split('class="rail-places"')[1].split("</nav>")[0]
    return [part.split("</span>")[0] for part in rail.split('class="rail-label">')[1:]]


@pytest.fixture
def visit(client):
    def visit(person) -> Client:
        client.force_login(person)
        return client

    return visit


def test_a_member_sees_the_places_of_the_rooms_in_their_order(visit, bob):
    assert titles(visit(bob)) == ["Chat", "Usage", "API keys"]


def test_who_administers_sees_the_way_there(visit, alice):
    assert titles(visit(alice))[-1] == "Administration"


def test_the_place_of_the_page_is_marked(visit, bob):
    html = visit(bob).get("/usage/", headers={"host": "acme.localhost"}).content.decode()
    rail = html.split('class="rail-places"')[1].split("</nav>")[0]
    assert rail.count('aria-current="page"') == 1
    assert 'aria-current="page"' in rail.split('href="/usage/"')[1].split(">")[0]


def test_a_room_registers_a_place_of_its_own(visit, bob, monkeypatch):
    titles(visit(bob))  # the rooms have registered theirs
    monkeypatch.setattr("administration.rail._places", dict(_places))
    rail_place(order=20, url_name="prompts:conversation-list", icon="search", title="Knowledge")
    rail_place(
        order=30, url_name="accounts:apikey-create", icon="x", title="Secret", is_visible=lambda user: False
    )
    assert titles(visit(bob)) == ["Chat", "Knowledge", "Usage", "API keys"]
