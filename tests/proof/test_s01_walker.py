"""S01: whoever walks over every route by every method, with ids of another tenant, of another person, of
nothing and of no sense at all, sees nothing that is not theirs, changes nothing, learns nothing from the
difference, and breaks nothing (no 5xx).

Routes: those of the URL resolver for both kinds of host, and those of `/v1`; ids also in bodies and queries,
at the places that the OpenAPI document names. Callers: tests.proof.walking.
Does not cover: what the caller's own rights open (S04, tests/permissions.py), streams (S10), mails (S07).
"""

import http.client
import itertools
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest

from gateway.routes import list_routes as list_v1_routes
from tests.live import House, house_with_bug
from tests.permissions import PLATFORM_ROWS, TENANT_ROWS
from tests.proof.walking import Caller, World
from tests.routes import PLATFORM, TENANT, list_routes

NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
AT_LEAST, WALKERS = 19_332, 6
pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(3_600)]
METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE")
HOSTILE = (
    "0", "-1", "..%2f..%2f", "%27%20OR%201=1--", "%00", "%F0%9F%92%A9", "%ff%fe", "A" * 3_000, "null",
    "%0d%0aX:%20y", "%7B%7B7*7%7D%7D", "_5F", "1e999", "*", "true",
)  # fmt: skip
PLACE = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)")
KINDS = {row.route: row.object for row in [*TENANT_ROWS, *PLATFORM_ROWS] if row.object}


@dataclass(frozen=True)
class Knock:
    """One request. `twin`: the same for an id that nobody has must get the same answer."""

    caller: Caller
    method: str
    path: str
    body: bytes = b""
    kind: str = "application/json"
    ids: tuple[str, ...] = ()
    twin: str = ""


@dataclass
class Walk:
    """What came of it."""

    statuses: Counter = field(default_factory=Counter)
    answers: dict[str, list[tuple]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def fill(pattern: str, identity: str) -> str:
    """The path of a route with one id in each of its places."""
    path = PLACE.sub(identity, pattern)
    return "/" + path.replace("^", "").replace("$", "").replace("\\", "")


def patterns_of(caller: Caller) -> Iterator[tuple[str, str]]:
    """(name, pattern) of all that answers at the caller's host, by Django and by the gateway."""
    urlconf = TENANT if caller.host != "localhost" else PLATFORM
    yield from ((route.name, route.pattern) for route in list_routes(urlconf))
    if urlconf == PLATFORM:  # a key is at home there too
        yield from ((r.name, r.pattern) for r in list_routes(TENANT) if r.pattern.startswith("api/"))
    for route in list_v1_routes():
        yield f"v1 {route.template}", "v1/" + re.sub(r"\{(\w+)(:path)?\}", r"<\1>", route.template)
    yield "v1 nothing", "v1/<path>/x"


def form_of(ids: dict[str, list[str]], number: int) -> bytes:
    """A form that names somebody else's things wherever a form of the house would take an id."""
    every = list(itertools.chain.from_iterable(ids.values()))
    one = every[number % len(every)]
    fields = {
        "project": one,
        "user": one,
        "model": one,
        "connection": one,
        "_selected_action": one,
        "post": "yes",
    }
    return urlencode(
        fields | {"action": "delete_selected", "text": "x", "title": "x", "next": "//evil.example"}
    ).encode()


def knocks_at(caller: Caller) -> Iterator[Knock]:
    """Every route × method × id, for one caller."""
    hostile = itertools.cycle(HOSTILE)
    for name, pattern in patterns_of(caller):
        if "logout" in name:
            continue  # ends the walk: `test_permissions` knocks there
        if not PLACE.search(pattern):
            for number, method in enumerate((*METHODS, "POST", "POST")):
                is_form = method == "POST" and not pattern.startswith(("api/", "v1/"))
                body = form_of(caller.foreign, number) if is_form else b"{}" if method[0] == "P" else b""
                yield Knock(
                    caller,
                    method,
                    fill(pattern, ""),
                    body,
                    "application/x-www-form-urlencoded" if is_form else "application/json",
                )
            continue
        kind = KINDS.get(name, "")
        ids = caller.foreign.get(kind) or ([] if kind else [ids[0] for ids in caller.foreign.values()][:3])
        for method in METHODS[:5] if kind else METHODS[:2]:
            body = b"{}" if method[0] == "P" else b""
            for one in ids:
                # numbers are ids of the caller's own tenant, too; without a kind, asking often is counted
                twin = f"{caller.name} {method} {name}" if kind and len(one) > 9 else ""
                yield Knock(caller, method, fill(pattern, one), body, ids=(one,), twin=twin)
                other = str(uuid4()) if len(one) > 9 else "987654321"
                yield Knock(caller, method, fill(pattern, other), body, ids=(other,), twin=twin)
        for method, _ in itertools.product(("GET", "POST", "DELETE"), range(2)):
            yield Knock(caller, method, fill(pattern, next(hostile)))
        if ids:
            for written in (
                ids[0].upper(),
                ids[0].replace("-", ""),
                quote(f"urn:uuid:{ids[0]}"),
                f"{ids[0]}%00",
            ):
                yield Knock(caller, "GET", fill(pattern, written))


def sample(schema: dict, document: dict, one: str):
    """A value that fits a schema; an id, wherever one is wanted."""
    if "$ref" in schema:
        return sample(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], document, one)
    for part in ("allOf", "oneOf", "anyOf"):
        if part in schema:
            return sample(schema[part][0], document, one)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {
                name: sample(inner, document, one) for name, inner in schema.get("properties", {}).items()
            }
        case "array":
            return [sample(schema.get("items", {}), document, one)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
    return one if schema.get("format") in ("uuid", None) else "2030-01-01T00:00:00Z"


def knocks_with_bodies(caller: Caller, document: dict) -> Iterator[Knock]:
    """Somebody else's ids in query and body, field by field, at each route of the API and of `/v1`."""
    ids = [
        one
        for kind in ("project", "user", "model", "connection", "key", "conversation")
        for one in caller.foreign.get(kind, ())[:1]
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for one in ids:
                address = re.sub(r"\{\w+\}", one, path)
                names = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
                for name in names:
                    yield Knock(caller, method.upper(), f"{address}?{urlencode({name: one})}")
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                whole = sample(content.get("schema", {}), document, one)
                if isinstance(whole, dict):
                    yield Knock(caller, method.upper(), address, json.dumps(whole).encode())
                    for name, value in whole.items():
                        yield Knock(caller, method.upper(), address, json.dumps({name: value}).encode())
    for one in [*ids, f"model-{caller.forbidden[-1]}", *caller.forbidden]:
        messages = [{"role": "user", "content": "x"}]
        for body in (
            {"model": one, "messages": messages}, {"model": one, "input": "x"},
            {"model": "mock", "messages": messages, "user": one, "project": one, "metadata": {"id": one}},
        ):  # fmt: skip
            for path in ("/v1/chat/completions", "/v1/embeddings"):
                yield Knock(caller, "POST", path, json.dumps(body).encode())


_local, _opened = threading.local(), []


def knock(port: int, one: Knock) -> tuple[int, str]:
    """The status, and all that the answer says."""
    headers = {
        "Host": one.caller.host,
        "Content-Type": one.kind,
        "Content-Length": str(len(one.body)),
        **one.caller.headers,
    }
    for attempt in range(2):
        if (known := getattr(_local, "connection", None)) is None or known.port != port:
            known = _local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            _opened.append(known)
        try:
            known.request(one.method, one.path, one.body, headers)
            answer = known.getresponse()
            return answer.status, f"{answer.headers}\n{answer.read().decode(errors='replace')}"
        except (http.client.HTTPException, OSError):
            known.close()
            _local.connection = None
            if attempt:
                raise
    raise AssertionError


def judge(walk: Walk, one: Knock, status: int, said: str) -> None:
    what = f"{one.caller.name}: {one.method} {one.path[:200]} {one.body[:120]!r}"
    walk.statuses[status] += 1
    asked = f"{one.path} {one.body.decode()}"
    shown = [word for word in one.caller.forbidden if word in said and word not in asked]
    if shown:
        walk.faults.append(f"{what} shows {shown}")
    if status >= 500:
        walk.faults.append(f"{what} breaks: {status} {said[-300:]}")
    if one.twin:
        for identity in one.ids:
            said = said.replace(identity, "ID")
        error = re.search(r'"(?:code|message)":.*', said) if "json" in said.lower() else None
        text = re.sub(r"req_\w+", "", error[0]) if error else ""
        walk.answers.setdefault(one.twin, []).append((status, text, one.path))


def go(house: House, knocks: list[Knock]) -> Walk:
    walk = Walk()
    with ThreadPoolExecutor(WALKERS) as pool:
        for one, (status, said) in zip(
            knocks, pool.map(lambda one: knock(house.port, one), knocks), strict=True
        ):
            judge(walk, one, status, said)
    while _opened:
        _opened.pop().close()
    for twin, answers in walk.answers.items():
        if len({answer[:2] for answer in answers}) > 1:
            walk.faults.append(f"{twin}: what is there and what is not differ: {answers[:4]}")
    return walk


@pytest.fixture(scope="module")
def world(house, django_db_blocker):
    with django_db_blocker.unblock():
        world = World()
        yield world
        world.remove()


def read_document(house: House, callers: list[Caller]) -> dict:
    owner = next(caller for caller in callers if caller.name == "key of owner")
    status, said = knock(house.port, Knock(owner, "GET", "/api/v1/openapi.json"))
    assert status == 200
    return json.loads(said.partition("\n\n")[2].strip())


def walk_over(house: House, world: World, is_wanted=lambda knock: True) -> tuple[int, Walk]:
    callers = list(world.callers())  # makes keys and sessions
    document, before = read_document(house, callers), world.checksum()
    knocks = [
        one
        for caller in callers
        for one in itertools.chain(knocks_at(caller), knocks_with_bodies(caller, document))
        if is_wanted(one)
    ]
    walk = go(house, knocks)
    changed = [table for table, total in world.checksum().items() if total != before[table]]
    walk.faults += [f"somebody else's rows have changed: {changed}"] if changed else []
    return len(knocks), walk


@pytest.mark.skipif(not NIGHT, reason="a long run; tests/test_permissions.py holds its sample")
def test_no_walker_sees_or_changes_what_is_not_theirs(house, world):
    count, walk = walk_over(house, world)
    print(f"\nS01: {count} requests, {len(walk.faults)} faults, by status {sorted(walk.statuses.items())}")
    assert walk.faults == [], f"{len(walk.faults)}: " + "\n".join(walk.faults[:40])
    assert count >= AT_LEAST


# -- planted bugs: each with the part of the walk that meets it ----------------------------------------------

BUGS = {
    "anybody's conversations": (
        "import prompts.selectors as s; real = s.Conversation.objects.filter\n"
        "s.Conversation.objects.filter = lambda *args, user=None, **more: real(*args, **more)",
        "/api/v1/conversations/", "shows",
    ),
    "a key that outweighs the host": (
        "from tenants.doors import hosts, middleware as m; from tenants.context import Scope\n"
        "from accounts.keys import slug_of\n"
        "real = m.TenantMiddleware._find_scope\n"
        "def ask_the_key(self, request):\n"
        "    door = hosts.find_tenant_by_slug(slug_of(m._key_of(request) or ''))\n"
        "    if door is None: return real(self, request)\n"
        "    request.tenant, request.web_origins = door, ()\n"
        "    return Scope('tenant', door.slug), None\n"
        "m.TenantMiddleware._find_scope = ask_the_key",
        "/api/v1/projects/|/api/v1/models/|/api/v1/connections/", "shows",
    ),
    "rows of actions as they come": (
        "from administration.model_admin import AtriumModelAdmin as A; del A.response_action",
        "/admin/auth/group/$", "breaks",
    ),
    "histories that look before they ask": (
        "import administration.history as h\n"
        "class Careless:\n"
        "    def __init__(self, real): self.real = real\n"
        "    def __getattr__(self, name): return getattr(self.real, name)\n"
        "    def has_view_or_change_permission(self, request, obj=None):\n"
        "        return obj is None or self.real.has_view_or_change_permission(request, obj)\n"
        "import administration.model_admin as m; real = m.show_history\n"
        "m.show_history = lambda admin, request, pk: real(Careless(admin), request, pk)",
        "/admin/accounts/apikey/.*/history/", "differ",
    ),
}  # fmt: skip


@pytest.mark.skipif(not NIGHT, reason="a long run")
@pytest.mark.parametrize(("bug", "paths", "sign"), BUGS.values(), ids=BUGS)
def test_planted_bug_is_met_by_the_walker(house, world, bug, paths, sign):
    with house_with_bug(house, bug) as careless:
        _count, walk = walk_over(careless, world, lambda one: re.search(paths, one.path))
    assert any(sign in fault for fault in walk.faults), walk.faults[:5]
