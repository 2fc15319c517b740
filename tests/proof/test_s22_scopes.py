"""S22: what a key may do is the same however it is shown: its scopes and its models bind at every door, and
the moment at which it expires, also where it is remembered as good.
"""

import http.client
import json
import os
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import ApiKey, User
from accounts.services import create_api_key
from tenants.context import tenant
from tests.live import TENANTS, House, house_with_bug
from tests.proof.test_s22_headers import send, shown_well

pytestmark = [pytest.mark.scope(None)]
SLUG = TENANTS[0]
IS_NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
CHAT = {"model": "mock", "messages": [{"role": "user", "content": "hello"}]}
OTHER_CHAT = {**CHAT, "model": "mock-tokens-60-50"}
INFERENCE, READ, MANAGE = ApiKey.Scope.INFERENCE, ApiKey.Scope.READ, ApiKey.Scope.MANAGE
# method, path, body → the scopes that open it
DOORS = [
    ("GET", "/v1/models", None, {INFERENCE}),
    ("GET", "/v1/models/mock", None, {INFERENCE}),
    ("POST", "/v1/chat/completions", CHAT, {INFERENCE}),
    ("POST", "/v1/embeddings", {"model": "mock", "input": "x"}, {INFERENCE}),
    ("GET", "/api/v1/me/", None, {READ, MANAGE}),
    ("GET", "/api/v1/api-keys/", None, {READ, MANAGE}),
    ("POST", "/api/v1/api-keys/", {}, {MANAGE}),
]


def make_key(**options) -> str:
    with tenant(SLUG):
        erin = User.objects.get(email=f"erin@{SLUG}.example")
        return create_api_key(actor=None, user=erin, name="s22", **options)[1]


def ask(house: House, headers: list[tuple[str, str]], method: str, path: str, body=None) -> tuple[int, str]:
    """The status, and the code of an error."""
    raw = b"" if body is None else json.dumps(body).encode()
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)) as connection:
        kind, length = ("Content-Type", "application/json"), ("Content-Length", str(len(raw)))
        response = send(connection, method, path, [kind, length, *headers], body=raw)
        told = json.loads(response.read())
    error = told.get("error", told) if isinstance(told, dict) and response.status >= 400 else {}
    return response.status, error.get("code", "")


def doors_for(number: int) -> list:
    """To the first way of showing a key all are shown, to each other one by day a door of either kind."""
    if IS_NIGHT or number == 0:
        return DOORS
    inference, management = DOORS[:4], DOORS[4:]
    return [inference[number % len(inference)], management[number % len(management)]]


def prove_scopes(house: House) -> None:
    for scope in ApiKey.Scope:
        for number, (way, headers) in enumerate(shown_well(make_key(scopes=[scope])).items()):
            for method, path, body, opened_by in doors_for(number):
                found = ask(house, headers, method, path, body)
                said = f"{method} {path} answers the scope {scope}, shown by {way}, with {found}"
                if scope in opened_by:
                    assert found[0] not in (401, 403), said
                else:
                    assert found == (403, "missing_scope"), said


def test_a_scope_opens_its_doors_and_no_others_however_the_key_is_shown(house):
    prove_scopes(house)


def prove_models(house: House) -> None:
    for way, headers in shown_well(make_key(model_names=["mock"])).items():
        assert ask(house, headers, "POST", "/v1/chat/completions", CHAT)[0] == 200, way
        found = ask(house, headers, "POST", "/v1/chat/completions", OTHER_CHAT)
        assert found == (404, "model_not_found"), f"another model, shown by {way}: {found}"


def test_a_keys_models_bind_it_however_it_is_shown(house):
    prove_models(house)


BY_OTHER_HEADERS = (
    "import gateway.door as d; real, enter = d.authenticate, d.enter\n"
    "from dataclasses import replace\n"
    "async def careless(scope, snapshots, visit):\n"
    "    is_usual = any(name == b'authorization' for name, _value in scope['headers'])\n"
    "    async def found(text, snapshots, **options):\n"
    "        principal, snapshot = await real(text, snapshots, **options)\n"
    "        return (principal if is_usual else replace(principal, model_names=frozenset())), snapshot\n"
    "    d.authenticate = found\n"
    "    return await enter(scope, snapshots, visit)\n"
    "import gateway.api; gateway.api.door.enter = careless"
)


def test_planted_bug_restrictions_that_one_header_escapes_are_found_out(house):
    with (
        house_with_bug(house, BY_OTHER_HEADERS) as careless,
        pytest.raises(AssertionError, match="Anthropic"),
    ):
        prove_models(careless)


BUGS_OF_SCOPES = {
    "the gateway": (
        "import gateway.door as d; real = d.authenticate\n"
        "async def authenticate(text, snapshots, **options):\n"
        "    for scope in ('inference', 'read'):\n"
        "        try: return await real(text, snapshots, scope=scope, **options)\n"
        "        except Exception as exc: last = exc\n"
        "    raise last\n"
        "d.authenticate = authenticate",
        "GET /v1/models answers the scope read",
    ),
    "the management API": (
        "import accounts.authentication as a; a.SAFE_METHODS = ('GET', 'HEAD', 'OPTIONS', 'POST')",
        "POST /api/v1/api-keys/ answers the scope read",
    ),
}


@pytest.mark.parametrize(("bug", "words"), BUGS_OF_SCOPES.values(), ids=BUGS_OF_SCOPES)
def test_planted_bug_a_door_that_opens_to_another_scope_is_found_out(house, bug, words):
    with house_with_bug(house, bug) as careless, pytest.raises(AssertionError, match=words):
        prove_scopes(careless)


def prove_expiry(house: House) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=3)
    key = make_key(scopes=[INFERENCE, READ], expires_at=expires_at)
    doors = [door for door in DOORS if door[1] in ("/v1/models", "/v1/chat/completions", "/api/v1/me/")]
    headers = [("Authorization", f"Bearer {key}")]
    while (now := datetime.now(UTC)) < expires_at - timedelta(seconds=1):
        for method, path, body, _scopes in doors:
            found = ask(house, headers, method, path, body)
            assert found[0] == 200 or datetime.now(UTC) >= expires_at, f"{path} answers {found} at {now}"
    time.sleep((expires_at - datetime.now(UTC)).total_seconds() + 0.01)
    for method, path, body, _scopes in doors:
        found = ask(house, headers, method, path, body)
        assert found == (401, "invalid_api_key"), f"{path} answers a key that has expired with {found}"


def test_a_key_ends_at_its_moment_also_where_it_is_remembered(house):
    prove_expiry(house)


BUGS_OF_EXPIRY = {
    "the gateway": (
        "from gateway.state.snapshot import Key; Key.is_usable = property(lambda key: key.is_in_force)",
        "/v1/models answers",
    ),
    "the management API": (
        "from accounts.models import ApiKey\nApiKey.is_usable = property(lambda row: row.revoked_at is None)",
        "/api/v1/me/ answers",
    ),
}


@pytest.mark.parametrize(("bug", "words"), BUGS_OF_EXPIRY.values(), ids=BUGS_OF_EXPIRY)
def test_planted_bug_a_door_that_forgets_the_time_is_found_out(house, bug, words):
    with house_with_bug(house, bug) as forgetful, pytest.raises(AssertionError, match=words):
        prove_expiry(forgetful)
