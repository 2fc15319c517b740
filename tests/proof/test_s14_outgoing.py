"""S14: no address that a tenant enters, no name that its owner moves, and no redirect leads a call into the
house, to its neighbours, or to a cloud's credentials; a key goes only where it was entered for.

Every form × each thing that calls out for a tenant: a connection saved over the API, its test, its catalogue,
a call through the gateway. The last three also get what saving refuses, as if it had come past it.
Does not cover: OIDC, webhooks, imports, pictures: nothing of the house fetches them yet. Discovery at start
asks fixed addresses of this machine, which is its purpose.
"""

import asyncio
import contextlib
import json
import logging
import os

import aiohttp
import httpx
import pytest

from foundation import egress
from foundation.egress import EgressPolicy, Reach, control_plane, data_plane, resolving, urls
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.steps import attempts
from models_registry.catalogue import fetch_catalogue
from models_registry.models import Connection
from models_registry.services import add_connection
from tests.foundation.test_egress import Canary
from tests.gateway.calling import collaborators, make_call
from tests.proof.hostile_urls import forms
from tests.proof.outgoing import NameServer, led_inside, watching

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]
NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
EVERY = 1 if NIGHT else 90
JSON = {"content_type": "application/json"}
KEY = "sk-canary-1234567890"


@pytest.fixture
def canary():
    listener = Canary()
    yield listener
    listener.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch, caplog):
    monkeypatch.setattr(attempts, "PAUSES_S", (0.0, 0.0))
    caplog.set_level(logging.CRITICAL)


@pytest.fixture
def api(acme, alice):
    acme.raise_request_exception = False
    return acme.login_as(alice)


@pytest.fixture
def row(db):
    return add_connection(
        actor=None, name="Own", kind="openai_compatible", base_url="https://api.example.com/v1", secret=KEY
    )


def ask_gateway(base_url: str, **endpoint) -> None:
    """One call of the pipeline to an endpoint at this address."""

    async def ask() -> None:
        call = make_call(base_url, stream=False, **{"allow_private": False} | endpoint)
        async with egress.open_session(call.candidate.endpoint.policy) as client:
            await pipeline.complete(call, collaborators(client))

    try:
        asyncio.run(ask())
    except (AtriumError, ValueError):
        pass  # ValueError: what is no URL for the client; `Route` gives it only checked ones


def attempt_all(api, row: Connection, url: str):
    """Each feature in turn, as functions that bring about its calls."""

    def save() -> None:
        answer = api.post(
            "/api/v1/connections/", {"name": "Mine", "kind": "openai_compatible", "base_url": url}, **JSON
        )
        assert answer.status_code in (201, 400), (url, answer.content)
        if answer.status_code == 201:  # nothing to see in the address itself
            ask_gateway(answer.json()["base_url"])
            assert api.delete(f"/api/v1/connections/{answer.json()['id']}/").status_code == 204

    def visit(action: str) -> None:
        Connection.objects.filter(pk=row.pk).update(base_url=url)
        answer = api.post(f"/api/v1/connections/{row.pk}/{action}/", **JSON)
        assert answer.status_code in (200, 400, 502), (action, url, answer.content)
        assert action == "sync" or not answer.json().get("is_ok")

    yield "saved", save
    yield "tested", lambda: visit("test")
    yield "its catalogue read", lambda: visit("sync")
    yield "called", lambda: ask_gateway(url)


def find_ways_in(api, row, some: list, patch) -> tuple[int, list[str]]:
    """(how many forms were tried, what led inside)"""
    names, found, tried = NameServer(patch), [], 0
    for url, answers in some:
        if "\x00" in url:
            continue  # no database holds it: `test_a_zero_byte_is_refused`
        tried += 1
        for feature, attempt in attempt_all(api, row, url):
            names.answers = list(answers or ())
            with watching() as noted:
                attempt()
            found += [f"{url!r} {feature} leads to {address}" for address in led_inside(noted)]
    return tried, found


def test_no_form_of_an_address_leads_inside(api, row, canary, monkeypatch):
    tried, found = find_ways_in(api, row, list(forms(canary.port))[::EVERY], monkeypatch)
    assert found == [] and canary.connects == 0
    assert tried >= (606 if NIGHT else 9)
    print(f"\nS14: {tried} forms of addresses, each saved, tested, catalogued and called: 0 led inside")


def blind(address) -> Reach:
    """A table that takes every address for a public one."""
    egress.networks.ip_address(address)  # what is no address is still a name
    return Reach.PUBLIC


BUGS = {
    "every address is a public one": [
        (module, "classify", blind) for module in (urls, resolving, data_plane)
    ],
    "answers of name servers are believed": [
        (resolving, "check_resolved", lambda host, addresses, policy: list(addresses)),
    ],
    "the gateway's client believes name servers": [
        (data_plane, "check_resolved", lambda host, addresses, policy: list(addresses)),
        (data_plane.EgressConnector, "_make_socket", lambda self, info: data_plane.socket.socket(*info[:3])),
    ],
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_planted_bug_a_guard_that_is_missing_is_found_out(api, row, canary, monkeypatch, bug):
    for place, name, careless in bug:
        monkeypatch.setattr(place, name, careless)
    some = [form for form in forms(canary.port) if "//127.0.0.1:" in form[0] or "leads-in-0." in form[0]]
    _tried, found = find_ways_in(api, row, some[::8] + some[-1:], monkeypatch)
    assert found


@pytest.mark.parametrize("url", ["http://127.0.0.1\x00.example.com/v1", "http://a.example/\x00"])
def test_a_zero_byte_is_refused(api, url):
    body = {"name": "Mine", "kind": "openai_compatible", "base_url": url}
    assert api.post("/api/v1/connections/", body, **JSON).status_code == 400


# -- redirects and keys --------------------------------------------------------------------------------------

CODES = (300, 301, 302, 303, 304, 305, 306, 307, 308, 399)
LOCATIONS = (
    "http://127.0.0.1:{p}/v1/models", "http://localhost:{p}/", "//127.0.0.1:{p}/", "http://2130706433:{p}/",
    "http://[::ffff:127.0.0.1]:{p}/", "http:\\\\127.0.0.1:{p}/", "http://x@127.0.0.1:{p}/",
    "HTTP://127.1:{p}",
)  # fmt: skip


def follow_redirects(row, canary: Canary) -> list[str]:
    """What reached the server that is redirected to; both servers are permitted ones."""
    found = []
    other = Canary()
    Connection.objects.filter(pk=row.pk).update(
        base_url=f"http://127.0.0.1:{canary.port}/v1", allow_private=True
    )
    for code in CODES if NIGHT else CODES[1:3]:
        for location in LOCATIONS if NIGHT else LOCATIONS[:2]:
            canary.answer = (
                f"HTTP/1.1 {code} Moved\r\nLocation: {location.format(p=other.port)}\r\n"
                f'Refresh: 0; url=http://127.0.0.1:{other.port}/\r\nAlt-Svc: h2=":{other.port}"\r\n'
                "Content-Length: 0\r\n\r\n"
            ).encode()
            _follow(row, canary)
            found += [f"{code} to {location}"] * other.connects
            other.connects = 0
    other.close()
    return found


def _follow(row, canary: Canary) -> None:
    _read(row)
    ask_gateway(row.base_url, allow_private=True, secret=row.open_secret())


def _read(row) -> None:
    row.refresh_from_db()
    with contextlib.suppress(AtriumError, httpx.InvalidURL):  # that one only where redirects are followed
        fetch_catalogue(row)


def test_redirects_lead_nowhere_and_take_no_key_along(row, canary):
    assert follow_redirects(row, canary) == []
    assert any(KEY.encode() in request for request in canary.requests), "the key was sent where it belongs"
    print(f"\nS14: {len(canary.requests)} answers that redirect, to either client: 0 followed")


def following(real, name: str):
    return lambda *args, **options: real(*args, **options | {name: True})


CLIENTS = {
    "the catalogue's": [
        (control_plane, "REDIRECTS", frozenset()),
        (control_plane.httpx, "Client", following(httpx.Client, "follow_redirects")),
        (EgressPolicy, "permits_port", lambda self, port: True),  # else the pinned port keeps it back
    ],
    "the gateway's": [
        (data_plane, "REDIRECTS", frozenset()),
        (aiohttp.ClientSession, "_request", following(aiohttp.ClientSession._request, "allow_redirects")),
    ],
}


@pytest.mark.parametrize("bug", CLIENTS.values(), ids=CLIENTS)
def test_planted_bug_a_client_that_follows_redirects_is_found_out(row, canary, monkeypatch, bug):
    for place, name, careless in bug:
        monkeypatch.setattr(place, name, careless)
    assert follow_redirects(row, canary)


PAGES = (
    "http://127.0.0.1:{p}/v1/models", "//127.0.0.1:{p}/", "?page=2", "@127.0.0.1:{p}/", "\\\\127.0.0.1:{p}\\",
    "https://localhost:{p}/?page=2", "/../../x?page=2", "\r\nHost: 127.0.0.1:{p}\r\n",
)  # fmt: skip


def test_a_catalogues_next_page_leads_nowhere_else(row, canary):
    other = Canary()
    Connection.objects.filter(pk=row.pk).update(
        base_url=f"http://127.0.0.1:{canary.port}/v1", allow_private=True
    )
    for kind in ("openai_compatible", "cohere", "anthropic", "mistral"):
        Connection.objects.filter(pk=row.pk).update(kind=kind)
        for page in (page.format(p=other.port) for page in PAGES):
            models = {
                "data": [{"id": "m"}],
                "models": [{"name": "m", "endpoints": ["chat"]}],
                "has_more": True,
            }
            pointers = dict.fromkeys(("next", "next_page", "next_url", "next_page_token", "last_id"), page)
            body = json.dumps(models | pointers).encode()
            head = (
                f"HTTP/1.1 200 OK\r\nLink: <{page.strip()}>; rel=next\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            canary.answer = head.encode() + body
            _read(row)
    other.close()
    assert other.connects == 0 and canary.connects


def test_a_stored_key_goes_to_no_other_server(api, row, canary, monkeypatch):
    """Whoever may change a connection does not learn its key by changing where it leads."""
    NameServer(monkeypatch)
    moved = [
        "http://api.example.com/v1", "https://api.example.com:8443/v1", "https://evil.example/v1",
        "https://api.example.com.evil.example/v1", "https://api.example.com./v1", "https://8.8.8.8/v1",
    ]  # fmt: skip
    for url in [*moved, *(url for url, _answers in list(forms(canary.port))[:: 4 if NIGHT else 60])]:
        answer = api.patch(f"/api/v1/connections/{row.pk}/", {"base_url": url}, **JSON)
        assert answer.status_code == 400, url
        row.refresh_from_db()
        assert row.base_url == "https://api.example.com/v1" and row.open_secret().reveal() == KEY
