"""S07: what is worth something at one tenant is worth nothing at another: sessions, CSRF tokens, API keys, reset links."""

import asyncio
import re

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connections
from django.test import Client

from accounts.models import User
from accounts.services import create_api_key
from gateway import host as gateway_host
from gateway.front import Front
from tenants.context import platform, tenant
from tests.asgi import call

HOSTS = {"acme": "acme.localhost", "globex": "globex.localhost", "platform": "localhost"}
PAGES = ["/", "/profile/", "/keys/", "/usage/", "/c/", "/admin/", "/admin/accounts/user/", "/api/v1/me/", "/api/v1/conversations/", "/api/v1/api-keys/"]
PEOPLE = {"acme": ["alice@acme.example", "bob@acme.example"], "globex": ["charlie@globex.example"], "platform": ["olga@atrium.example"]}


def scope_of(world: str):
    return platform() if world == "platform" else tenant(world)


def client_at(world: str, **kwargs) -> Client:
    return Client(headers={"host": HOSTS[world]}, **kwargs)


def session_cookie(world: str, email: str) -> str:
    client = client_at(world)
    with scope_of(world):
        client.force_login(User.objects.get(email=email))
    return client.cookies["atrium_session"].value


def is_let_in(response) -> bool:
    return response.status_code == 200 and b'name="login"' not in response.content


@pytest.mark.django_db
@pytest.mark.scope(None)
def test_a_session_of_one_world_is_nobody_in_another():
    tries = 0
    for home, emails in PEOPLE.items():
        for email in emails:
            cookie = session_cookie(home, email)
            for world in HOSTS:
                client = client_at(world)
                client.cookies["atrium_session"] = cookie
                pages = PAGES if world != "platform" else PAGES[1:]  # the platform's front door is open to everyone
                answers = [is_let_in(client.get(page)) for page in pages]
                assert any(answers) == (world == home), (email, world, answers)
                tries += len(PAGES)
    assert tries >= 100


@pytest.mark.django_db
@pytest.mark.scope(None)
def test_even_a_copied_session_row_and_user_are_nobody_elsewhere():
    """Cloned or imported people have the same id and password hash: the tenant in the session's hash keeps them apart."""
    cookie = session_cookie("acme", "bob@acme.example")
    with tenant("acme"):
        bob, row = User.objects.get(email="bob@acme.example"), Session.objects.get(session_key=cookie)
    with tenant("globex"):
        User(id=bob.pk, email=bob.email, name=bob.name, password=bob.password).save(force_insert=True)
        Session(session_key=row.session_key, session_data=row.session_data, expire_date=row.expire_date).save(force_insert=True)
    client = client_at("globex")
    client.cookies["atrium_session"] = cookie
    assert not is_let_in(client.get("/profile/"))


@pytest.mark.django_db
@pytest.mark.scope(None)
def test_planted_bug_without_the_tenant_in_the_hash_the_copy_gets_in(monkeypatch):
    monkeypatch.setattr("accounts.models.scope_label", lambda: "same everywhere")
    with pytest.raises(AssertionError):
        test_even_a_copied_session_row_and_user_are_nobody_elsewhere()


@pytest.mark.django_db
@pytest.mark.scope(None)
def test_a_csrf_token_of_one_tenant_is_refused_at_another():
    acme, globex = client_at("acme", enforce_csrf_checks=True), client_at("globex", enforce_csrf_checks=True)
    for client, world, email in ((acme, "acme", "bob@acme.example"), (globex, "globex", "charlie@globex.example")):
        with scope_of(world):
            client.force_login(User.objects.get(email=email))
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', acme.get("/profile/").content.decode())[1]
    data = {"name": "New", "language": "", "theme": "dark", "time_zone": "Europe/Berlin", "csrfmiddlewaretoken": token}
    assert acme.post("/profile/", data).status_code == 302
    assert globex.post("/profile/", data).status_code == 403


@pytest.mark.django_db
@pytest.mark.scope(None)
def test_a_reset_link_works_only_where_it_was_asked_for(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    client_at("acme").post("/accounts/password/reset/", {"email": "bob@acme.example"})
    path = re.search(r"http://acme\.localhost[^/]*(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
    with tenant("acme"):
        bob = User.objects.get(email="bob@acme.example")
    with tenant("globex"):
        User(id=bob.pk, email=bob.email, name=bob.name, password=bob.password).save(force_insert=True)
    assert b'name="password1"' in client_at("acme").get(path, follow=True).content
    assert b'name="password1"' not in client_at("globex").get(path, follow=True).content


@pytest.mark.scope(None)
def test_a_key_works_at_its_tenant_and_at_the_platforms_hosts_only(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        keys = {}
        for slug in ("acme", "globex"):
            with tenant(slug):
                keys[slug] = create_api_key(actor=None, user=User.objects.get(email=PEOPLE[slug][0]), name="replay", scopes=["inference", "read"])[1]
        asyncio.run(try_keys(keys))
        for slug, key in keys.items():
            for world in HOSTS:
                status = client_at(world).get("/api/v1/me/", headers={"authorization": f"Bearer {key}"}).status_code
                assert status == (200 if world in (slug, "platform") else 401), (slug, world)
        connections.close_all()


async def try_keys(keys: dict[str, str]) -> None:
    """Each key at each host, whole and with parts of the other tenant's key."""
    front, tries = Front(), 0
    await gateway_host.start_host("test")
    try:
        for slug, key in keys.items():
            other = next(text for name, text in keys.items() if name != slug)
            mutants = [key.replace(f"_{slug}_", f"_{name}_") for name in ("public", "platform", "tenant-template", "globex" if slug == "acme" else "acme")]
            mutants += ["_".join([*key.split("_", 3)[:3], other.split("_", 3)[3]]), key[:-1], key + "x", key.upper(), key.replace("_", "-"), ""]
            for world, host in HOSTS.items():
                for attempt in (key, *mutants):
                    answer = await call(front, "GET", "/v1/models", headers={"authorization": f"Bearer {attempt}"}, host=host)
                    assert answer.status == (200 if attempt == key and world in (slug, "platform") else 401), (world, attempt)
                    tries += 1
        assert tries >= 60
    finally:
        await gateway_host.stop_host()
