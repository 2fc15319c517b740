"""S22: however a key is shown, every door says the same, and nothing that we keep holds one: neither database
nor Valkey nor log.
"""

import base64
import http.client
from contextlib import closing

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connections

from accounts.models import ApiKey
from tenants.context import owner, tenant
from tests.live import TENANTS, house_with_bug

pytestmark = [pytest.mark.scope(None)]
SECRET = "x" * 43
PATHS = ("/v1/models", "/api/v1/me/")


def shown_well(key: str) -> dict[str, list[tuple[str, str]]]:
    """The ways in which clients show a key."""
    return {
        "bearer": [("Authorization", f"Bearer {key}")],
        "lower case": [("authorization", f"bearer {key}")],
        "upper case": [("AUTHORIZATION", f"BEARER {key}")],
        "blanks": [("Authorization", f"Bearer   {key} ")],
        "a tabulator": [("Authorization", f"Bearer\t{key}")],
        "Anthropic's": [("X-Api-Key", key)],
        "Anthropic's, lower case": [("x-api-key", key)],
        "Azure's": [("api-key", key)],
        "Azure's, upper case": [("API-KEY", key)],
        "two names, one key": [("Authorization", f"Bearer {key}"), ("x-api-key", key), ("api-key", key)],
        "one name twice": [("Authorization", f"Bearer {key}"), ("Authorization", f"bearer {key}")],
        "joined by a proxy": [("x-api-key", f"{key}, {key}")],
        "beside a proxy's own": [("Authorization", "Basic dXNlcjpwdw=="), ("x-api-key", key)],
        "beside an empty one": [("Authorization", f"Bearer {key}"), ("x-api-key", "")],
        "beside an empty scheme": [("Authorization", "Bearer "), ("api-key", key)],
    }


def shown_badly(key: str, other: str) -> dict[str, list[tuple[str, str]]]:
    """`other`: a good key, too."""
    return {
        "nothing": [],
        "no scheme": [("Authorization", key)],
        "another scheme": [("Authorization", f"Token {key}")],
        "as a password": [("Authorization", "Basic " + base64.b64encode(f"x:{key}".encode()).decode())],
        "an empty bearer": [("Authorization", "Bearer")],
        "an empty header": [("x-api-key", "")],
        "more than a key": [("Authorization", f"Bearer {key} x")],
        "two keys": [("Authorization", f"Bearer {key}"), ("x-api-key", other)],
        "two keys, the other way round": [("x-api-key", other), ("Authorization", f"Bearer {key}")],
        "a key and nonsense": [("api-key", key), ("x-api-key", "sk-1")],
        "one name twice, two keys": [
            ("Authorization", f"Bearer {key}"),
            ("Authorization", f"Bearer {other}"),
        ],
        "two keys joined": [("x-api-key", f"{key},{other}")],
        "an underscore": [("x_api_key", key)],
        "for a proxy": [("Proxy-Authorization", f"Bearer {key}")],
        "a cookie": [("Cookie", f"api-key={key}; authorization=Bearer {key}")],
        "Google's": [("x-goog-api-key", key)],
    }


def send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    *,
    body: bytes = b"",
) -> http.client.HTTPResponse:
    """With these headers as they are written, and as often."""
    connection.putrequest(method, path, skip_host=True)
    for name, value in [("Host", "localhost"), *headers]:
        connection.putheader(name, value)
    connection.endheaders(body)
    return connection.getresponse()


def status_of(connection: http.client.HTTPConnection, path: str, headers: list[tuple[str, str]]) -> int:
    response = send(connection, "GET", path, headers)
    response.read()
    assert (response.getheader("www-authenticate") == "Bearer") is (response.status == 401)
    return response.status


def test_however_a_key_is_shown_every_door_says_the_same(house):
    one, other = (house.keys[slug] for slug in TENANTS)
    cases = [(200, shown_well(one)), (401, shown_badly(one, other))]
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=10)) as connection:
        for expected, ways in cases:
            for way, headers in ways.items():
                for path in PATHS:
                    found = status_of(connection, path, headers)
                    assert found == expected, f"{path} answers {way} with {found}"


BUGS_OF_READERS = {
    "one door knows one name only": (
        "import gateway.door as d; real = d.read_key\n"
        "d.read_key = lambda headers: real([h for h in headers if h[0] == b'authorization'])",
        "/v1/models answers Anthropic's with 401",
    ),
    "the other door knows one name only": (
        "import gateway.door, accounts.authentication as a\n"
        "real = a.keys.read_key\n"
        "a.keys.read_key = lambda headers: real(h for h in headers if h[0] == b'authorization')",
        "/api/v1/me/ answers Anthropic's with 401",
    ),
    "the first key is believed": (
        "import gateway.door as d; real = d.read_key\n"
        "d.read_key = lambda headers: next((key for h in headers if (key := real([h]))), None)",
        "/v1/models answers two keys with 200",
    ),
}


@pytest.mark.parametrize(("bug", "words"), BUGS_OF_READERS.values(), ids=BUGS_OF_READERS)
def test_planted_bug_a_door_with_a_reader_of_its_own_is_noticed(house, bug, words):
    with house_with_bug(house, bug) as odd, pytest.raises(AssertionError, match=words):
        test_however_a_key_is_shown_every_door_says_the_same(odd)


def dump_database() -> str:
    """Every row of every table of every schema, as text."""
    with owner(), connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN "
            "('pg_catalog', 'information_schema')"
        )
        parts = []
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT t::text FROM {table} t")
            parts += [text for (text,) in cursor.fetchall()]
    assert len(parts) > 1_000, "this is not the whole of it"
    return "\n".join(parts)


def dump_valkey() -> bytes:
    with redis.from_url(settings.REDIS_URL) as client:
        return b"\n".join(name + b" " + (client.dump(name) or b"") for name in client.scan_iter())


def assert_kept_nowhere(house, folder, bug: str = "pass") -> None:
    """Show a good and two wrong keys in every way at every door, and call a model; then look for them. A
    planted bug keeps any good key.
    """
    good = house.keys[TENANTS[0]]
    keys = [good]
    if bug == "pass":
        keys += [good[:-1] + ("a" if good[-1] != "a" else "b"), f"atr_nobody_00000000_{SECRET[:-1]}q"]
    path = folder / "log"
    with (
        path.open("wb") as log,
        house_with_bug(house, bug, log, ATRIUM_LOG_LEVEL="DEBUG") as talkative,
        closing(http.client.HTTPConnection("127.0.0.1", talkative.port, timeout=10)) as connection,
    ):
        for key in keys:
            badly = shown_badly(key, good) if bug == "pass" else {}
            for headers in [*shown_well(key).values(), *badly.values()]:
                for door in (*PATHS, f"/v1/models?api_key={key}", f"/nothing/?key={key}"):
                    status_of(connection, door, headers)
        assert talkative.post({"model": "mock", "messages": [{"role": "user", "content": "x"}]}).is_success
    kept = {"the database": dump_database(), "Valkey": dump_valkey().decode("latin-1")}
    kept["the log"] = path.read_text("latin-1")
    for key in keys:
        secret = key.rpartition("_")[2]
        for name, text in kept.items():
            for form in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode()):
                assert form not in text, f"{name} holds a key"


def test_nothing_that_we_keep_holds_a_key(house, tmp_path):
    assert_kept_nowhere(house, tmp_path)


BUGS_OF_KEEPERS = {
    "the log": "import sys, gateway.door as d; real = d.read_key\n"
    "d.read_key = lambda headers: (key := real(headers), print(key, file=sys.stderr))[0]",
    "Valkey": "import accounts.authentication as a; from django.core.cache import cache\n"
    "real = a._find_usable\n"
    "a._find_usable = lambda text, rows: (cache.set('last', text), real(text, rows))[1]",
    "the database": "import accounts.authentication as a; real = a._find_usable\n"
    "a._find_usable = lambda text, rows: (rows.update(name=text), real(text, rows))[1]",
}


@pytest.mark.parametrize("place", BUGS_OF_KEEPERS)
def test_planted_bug_a_key_that_is_kept_is_noticed(house, tmp_path, place):
    try:
        with pytest.raises(AssertionError, match=f"{place} holds a key"):
            assert_kept_nowhere(house, tmp_path, BUGS_OF_KEEPERS[place])
    finally:
        cache.clear()
        with tenant(TENANTS[0]):
            ApiKey.objects.update(name="live")
