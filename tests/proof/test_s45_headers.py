"""S45: every answer of every route carries the policy of its kind of route, whoever asks, by whatever method,
and whatever the status; so do refusals that no route gives. Cookies carry their marks.

What each kind must say stands here once more, apart from the table that the product uses.
`make test` asks each route as one caller, in turn; `make proof` all of them as every caller.
"""

import http.client
import itertools
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from django.conf import settings

from accounts.models import User
from gateway.routes import list_routes as list_v1_routes
from tenants.context import Scope, platform, tenant
from tests.live import TENANTS, House, house_with_bug
from tests.proof.test_s01_walker import KINDS, PLACE, fill
from tests.proof.walking import Caller, World, session_of
from tests.routes import PLATFORM, TENANT, list_routes

NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(3_600 if NIGHT else 120)]
ASKERS = 6
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE")

# -- what must be said ---------------------------------------------------------------------------------------

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, no-store",
    "strict-transport-security": None,
}
DOCUMENT = EVERYWHERE | {
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
DATA = EVERYWHERE | {
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
OWN = (
    "default-src 'none'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'; "
)
WIDE = OWN + "script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
NARROW = (
    OWN + "script-src 'self'; style-src 'self'; frame-src 'self'; worker-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types default dompurify pdf-worker"
)
FRAME = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'; sandbox allow-scripts"
)
MUST_SAY: dict[str, dict[str, str | None]] = {
    "page": DOCUMENT | {"content-security-policy": NARROW},
    "admin": DOCUMENT | {"content-security-policy": WIDE},
    "docs": DOCUMENT | {"content-security-policy": WIDE},
    "diagram": DOCUMENT | {"content-security-policy": FRAME, "x-frame-options": "SAMEORIGIN"},
    "document": DATA | {"content-security-policy": DATA["content-security-policy"] + "; sandbox"},
    "api": DATA,
    "v1": DATA,
    "health": DATA,
    "server": DATA,
    "file": DATA | {"cross-origin-resource-policy": "cross-origin", "cache-control": "max-age=60, public"},
    "no file": DATA | {"cross-origin-resource-policy": "cross-origin", "cache-control": "no-store"},
}
HSTS = f"max-age={365 * 24 * 3600}; includeSubDomains; preload"
NEVER = ("server", "x-powered-by", "access-control-allow-credentials")
WITH_COOKIES = ("page", "admin", "docs", "diagram", "document")
MARKS = {"httponly", "samesite=lax", "path=/"}  # of every cookie


def kind_of(name: str, pattern: str) -> str:
    """Of a route, by its name and pattern."""
    if name in ("service", "system") or name.startswith(("service:", "system:")):
        return "admin"
    own = {"api-docs": "docs", "prompts:diagram-frame": "diagram", "rag:document-file": "document"}
    if name in own:
        return own[name]
    start = pattern.partition("/")[0]
    return {"api": "api", "healthz": "health", "v1": "v1", "admin": "admin"}.get(start, "page")


@dataclass(frozen=True)
class Ask:
    """One request, and what kind of answer it must get."""

    kind: str
    host: str
    method: str
    path: str
    who: str = ""
    headers: dict[str, str] = field(default_factory=dict, hash=False)
    body: bytes = b""
    status: int = 0  # 0: any that is none of 5xx

    def __str__(self) -> str:
        return f"{self.who or 'nobody'}: {self.method} {self.host}{self.path[:120]}"


# -- who asks for what ---------------------------------------------------------------------------------------


def routes_at(host: str) -> Iterator[tuple[str, str]]:
    """(name, pattern) of all that is answered at a host."""
    for one in list_routes(PLATFORM if host == "localhost" else TENANT):
        if "logout" not in one.name:  # by which a session would end
            yield one.name, one.pattern
    yield from ((f"v1 {one.template}", "v1/" + re.sub(r"\{\w+(:path)?\}", "<x>", one.template))
                for one in list_v1_routes())  # fmt: skip
    yield from (("nothing", "nothing/<x>/"), ("v1 nothing", "v1/<x>/y"), ("v1", "v1"))
    yield from (("no api", "api/v1/<x>/"), ("no health", "healthz/<x>"), ("no admin", "admin/<x>/<x>/"))


def ask_of(caller: Caller, ids: dict[str, str], name: str, pattern: str, method: str) -> Ask:
    """A caller at a route of their host; `ids`: of what there is, by its kind. Without the token of the
    forms: what writes is refused, so that nobody loses their session on the way.
    """
    headers = {name: value for name, value in caller.headers.items() if name != "X-CSRFToken"}
    kind = kind_of(name, pattern)
    if "Authorization" in headers and kind in ("page", "admin", "diagram", "document"):
        kind = "v1"  # a key says that a program asks (gateway.addresses)
    path = fill(pattern, ids.get(KINDS.get(name, ""), str(uuid4())) if PLACE.search(pattern) else "")
    return Ask(
        kind,
        caller.host,
        method,
        path,
        caller.name,
        headers | {"Content-Type": "application/json"},
        b"{}" if method in ("POST", "PUT") else b"",
    )


def sampled(house: House) -> list[Ask]:
    """Each route by GET as one of these, in turn, and by another method as the next."""
    slug = TENANTS[0]
    with tenant(slug):
        erin = User.objects.get(email=f"erin@{slug}.example")
    with platform():
        olga = User.objects.get(email="olga@atrium.example")
    host = f"{slug}.localhost"
    callers = [
        Caller("nobody", host),
        Caller("owner", host, session_of(host, Scope("tenant", slug), erin)),
        Caller("key", host, {"Authorization": f"Bearer {house.keys[slug]}"}),
        Caller("nobody at the platform", "localhost"),
        Caller("operator", "localhost", session_of("localhost", Scope("platform"), olga)),
    ]
    asks = []
    for group in (callers[:3], callers[3:]):
        others = itertools.cycle(METHODS[1:])
        for number, route in enumerate(routes_at(group[0].host)):
            one, other = group[number % len(group)], group[(number + 1) % len(group)]
            asks.append(ask_of(one, {}, *route, "GET"))
            if number % 3 == 0:
                asks.append(ask_of(other, {}, *route, next(others)))
    return asks


def everything(world: World) -> list[Ask]:
    ids = {name: str(row.pk) for name, row in vars(world.estates[world.a]).items() if hasattr(row, "pk")}
    return [
        ask_of(caller, ids, *route, method)
        for caller in world.callers()
        for route in routes_at(caller.host)
        for method in METHODS
    ]


def refusals(house: House) -> list[Ask]:
    """What no route answers: by the server, before Django, by the door of the tenants, by the files."""
    host, key = f"{TENANTS[0]}.localhost", {"Authorization": f"Bearer {house.keys[TENANTS[0]]}"}
    large = {"Content-Length": "99000000"}
    hx, json_asked = {"HX-Request": "true"}, {"Accept": "application/json"}
    return [
        Ask("server", "two words", "GET", "/", status=400),
        Ask("server", host, "GET", "/" + "x" * 70_000, status=431),
        Ask("server", host, "GET", "http://other.example/", status=400),
        Ask("page", "nobody.example", "GET", "/", status=404),
        Ask("document", host, "GET", f"/knowledge/files/{uuid4()}/", status=302),
        Ask("page", "nobody.example", "GET", "/", headers=json_asked, status=404),
        Ask("admin", "nobody.example", "GET", "/admin/", status=404),
        Ask("api", "nobody.example", "GET", "/api/v1/me/", status=401),
        Ask("page", host, "POST", "/profile/", headers=large, status=413),
        Ask("page", host, "POST", "/profile/", headers=large | hx, status=413),
        Ask("admin", host, "POST", "/admin/", headers=large, status=413),
        Ask("api", host, "POST", "/api/v1/projects/", headers=large, status=413),
        Ask("v1", host, "POST", "/v1/chat/completions", headers=large | key, status=413),
        Ask("v1", host, "POST", "/v1/messages", headers=large | key, status=413),
        Ask("v1", host, "POST", "/v1/messages", headers=key, body=b"{", status=400),
        Ask("v1", host, "DELETE", "/v1/models", headers=key, status=405),
        Ask("v1", host, "OPTIONS", "/v1/models", headers={"Origin": "https://a.example",
            "Access-Control-Request-Method": "GET"}, status=403),
        Ask("v1", "localhost", "OPTIONS", "/v1/models", headers={"Origin": "https://a.example",
            "Access-Control-Request-Method": "GET"}, status=204),
        Ask("api", host, "GET", "/api/v1/me", headers=key, status=200),
        Ask("api", host, "GET", "/api/v1/me/?format=csv", headers=key, status=404),
        Ask("page", host, "GET", "/profile", status=301),
        Ask("health", "my_container:8000", "GET", "/healthz/ready", status=200),
        Ask("page", host, "GET", "/%00%ff", status=404),
        Ask("page", host, "GET", "/c/%2e%2e/diagram/", status=404),
        Ask("file", host, "GET", "/static/css/tokens.css", status=200),
        Ask("file", host, "HEAD", "/static/css/tokens.css", status=200),
        Ask("file", host, "GET", "/static/js/page.js", headers={"Range": "bytes=0-9"}, status=206),
        Ask("no file", host, "GET", "/static/nothing.css", status=404),
        Ask("no file", host, "GET", "/static/../admin/", status=404),
        Ask("v1", host, "POST", "/v1/chat/completions", headers=key, status=200,
            body=b'{"model": "mock", "stream": true, "messages": [{"role": "user", "content": "x"}]}'),
        Ask("v1", host, "POST", "/v1/messages", headers=key, status=200, body=b'{"model": "mock", '
            b'"max_tokens": 5, "stream": true, "messages": [{"role": "user", "content": "x"}]}'),
    ]  # fmt: skip


# -- asking --------------------------------------------------------------------------------------------------

_local, _opened = threading.local(), []


@dataclass
class Said:
    status: int
    headers: list[tuple[str, str]]

    def all_of(self, name: str) -> list[str]:
        return [value for other, value in self.headers if other == name]


def put(port: int, ask: Ask) -> Said:
    for attempt in range(2):
        known = getattr(_local, "connection", None)
        if known is None or known.port != port:
            known = _local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            _opened.append(known)
        try:
            known.putrequest(ask.method, ask.path, skip_host=True, skip_accept_encoding=True)
            length = {"Content-Length": str(len(ask.body))} if ask.body else {}
            for name, value in ({"Host": ask.host} | length | ask.headers).items():
                known.putheader(name, value)
            known.endheaders(ask.body)
            answer = known.getresponse()
            answer.read()
            headers = [(name.lower(), value) for name, value in answer.getheaders()]
            return Said(answer.status, headers)
        except (http.client.HTTPException, OSError):
            known.close()
            _local.connection = None
            if attempt:
                raise
    raise AssertionError


def judge(ask: Ask, said: Said, *, is_secure: bool = False) -> Iterator[str]:
    """What deviates."""
    is_wrong = said.status >= 500 and said.status != 502  # a model server that nobody reaches
    if said.status != ask.status if ask.status else is_wrong:
        yield f"{ask}: status {said.status}"
    for name, value in MUST_SAY[ask.kind].items():
        if name == "strict-transport-security" and is_secure and ask.kind != "server":
            value = HSTS
        found = said.all_of(name)
        if found != ([] if value is None else [value]):
            yield f"{ask} ({said.status}) says {name}: {found}"
    for name in NEVER:
        if said.all_of(name):
            yield f"{ask} ({said.status}) says {name}"
    for cookie in said.all_of("set-cookie"):
        first, *marks = (part.strip().lower() for part in cookie.split(";"))
        is_taken_away = "max-age=0" in marks
        if ask.kind not in WITH_COOKIES and not (ask.kind == "api" and is_taken_away):
            yield f"{ask} sets a cookie, which is no page: {cookie}"
        wanted = MARKS | ({"secure"} if is_secure else set())
        if is_taken_away:  # what is left holds nothing
            wanted = {"path=/"}
        if wanted - set(marks) or any(mark.startswith("domain") for mark in marks):
            yield f"{ask} sets a cookie {first.partition('=')[0]} with {marks}"


def find_deviations(port: int, asks: list[Ask], *, is_secure: bool = False) -> list[str]:
    with ThreadPoolExecutor(ASKERS) as pool:
        answers = pool.map(lambda ask: put(port, ask), asks)
        found = [
            one
            for ask, said in zip(asks, answers, strict=True)
            for one in judge(ask, said, is_secure=is_secure)
        ]
    while _opened:
        _opened.pop().close()
    return found


@pytest.fixture(scope="module")
def asks(house, django_db_blocker) -> Iterator[list[Ask]]:
    """All of tonight, or the sample."""
    with django_db_blocker.unblock():
        if not NIGHT:
            yield [*sampled(house), *refusals(house)]
            return
        world = World()
        yield [*sampled(house), *everything(world), *refusals(house)]
        world.remove()


def test_every_answer_carries_the_policy_of_its_kind_of_route(house, asks):
    kinds = {ask.kind for ask in asks}
    assert kinds == set(MUST_SAY) and len(asks) > (15_000 if NIGHT else 350)
    found = find_deviations(house.port, asks)
    print(f"\nS45: {len(asks)} requests, {len(found)} deviations")
    assert not found, f"{len(found)}: " + "\n".join(found[:40])


# what `ATRIUM_TLS` changes, without the start of a process of its own
BEHIND_TLS = """
from django.conf import settings as s
s.USES_TLS = s.SECURE_SSL_REDIRECT = True
s.SESSION_COOKIE_SECURE = s.LANGUAGE_COOKIE_SECURE = s.CSRF_COOKIE_SECURE = True
s.SECURE_HSTS_SECONDS, s.SECURE_PROXY_SSL_HEADER = 31_536_000, ("HTTP_X_FORWARDED_PROTO", "https")
import foundation.header_policies as p
for kind, is_secure in p._POLICIES:  # made when it was loaded
    said = p._POLICIES[kind, is_secure] = p._with_transport(p.POLICIES[kind], is_secure=is_secure)
    p._ENCODED[kind, is_secure] = tuple((name.lower().encode(), text.encode()) for name, text in said.items())
"""


def test_behind_tls_browsers_are_bound_to_it_and_cookies_too(house, asks, unblocked):
    """By http nothing is said of it (RFC 6797, 7.2), and pages redirect."""
    some = asks if NIGHT else [*asks[:: len(asks) // 20], *asks[-30:]]
    host = f"{TENANTS[0]}.localhost"
    log_in = Ask("page", host, "GET", "/accounts/login/", status=200)
    language = Ask("page", host, "POST", "/i18n/setlang/", body=b"language=de", status=302)
    with house_with_bug(house, BEHIND_TLS) as secure, tenant(TENANTS[0]):
        session = session_of(
            host, Scope("tenant", TENANTS[0]), User.objects.get(email=f"erin@{TENANTS[0]}.example")
        )
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{host}", **session}
        by_https = [replace_headers(ask, {"X-Forwarded-Proto": "https"}) for ask in [*some, log_in]]
        by_https.append(replace_headers(language, form | {"X-Forwarded-Proto": "https"}))
        assert find_deviations(secure.port, by_https, is_secure=True) == []
        assert find_deviations(secure.port, [Ask("page", log_in.host, "GET", log_in.path, status=301)]) == []


def replace_headers(ask: Ask, more: dict[str, str]) -> Ask:
    return Ask(ask.kind, ask.host, ask.method, ask.path, ask.who, ask.headers | more, ask.body, ask.status)


def test_cookies_are_marked_as_the_settings_say():
    assert settings.SESSION_COOKIE_SECURE is settings.LANGUAGE_COOKIE_SECURE is settings.USES_TLS


# -- planted bugs --------------------------------------------------------------------------------------------

BUGS = {
    "a wide policy for all that Django answers": (
        "import config.middleware as m; real = m.find_kind\n"
        "m.find_kind = lambda path: real('/admin/') if real(path) == 'page' else real(path)",
        r"/profile/ .*content-security-policy",
    ),
    "the gateway says nothing": (
        "import gateway.door as d; d.encoded_headers_of = lambda *_, **__: ()",
        r"/v1/models .*x-content-type-options",
    ),
    "a view knows better": (
        "import config.middleware as m; m.may_say = lambda *_: True\n"
        "from django.http import HttpResponse as R; real = R.__init__\n"
        "def careless(self, *args, **kwargs):\n"
        "    real(self, *args, **kwargs); self.headers['Cache-Control'] = 'public, max-age=600'\n"
        "R.__init__ = careless",
        r"/profile/ .*cache-control: \['public",
    ),
    "a cookie for scripts": (
        "from django.conf import settings as s; s.SESSION_COOKIE_HTTPONLY = False",
        r"sets a cookie atrium_session",
    ),
    "the server's own refusals are bare": (
        "import foundation.http_server as h; h.encoded_headers_of = lambda *_, **__: ()",
        r"two words/ .*x-frame-options",
    ),
}


@pytest.mark.parametrize("name", BUGS if NIGHT else list(BUGS)[:1])
def test_planted_bug_a_deviation_is_noticed(house, asks, name):
    bug, sign = BUGS[name]
    some = [ask for ask in asks if ask.path in ("/profile/", "/accounts/login/", "/v1/models", "/")]
    some = [*some[:100], *(ask for ask in some if ask.kind == "server")]
    with house_with_bug(house, bug) as careless:
        found = find_deviations(careless.port, some)
    assert any(re.search(sign, one) for one in found), found[:10]
