"""The rail's places: each room's own, for those who may see them, in groups; a person's own in their menu."""

import re

import pytest
from django.test import Client

from administration.rail import RailGroup, _places, rail_place

ACME = {"host": "acme.localhost"}


def groups(client: Client, path: str = "/usage/") -> list[list[str]]:
    """The titles of the rail's places, group by group."""
    html = client.get(path, headers=ACME).content.decode()
    rail = html.split('class="rail-places"')[1].split("</nav>")[0]
    return [
        [title.strip() for title in re.findall(r'class="rail-label">([^<]*)<', part)]
        for part in rail.split('class="rail-group"')[1:]
    ]


def own(client: Client, path: str = "/usage/") -> str:
    """The part of the person's menu that has their own places."""
    html = client.get(path, headers=ACME).content.decode()
    return html.split('id="person-menu"')[1].split("<nav")[1].split("</nav>")[0]


@pytest.fixture
def visit(client):
    def visit(person) -> Client:
        client.force_login(person)
        return client

    return visit


@pytest.fixture
def register(monkeypatch, visit, bob):
    """rail_place for this test alone."""
    groups(visit(bob))  # the rooms have registered theirs
    monkeypatch.setattr("administration.rail._places", dict(_places))
    return rail_place


# Places to come, in the order they are registered; each leads to some page that there is.
TO_COME = (
    (RailGroup.WORK, 50, "account_email", "Agents"),
    (RailGroup.BUILD, 20, "account_inactive", "Evaluation"),
    (RailGroup.WORK, 20, "prompts:conversation-list", "Use cases"),
    (RailGroup.WORK, 40, "account_change_password", "Prompts"),
    (RailGroup.BUILD, 10, "account_set_password", "Data & training"),
    (RailGroup.RUN, 20, "account_reset_password", "Operations"),
)


def register_ten(register) -> None:
    """With Chat, Knowledge, Models and Administration they are ten."""
    for group, order, url_name, title in TO_COME:
        register(group=group, order=order, url_name=url_name, icon="search", title=title)


def test_a_member_sees_the_places_of_the_rooms(visit, bob):
    assert groups(visit(bob)) == [["Chat", "Knowledge"], ["Models"]]


def test_who_administers_sees_the_way_there(visit, alice):
    assert groups(visit(alice)) == [["Chat", "Knowledge"], ["Models"], ["Administration"]]


def test_ten_places_stand_in_their_groups_and_orders(register, visit, alice, bob):
    register_ten(register)
    assert groups(visit(alice)) == [
        ["Chat", "Use cases", "Knowledge", "Prompts", "Agents"],
        ["Data &amp; training", "Evaluation", "Models"],
        ["Administration", "Operations"],
    ]
    assert groups(visit(bob))[2] == ["Operations"]


def test_a_place_that_the_person_may_not_see_is_not_shown(register, visit, alice, bob):
    register(
        group=RailGroup.WORK,
        order=20,
        url_name="account_email",
        icon="x",
        title="Prompts",
        is_visible=lambda user: user.is_staff,
    )
    assert groups(visit(bob)) == [["Chat", "Knowledge"], ["Models"]]
    assert groups(visit(alice))[0] == ["Chat", "Prompts", "Knowledge"]


def test_a_persons_own_places_are_in_their_menu(visit, bob):
    menu = own(visit(bob))
    assert re.findall(r'<a[^>]*href="([^"]+)"', menu) == ["/profile/", "/usage/", "/keys/"]


@pytest.mark.parametrize(
    ("path", "address", "current"),
    [
        ("/usage/", "/usage/", "page"),
        ("/accounts/password/change/", "/profile/", "true"),
        ("/keys/", "/keys/", "page"),
    ],
)
def test_the_place_of_an_own_page_is_marked(visit, bob, path, address, current):
    menu = own(visit(bob), path)
    assert menu.count("aria-current") == 1
    assert f'aria-current="{current}"' in menu.split(f'href="{address}"')[1].split(">")[0]


@pytest.mark.parametrize(("path", "current"), [("/", "page"), ("/c/", "true"), ("/usage/", "")])
def test_the_place_of_the_page_is_marked(visit, bob, path, current):
    html = visit(bob).get(path, headers=ACME).content.decode()
    rail = html.split('class="rail-places"')[1].split("</nav>")[0]
    assert re.findall(r'aria-current="(\w+)"', rail) == ([current] if current else [])


def test_the_palette_acts_through_the_forms_of_the_page(visit, bob):
    html = visit(bob).get("/usage/", headers=ACME).content.decode()
    actions = html.split('id="palette-actions"')[1].split("</div>")[0]
    named = re.findall(r'form="([\w-]+)"(?: name="(\w+)" value="([\w-]+)")?', actions)
    assert named == [
        ("language-form", "language", "de"),
        ("language-form", "language", "zh-hans"),
        ("theme-form", "theme", "light"),
        ("theme-form", "theme", "dark"),
        ("theme-form", "theme", "system"),
        ("logout-form", "", ""),
    ]
    assert 'commandfor="shortcuts"' in actions
    assert all(html.count(f'<form id="{form}"') == 1 for form, _name, _value in named)


def test_the_palette_knows_all_places(register, visit, bob):
    register_ten(register)
    html = visit(bob).get("/usage/", headers=ACME).content.decode()
    pages = html.split('id="palette-pages"')[1].split('id="palette-conversations-heading"')[0]
    assert re.findall(r"<span>([^<]*)</span>", pages) == [
        "New chat",
        "Use cases",
        "Knowledge",
        "Prompts",
        "Agents",
        "Data &amp; training",
        "Evaluation",
        "Models",
        "Operations",
        "Profile",
        "Usage",
        "API keys",
    ]
