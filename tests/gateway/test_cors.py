"""Which web pages may read answers: a real server, asked as browsers ask."""

import time
from collections.abc import Iterator

import httpx
import pytest

from accounts.services import allow_web_origin, forbid_web_origin
from foundation.errors import AtriumError
from tenants.context import tenant
from tenants.doors import cors
from tests.live import TENANTS, house_with_bug

pytestmark = pytest.mark.scope(None)
ONE, TWO = TENANTS
PAGE, OTHER, STRANGER = "https://app.one.example", "http://localhost:5173", "https://evil.example"
DOORS = {
    "/v1/models": "GET",
    "/v1/chat/completions": "POST",
    "/api/v1/me/": "GET",
    "/api/v1/api-keys/": "POST",
}
OUTSIDE = ["localhost", "192.168.1.20:8000", "nobody.localhost"]
CHAT = {"model": "mock", "messages": [{"role": "user", "content": "hello"}]}
PATIENCE_S = 20


@pytest.fixture(scope="module")
def listed(house, django_db_blocker) -> Iterator[None]:
    """One lists its page, and two another."""
    with django_db_blocker.unblock():
        rows = {}
        for slug, origin in ((ONE, PAGE), (TWO, OTHER)):
            with tenant(slug):
                rows[slug] = allow_web_origin(actor=None, origin=origin)
        wait_until(
            lambda: all(allowed_at(house, slug, origin) for slug, origin in ((ONE, PAGE), (TWO, OTHER)))
        )
        yield
        for slug, row in rows.items():
            with tenant(slug):
                forbid_web_origin(actor=None, row=row)


def wait_until(condition) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.05)
    assert condition()


def allowed_at(house, slug: str, origin: str) -> bool:
    """Both at the host's and at the key's door, of both APIs."""
    return all(
        call(house, path, slug, origin, host).headers.get("access-control-allow-origin") == origin
        for path in ("/v1/models", "/api/v1/me/")
        for host in ("localhost", f"{slug}.localhost")
    )


def call(house, path: str, slug: str, origin: str, host: str, **options) -> httpx.Response:
    key = options.pop("key", house.keys[slug])
    headers = {"Host": host, "Origin": origin, "Authorization": f"Bearer {key}"}
    method = DOORS[path]
    body = {"json": CHAT if "chat" in path else {}} if method == "POST" else {}
    return httpx.request(method, f"http://127.0.0.1:{house.port}{path}", headers=headers, **body, **options)


def preflight(house, path: str, origin: str, host: str) -> httpx.Response:
    return httpx.options(
        f"http://127.0.0.1:{house.port}{path}",
        headers={
            "Host": host,
            "Origin": origin,
            "Access-Control-Request-Method": DOORS[path],
            "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
        },
    )


@pytest.mark.parametrize("path", DOORS)
def test_the_hosts_tenant_decides_on_a_preflight(house, listed, path):
    answer = preflight(house, path, PAGE, f"{ONE}.localhost")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-stainless-lang" in answer.headers["access-control-allow-headers"]
    assert DOORS[path] in answer.headers["access-control-allow-methods"]
    assert "origin" in answer.headers["vary"].lower()
    for origin in (OTHER, STRANGER, "null", PAGE + ":8443", PAGE.replace("https", "http"), PAGE.upper()):
        refused = preflight(house, path, origin, f"{ONE}.localhost")
        assert refused.status_code == 403 and "origin_not_listed" in refused.text, origin
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("host", OUTSIDE)
def test_elsewhere_the_key_of_the_call_decides(house, listed, path, host):
    for origin in (PAGE, OTHER, STRANGER):
        assert preflight(house, path, origin, host).headers["access-control-allow-origin"] == "*"
        for slug, page in ((ONE, PAGE), (TWO, OTHER)):
            found = call(house, path, slug, origin, host).headers.get("access-control-allow-origin")
            assert found == (origin if origin == page else None), (slug, origin)


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("host", [f"{ONE}.localhost", *OUTSIDE])
def test_an_answer_shows_itself_to_listed_pages_and_gives_cookies_no_weight(house, listed, path, host):
    answer = call(house, path, ONE, PAGE, host)
    assert answer.headers["access-control-allow-origin"] == PAGE
    exposed = answer.headers["access-control-expose-headers"]
    own = {"x-atrium-cost", "x-atrium-max-tokens"}
    assert {"x-request-id", "x-ratelimit-remaining-requests", "retry-after"} | own <= set(exposed.split(", "))
    assert "origin" in answer.headers["vary"].lower()
    assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-credentials" not in preflight(house, path, PAGE, host).headers


def test_errors_are_shown_to_listed_pages_too(house, listed):
    """On the tenant's host even the refusal of a key; elsewhere a key that opens nothing says nothing."""
    for path in DOORS:
        wrong = house.keys[ONE][:-3] + "xxx"
        refused = call(house, path, ONE, PAGE, f"{ONE}.localhost", key=wrong)
        assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (401, PAGE)
        for host in OUTSIDE:
            refused = call(house, path, ONE, PAGE, host, key=wrong)
            assert refused.status_code == 401 and "access-control-allow-origin" not in refused.headers


def test_without_a_page_nothing_is_said_but_that_it_would_matter(house, listed):
    for path in ("/v1/models", "/api/v1/me/"):
        answer = httpx.get(
            f"http://127.0.0.1:{house.port}{path}", headers={"Authorization": f"Bearer {house.keys[ONE]}"}
        )
        assert "access-control-allow-origin" not in answer.headers
        assert "origin" in answer.headers["vary"].lower()


def test_options_that_is_no_preflight_is_a_method_like_others(house):
    refused = httpx.options(f"{house.base_url}/chat/completions")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_an_origin_that_is_taken_away_counts_no_more(house, unblocked):
    with tenant(ONE):
        row = allow_web_origin(actor=None, origin=STRANGER)
    wait_until(lambda: allowed_at(house, ONE, STRANGER))
    with tenant(ONE):
        forbid_web_origin(actor=None, row=row)
    wait_until(lambda: not any_allowed(house, STRANGER))


def any_allowed(house, origin: str) -> bool:
    return any(
        "access-control-allow-origin" in call(house, path, ONE, origin, host).headers
        for path in ("/v1/models", "/api/v1/me/")
        for host in ("localhost", f"{ONE}.localhost")
    )


BUGS = {
    "every origin may read": (
        "import tenants.doors.cors as c; real = c.answer_headers\n"
        "c.answer_headers = lambda origin, allowed: real(origin, [origin])",
        test_elsewhere_the_key_of_the_call_decides,
        ("/v1/models", "localhost"),
    ),
    "every preflight is answered": (
        "import tenants.doors.cors as c; real = c.preflight_headers\n"
        "c.preflight_headers = lambda origin, wanted, allowed: real(origin, wanted, [origin])",
        test_the_hosts_tenant_decides_on_a_preflight,
        ("/api/v1/me/",),
    ),
}


@pytest.mark.parametrize(("bug", "check", "arguments"), BUGS.values(), ids=BUGS)
def test_planted_bug_a_page_that_nobody_listed_is_noticed(house, listed, bug, check, arguments):
    with house_with_bug(house, bug) as open_house, pytest.raises(AssertionError):
        check(open_house, None, *arguments)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://App.Example.org/", "https://app.example.org"),
        ("https://app.example.org:443", "https://app.example.org"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[0:0:0:0:0:0:0:1]:080", "http://[::1]"),
        ("http://127.0.0.1:05173", "http://127.0.0.1:5173"),
        ("https://app.example.org:65535", "https://app.example.org:65535"),
        ("tauri://localhost", "tauri://localhost"),
        ("chrome-extension://abcdefghij", "chrome-extension://abcdefghij"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(text, origin):
    assert cors.read_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "*", "null", "", "app.example.org", "https://", "https://*.example.org", "https://a.example/x",
        "https://user@a.example", "https://a.example:port", "https://a.example, https://b.example",
        "https://a.example\0", "https://ä.example", "https://" + "a" * 300,
        "https://a..example", "https://-a.example", "http://1.2.3", "http://0127.0.0.1",
        "http://[::1", "http://[:::1]",
    ],
)  # fmt: skip
def test_what_is_no_exact_origin_is_refused(text):
    with pytest.raises(AtriumError) as caught:
        cors.read_origin(text)
    assert caught.value.code == "invalid_origin"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("*", "Wildcards are not allowed"),
        ("https://*.example.org", "Wildcards are not allowed"),
        ("null", "“null” is what pages without an origin send"),
        ("https://a.example/path", "Remove the path"),
        ("https://a.example:8443/path?x=1", "Remove the path"),
        ("https://a.example#top", "Remove the path"),
        ("https://user@a.example/x", "An origin has a scheme, a host and perhaps a port"),
        ("app.example.org", "An origin has a scheme, a host and perhaps a port"),
    ],
)
def test_what_is_wrong_with_an_origin_is_said(text, words):
    with pytest.raises(AtriumError, match=words):
        cors.read_origin(text)


@pytest.mark.parametrize(
    "text",
    ["http://[::1]:99999", "https://a.example:0", "https://a.example:65536", "tauri://localhost:70000"],
)
def test_a_port_that_none_can_have_is_refused_and_named(text):
    with pytest.raises(AtriumError, match="port must be between 1 and 65535") as caught:
        cors.read_origin(text)
    assert (caught.value.code, caught.value.param) == ("invalid_origin", "origin")
