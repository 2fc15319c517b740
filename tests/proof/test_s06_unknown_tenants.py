"""S06: dropped, renamed and half-migrated tenants under load, and hosts nobody has: never an answer from
`public`.

Pages by host all 404. `/v1` and `/api/v1` at a host that we do not know take a valid key and nothing else, no
session either; otherwise the same 401 (status, headers and body). Half-migrated 503. Each planted bug runs
the row's checks.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.http import parse_cookie
from django.test import Client

from accounts.models import User
from accounts.services import create_api_key, create_user
from gateway import loop as gateway_loop
from gateway.front import Front
from gateway.state.snapshot import Snapshots
from gateway.steps.authenticate import check_door
from tenants.context import owner, tenant
from tenants.doors import hosts, middleware
from tenants.doors.hosts import KnownTenant
from tenants.doors.middleware import TenantMiddleware, _key_of
from tenants.models import Tenant
from tenants.provisioning.services import create_tenant, drop_schema, set_tenant_status
from tests.asgi import call

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(300)]

PAGES = ["/", "/accounts/login/", "/admin/", "/keys/"]
API = "/api/v1/me/"
PATHS = [*PAGES, API]
UNKNOWN_HOSTS = [
    "nobody.localhost",
    "127.0.0.1",
    "10.0.0.1",
    "public",
    "public.localhost",
    "tenant-template.localhost",
    "tenant_template",
    "acme.localhost.evil.example",
    "acme.localhost@evil",
    "x?",
    "a/b",
    "",
    "acme",
    "localhost:8000:80",
    "..",
    "[::1]",
    "192.168.1.20:8000",
    "host.docker.internal:8000",
    "[::1]:8000",
    "acme.localhost.:x",
    "x" * 300,
]


IS_NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
ENOUGH, THREADS = 40, 8 if IS_NIGHT else 2


def make_tenant(slug: str) -> str:
    """A committed tenant with one person; returns a key."""
    create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
    hosts.forget()  # the last one of this name is gone
    with tenant(slug):
        user = create_user(actor=None, email=f"dora@{slug}.example", name="Dora", roles=["owner"])
        return create_api_key(actor=None, user=user, name="k", scopes=["inference", "read"])[1]


_kept: dict[str, str] = {}


def keep_tenant(slug: str) -> str:
    """The same for all tests that leave it as it was."""
    if slug not in _kept:
        _kept[slug] = make_tenant(slug)
    hosts.forget()
    return _kept[slug]


@pytest.fixture(scope="module", autouse=True)
def _drop_kept(django_db_setup, django_db_blocker):
    yield
    with django_db_blocker.unblock():
        while _kept:
            drop_schema(_kept.popitem()[0])
        connections.close_all()


def execute(statement: str) -> None:
    with owner(), connections["owner"].cursor() as cursor:
        cursor.execute(statement)


def statuses_under_load(host: str, change) -> list[tuple[str, int, bytes]]:
    """Ask for every path from a few threads while `change` happens in the middle, and until there are
    enough answers of the time when it has settled: those.
    """
    stop, seen = threading.Event(), []

    def ask():
        client = Client(headers={"host": host}, raise_request_exception=False)
        while not stop.wait(0.02):
            for path in PATHS:
                started = time.monotonic()
                response = client.get(path)
                seen.append((started, path, response.status_code, response.content))
        connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(ask) for _ in range(THREADS)]
        try:
            time.sleep(0.5)
            change()
            changed = time.monotonic()
            time.sleep(hosts.TIME_TO_LIVE_S)
            wait_for_answers(lambda: len(list_since(seen, changed)))
        finally:
            stop.set()
        for future in futures:
            future.result()
    assert not [entry for entry in seen if b"olga@atrium.example" in entry[3]], "an operator showed"
    return list_since(seen, changed)


def list_since(seen: list, changed_s: float) -> list[tuple[str, int, bytes]]:
    return [
        (path, status, body)
        for started_s, path, status, body in list(seen)
        if started_s > changed_s + hosts.TIME_TO_LIVE_S
    ]


def wait_for_answers(count: Callable[[], int]) -> None:
    end_s = time.monotonic() + 60
    while count() <= ENOUGH and time.monotonic() < end_s:
        time.sleep(0.1)


@pytest.mark.parametrize("host", UNKNOWN_HOSTS)
def test_a_host_nobody_has_is_404(unblocked, host):
    for path in PATHS:
        response = Client(headers={"host": host}).get(path)
        expected = 401 if path == API else 404
        assert response.status_code == expected, f"{host!r} answered {path} with {response.status_code}"
        assert b"olga@atrium.example" not in response.content


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.168.1.20:9123", "http://localhost:9123/"),
        ("[::1]:9123", "http://localhost:9123/"),
        ("atrium", "http://localhost/"),
    ],
)
def test_a_page_at_an_unknown_host_suggests_the_port_by_which_one_came(unblocked, host, address):
    text = Client(headers={"host": host}).get("/").content.decode()
    assert f'<a href="{address}">' in text and ":8000" not in text


def test_programs_are_answered_at_any_host_by_their_key_alone(unblocked):
    """Each host is asked with both good keys, and by day with one of the wrong ones, in turn."""
    key, other = keep_tenant("anywhere"), keep_tenant("elsewhere")
    wrong = wrong_keys(key)
    for number, host in enumerate(UNKNOWN_HOSTS):
        for text in (key, other):
            slug = text.split("_")[1]
            found = Client(headers={"host": host, "authorization": f"Bearer {text}"}).get(API)
            assert found.status_code == 200, f"{host!r} answered a good key with {found.status_code}"
            assert found.json()["tenant"]["slug"] == slug
        for text in wrong if IS_NIGHT else [wrong[number % len(wrong)]]:
            headers = {"host": host, "authorization": f"Bearer {text}"}
            assert Client(headers=headers).get(API).status_code == 401, (host, text)
    assert {answer[0] for answer in ask_gateway([key, other], UNKNOWN_HOSTS)} == {200}
    some = UNKNOWN_HOSTS if IS_NIGHT else UNKNOWN_HOSTS[::10]
    assert {answer[0] for answer in ask_gateway(wrong, some)} == {401}


def test_a_session_counts_at_home_only(unblocked):
    """Nobody becomes Dora by her session's cookie; beside a key it does not even say her language."""
    key = keep_tenant("anywhere")
    with tenant("anywhere"):
        dora = User.objects.get(email="dora@anywhere.example")
        User.objects.filter(pk=dora.pk).update(language="de")
        home = Client(headers={"host": "anywhere.localhost"})
        home.force_login(dora)
    assert home.get(API).json()["email"] == dora.email
    bearer = {"authorization": f"Bearer {key}"}
    assert home.get(API, headers=bearer)["Content-Language"] == "de"
    for host in (*UNKNOWN_HOSTS, "localhost"):
        client = Client(headers={"host": host})
        client.cookies = home.cookies
        assert client.get(API).status_code == 401, f"{host!r} let a session in"
        assert client.get(API, headers=bearer)["Content-Language"] == "en", f"{host!r} read a session"


def test_links_of_an_answer_lead_to_the_host_that_was_called(unblocked, settings):
    """Where that one cannot be used, or may not be, to the server's own address."""
    key = keep_tenant("anywhere")
    with tenant("anywhere"):
        for number in range(3):
            create_api_key(actor=None, user=User.objects.first(), name=f"k{number}")
    for allowed, host, expected in (
        (["*"], "192.168.1.20:8000", "http://192.168.1.20:8000/"),
        (["*"], "x?", "http://testserver:80/"),
        (["chat.example.org"], "192.168.1.20:8000", "http://testserver:80/"),
        (["chat.example.org"], "anywhere.localhost", "http://testserver:80/"),
    ):
        settings.ALLOWED_HOSTS = allowed
        client = Client(headers={"host": host, "authorization": f"Bearer {key}"})
        assert client.get("/api/v1/api-keys/?limit=1").json()["next"].startswith(expected), host


BROKEN = {
    "gone": ("gone", "DROP SCHEMA gone CASCADE", 404),
    "renamed": ("renamed", "ALTER SCHEMA renamed RENAME TO moved", 404),
    "half": (
        "half",
        "DELETE FROM half.django_migrations WHERE id = (SELECT max(id) FROM half.django_migrations)",
        503,
    ),
}


@pytest.mark.parametrize(("slug", "statement", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_tenant_is_never_served_from_public(unblocked, slug, statement, expected):
    key = make_tenant(slug)
    try:
        assert Client(headers={"host": f"{slug}.localhost"}).get("/accounts/login/").status_code == 200
        answers = statuses_under_load(f"{slug}.localhost", lambda: execute(statement))
        assert len(answers) > ENOUGH
        # a host that leads nowhere any more is one that we do not know: the API wants a key
        assert {(path == API, status) for path, status, _body in answers} == {
            (False, expected),
            (True, 401 if expected == 404 else expected),
        }, "the host was answered otherwise"
        assert statuses_by_key(key) == {401 if expected == 404 else expected}
    finally:
        execute("DROP SCHEMA IF EXISTS moved CASCADE")
        drop_schema(slug)


def statuses_by_key(key: str) -> set[int]:
    """What `/v1` and `/api/v1` answer to a key on the platform's host. Whatever is wrong with a key: one and
    the same answer.
    """
    statuses = set()
    for ask in (ask_gateway, ask_api):
        right, *wrong = ask([key, *wrong_keys(key)])
        assert {status for status, _headers, _body in wrong} == {401}, (
            f"{ask.__name__} answers a wrong key otherwise"
        )
        assert all(answer == wrong[0] for answer in wrong), f"{ask.__name__} tells wrong keys apart"
        assert right[0] != 401 or right == wrong[0], (
            f"{ask.__name__} tells a tenant that went away from one that never was"
        )
        statuses.add(right[0])
    return statuses


def wrong_keys(key: str) -> list[str]:
    """Keys of nobody, of a tenant that exists, with a wrong id or secret, and what is no key at all."""
    slug, key_id, secret = key.split("_", 3)[1:]
    parts = [
        ("nobody", key_id, secret),
        ("acme", key_id, secret),
        ("public", key_id, secret),
        ("Not A Slug", key_id, secret),
        (slug, "x" * 8, secret),
        (slug, "abc\0defg", secret),
        (slug, key_id, "x" * 43),
        (slug, key_id, ""),
    ]
    return [*["_".join(("atr", *some)) for some in parts], f"atr_{slug}", "atr_", "sk-proj-1234"]


def ask_gateway(keys: list[str], hosts: Sequence[str] = ("localhost",)) -> list[tuple[int, dict, bytes]]:
    async def ask() -> list:
        front = Front()
        await gateway_loop.start_loop("test")
        try:
            return [
                await call(front, "GET", "/v1/models", headers={"authorization": f"Bearer {key}"}, host=host)
                for key in keys
                for host in hosts
            ]
        finally:
            await gateway_loop.stop_loop()

    return [(answer.status, without_request_id(answer.headers), answer.body) for answer in asyncio.run(ask())]


def ask_api(keys: list[str]) -> list[tuple[int, dict, dict]]:
    hosts.forget()
    answers = [
        Client(headers={"host": "localhost", "authorization": f"Bearer {key}", "accept-language": "de"}).get(
            "/api/v1/me/"
        )
        for key in keys
    ]
    return [
        (answer.status_code, without_request_id(answer.headers), answer.json() | {"request_id": ""})
        for answer in answers
    ]


def without_request_id(headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "x-request-id"}


def test_a_suspended_tenant_gets_403_on_every_door_and_keeps_its_data(unblocked):
    key = keep_tenant("anywhere")
    try:
        set_tenant_status(slug="anywhere", status=Tenant.Status.SUSPENDED)
        hosts.forget()
        for path in PATHS:
            assert Client(headers={"host": "anywhere.localhost"}).get(path).status_code == 403
        assert statuses_by_key(key) == {403}
        set_tenant_status(slug="anywhere", status=Tenant.Status.ACTIVE)
        hosts.forget()
        assert Client(headers={"host": "anywhere.localhost"}).get("/accounts/login/").status_code == 200
        assert statuses_by_key(key) == {200}
    finally:
        set_tenant_status(slug="anywhere", status=Tenant.Status.ACTIVE)


def test_a_wrong_key_at_a_tenants_own_host_is_refused_before_its_door(unblocked):
    key = keep_tenant("anywhere")
    try:
        set_tenant_status(slug="anywhere", status=Tenant.Status.SUSPENDED)
        hosts.forget()
        for text, expected in [(key, 403), *[(wrong, 401) for wrong in wrong_keys(key)]]:
            headers = {"host": "anywhere.localhost", "authorization": f"Bearer {text}"}
            assert Client(headers=headers).get("/api/v1/me/").status_code == expected, text
    finally:
        set_tenant_status(slug="anywhere", status=Tenant.Status.ACTIVE)


def test_a_schema_that_is_gone_counts_as_unknown(unblocked):
    make_tenant("gone")
    try:
        assert hosts.find_tenant_by_slug("gone") and hosts.find_tenant_by_host("gone.localhost"), (
            "it was not there"
        )
        execute("DROP SCHEMA gone CASCADE")
        hosts.forget()
        assert (hosts.find_tenant_by_slug("gone"), hosts.find_tenant_by_host("gone.localhost")) == (
            None,
            None,
        ), "it is still there"
    finally:
        drop_schema("gone")


# -- planted bugs --------------------------------------------------------------------------------------------


def test_planted_bug_falling_back_to_public_is_noticed(unblocked, monkeypatch):
    """A tenant that is not found is served all the same, from the platform's schema."""
    real = TenantMiddleware._find_scope

    def fall_back(self, request):
        scope, refusal = real(self, request)
        return (
            (self._platform(request), None)
            if refusal is not None and refusal.status_code == 404
            else (scope, refusal)
        )

    monkeypatch.setattr(TenantMiddleware, "_find_scope", fall_back)
    with pytest.raises(AssertionError, match="answered / with 200"):
        test_a_host_nobody_has_is_404(unblocked, "nobody.localhost")
    with pytest.raises(AssertionError, match="the host was answered otherwise"):
        test_a_broken_tenant_is_never_served_from_public(unblocked, *BROKEN["gone"])


def test_planted_bug_a_session_that_counts_everywhere_is_noticed(unblocked, monkeypatch):
    """The host is unknown, but somebody's session is not."""
    real = TenantMiddleware._find_owner_of_key

    def believe(request):
        if _key_of(request) is None and request.headers.get("cookie"):
            return hosts.find_tenant_by_slug("anywhere"), None
        return real(request)

    monkeypatch.setattr(TenantMiddleware, "_find_owner_of_key", staticmethod(believe))
    with pytest.raises(AssertionError, match="let a session in"):
        test_a_session_counts_at_home_only(unblocked)


def test_planted_bug_cookies_that_are_read_beside_a_key_are_noticed(unblocked, monkeypatch):
    sent = property(lambda request: parse_cookie(request.META.get("HTTP_COOKIE", "")), lambda *_: None)
    monkeypatch.setattr("django.core.handlers.wsgi.WSGIRequest.COOKIES", sent)
    with pytest.raises(AssertionError, match="read a session"):
        test_a_session_counts_at_home_only(unblocked)


def test_planted_bug_hosts_that_nobody_has_shut_programs_out_is_noticed(unblocked, monkeypatch):
    async def nobody(scope) -> KnownTenant:
        return KnownTenant("nobody", "Nobody", hosts.DoorState.OPEN, "en", "EUR", "")

    monkeypatch.setattr("gateway.door.find_tenant_of_host", nobody)
    with pytest.raises(AssertionError, match="401"):
        test_programs_are_answered_at_any_host_by_their_key_alone(unblocked)


def test_planted_bug_a_half_migrated_tenant_that_is_served_is_noticed(unblocked, monkeypatch):
    monkeypatch.setattr("tenants.database.schemas.count_missing_migrations", lambda: 0)
    with pytest.raises(AssertionError, match="the host was answered otherwise"):
        test_a_broken_tenant_is_never_served_from_public(unblocked, *BROKEN["half"])


def test_planted_bug_a_schema_that_is_gone_but_remembered_as_open_is_noticed(unblocked, monkeypatch):
    monkeypatch.setattr(hosts, "_door_of_schema", lambda slug: hosts.DoorState.OPEN)
    with pytest.raises(AssertionError, match="it is still there"):
        test_a_schema_that_is_gone_counts_as_unknown(unblocked)


def test_planted_bug_a_door_judged_before_the_key_is_noticed(unblocked, monkeypatch):
    """A key of nobody learns at `/api/v1`, or at `/v1`, that a tenant is suspended."""
    real = Snapshots.find

    async def judge_first(self, slug):
        snapshot = await real(self, slug)
        if snapshot is not None:
            check_door(snapshot)
        return snapshot

    with (
        monkeypatch.context() as patch,
        pytest.raises(AssertionError, match="ask_api answers a wrong key otherwise"),
    ):
        patch.setattr("tenants.doors.middleware._is_good", lambda key, door: True)
        test_a_suspended_tenant_gets_403_on_every_door_and_keeps_its_data(unblocked)
    with (
        monkeypatch.context() as patch,
        pytest.raises(AssertionError, match="ask_gateway answers a wrong key otherwise"),
    ):
        patch.setattr(Snapshots, "find", judge_first)
        test_a_suspended_tenant_gets_403_on_every_door_and_keeps_its_data(unblocked)


def test_planted_bug_two_places_that_refuse_are_noticed(unblocked, monkeypatch):
    """The middleware refuses unknown tenants, the view wrong keys: one status, but not one answer."""
    key = keep_tenant("anywhere")
    assert statuses_by_key(key) == {200}
    monkeypatch.setattr(middleware, "_is_good", lambda key, door: True)
    with pytest.raises(AssertionError, match="ask_api tells wrong keys apart"):
        statuses_by_key(key)
