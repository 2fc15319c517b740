"""S22: whatever is wrong with a key, the answer is the same: status, body, headers, and the moment at which
it leaves.

In `make test` the moment is told by the steps that the answer waits for; `make proof` asks 20,000
times and compares by Welch's t-test.
"""

import asyncio
import http.client
import itertools
import math
import os
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from config import intake
from foundation import moments
from foundation.moments import rest_of_step_s, wait_for_moment
from gateway import api
from tenants.context import tenant
from tests.live import TENANTS, house_with_bug

pytestmark = [pytest.mark.scope(None)]
IS_NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
ROUNDS = 20_000
CLIENTS = {"/v1/models": 8, "/api/v1/me/": 7}  # more keep Django busy for longer than a step
# for the planted bug: `/v1` answers from memory what it refused once, so that little differs there
ENOUGH = {"/v1/models": ROUNDS, "/api/v1/me/": ROUNDS // 20}
WELCH_T = 4.5
SECRET = "x" * 43
PATHS = ("/v1/models", "/api/v1/me/")


@pytest.fixture
def keys(house) -> dict[str, str]:
    """A key for each way of being wrong: the secret of one that exists, an id that does not, a
    tenant that does not, no key at all, one that was good until it expired or was revoked.
    """
    from accounts.models import ApiKey, User
    from accounts.services import create_api_key, revoke_api_key

    slug, key_id = TENANTS[0], house.keys[TENANTS[0]].split("_")[2]
    with tenant(slug):
        erin = User.objects.get(email=f"erin@{slug}.example")
        expired, revoked = (create_api_key(actor=None, user=erin, name=name) for name in ("old", "gone"))
        ApiKey.objects.filter(pk=expired[0].pk).update(expires_at=timezone.now() - timedelta(days=1))
        revoke_api_key(actor=None, key=revoked[0])
    return {
        "expired": expired[1],
        "revoked": revoked[1],
        "wrong secret": f"atr_{slug}_{key_id}_{SECRET}",
        "unknown id": f"atr_{slug}_{'0' * 8}_{SECRET}",
        "unknown tenant": f"atr_nobody-here_{key_id}_{SECRET}",
        "no key of ours": "sk-" + SECRET,
    }


def ask(
    connection: http.client.HTTPConnection, path: str, key: str
) -> tuple[int, bytes, dict[str, str], float]:
    began_s = time.perf_counter()
    connection.request("GET", path, headers={"Host": "localhost", "Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    body = response.read()
    took_s = time.perf_counter() - began_s
    headers = {name.lower(): value for name, value in response.getheaders() if name.lower() != "x-request-id"}
    return (
        response.status,
        body.replace((response.getheader("x-request-id") or "-").encode(), b"-"),
        headers,
        took_s,
    )


@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(house, keys, path):
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=10)) as connection:
        answers = [ask(connection, path, key)[:3] for key in keys.values() for _again in range(2)]
        assert answers[0][0] == 401 and all(answer == answers[0] for answer in answers)
        assert ask(connection, path, house.keys[TENANTS[0]])[0] == 200


def test_planted_bug_an_answer_that_says_what_is_wrong_is_noticed(house, keys):
    bug = (
        "import gateway.state.snapshot as s; from foundation.errors import NotFound\n"
        "class Found(s.Snapshots):\n"
        "    async def find(self, slug):\n"
        "        found = await s_find(self, slug)\n"
        "        if found is None: raise NotFound('There is no such organisation.')\n"
        "        return found\n"
        "s_find = s.Snapshots.find; s.Snapshots.find = Found.find"
    )
    with house_with_bug(house, bug) as talkative, pytest.raises(AssertionError):
        test_whatever_is_wrong_with_a_key_the_answer_is_the_same(talkative, keys, "/v1/models")


def test_the_rest_of_a_step_ends_on_a_whole_one():
    for elapsed_s in (0.0, 0.0002, 0.0014, 0.0049999, 0.005, 0.0123):
        rest_s = rest_of_step_s(elapsed_s, 0.005)
        steps = (elapsed_s + rest_s) / 0.005
        assert (
            0 < rest_s <= 0.005
            and math.isclose(steps, round(steps))
            and round(steps) == int(elapsed_s / 0.005 + 1e-9) + 1
        )


def test_the_moment_is_a_step_and_a_drawn_part_of_one(monkeypatch):
    drawn = []

    class Longest:
        def uniform(self, least: float, most: float) -> float:
            drawn.append((least, most))
            return most

    monkeypatch.setattr(moments, "_random", Longest())
    began_s = time.perf_counter()
    asyncio.run(wait_for_moment(began_s, 0.01))
    assert time.perf_counter() - began_s >= 0.012
    assert drawn == [(0, 0.002)]


def scope_of(path: str, key: str) -> dict:
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())]
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "client": None,
        "server": None,
    }


class Waits:
    """Notes instead of waiting: (when the request began, the step), and whether the answer had begun to
    leave.
    """

    def __init__(self) -> None:
        self.noted: list[tuple[float, float]] = []
        self.sent: list[dict] = []

    async def wait(self, begun_s: float, step_s: float) -> None:
        assert self.sent == [], "the answer left before its moment"
        self.noted.append((begun_s, step_s))

    async def send(self, message: dict) -> None:
        self.sent.append(message)


def test_every_refusal_of_v1_waits_for_its_moment(monkeypatch, django_db_setup, django_db_blocker):
    from accounts.services import create_api_key, create_user
    from gateway import loop as gateway_loop
    from tenants.provisioning.services import create_tenant

    slug = f"s22-{uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
        with tenant(slug):
            person = create_user(
                actor=None, email=f"erin@{slug}.example", name="Erin", password="correct horse battery staple"
            )
            row, good = create_api_key(actor=None, user=person, name="s22")

        async def run() -> dict[str, Waits]:
            await gateway_loop.start_loop("test")
            found = {}
            try:
                wrong = (
                    f"atr_{slug}_{row.key_id}_{SECRET}",
                    f"atr_{slug}_00000000_{SECRET}",
                    f"atr_nobody_00000000_{SECRET}",
                    "",
                    "nonsense",
                    good,
                )
                for key in wrong * 2:  # the second time from memory
                    found[key] = waits = Waits()
                    monkeypatch.setattr(api, "wait_for_moment", waits.wait)
                    await api.serve(scope_of("/v1/models", key), None, waits.send)
            finally:
                await gateway_loop.stop_loop()
            return found

        found = asyncio.run(run())
    assert found.pop(good).noted == []
    for key, waits in found.items():
        assert waits.sent[0]["status"] == 401 and [step for _begun, step in waits.noted] == [
            api.REFUSAL_STEP_S
        ], key


def test_planted_bug_a_refusal_that_leaves_when_it_is_ready_is_noticed(
    monkeypatch, django_db_setup, django_db_blocker
):
    monkeypatch.setattr(api, "InvalidKey", NeverRaised)
    with pytest.raises(AssertionError, match="atr_"):
        test_every_refusal_of_v1_waits_for_its_moment(monkeypatch, django_db_setup, django_db_blocker)


class NeverRaised(Exception):
    """In the place of the error that is to wait."""


@pytest.mark.parametrize(
    ("path", "status", "waits"), [("/api/v1/me/", 401, True), ("/api/v1/me/", 200, False), ("/", 401, False)]
)
def test_refusals_of_the_management_api_wait_too_and_hold_no_place_meanwhile(
    monkeypatch, path, status, waits
):
    noted = Waits()
    left = []

    async def django(scope, receive, send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    class Place:
        def enter_at_once(self, host) -> bool:
            return True

        def leave(self, host) -> None:
            left.append(len(noted.noted))

    async def wait(begun_s: float, step_s: float) -> None:
        await noted.wait(begun_s, step_s)
        assert left, "a stranger who waits holds a place"

    async def receive() -> dict:
        return {"type": "http.request", "body": b""}

    monkeypatch.setattr(intake, "wait_for_moment", wait)
    asyncio.run(intake.Intake(django, pages=Place())(scope_of(path, "x"), receive, noted.send))
    assert [step for _begun, step in noted.noted] == ([intake.REFUSAL_STEP_S] if waits else [])
    assert len(left) == 1


def times_s(port: int, path: str, keys: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """How long each kind of refusal took, drawn anew for each question by clients who mostly wait: what the
    server does behind an answer delays the next one a little, so that none may come more often behind some
    other than its rivals do.
    """
    found: dict[str, list[float]] = {name: [] for name in keys}

    def ask_often(_number: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            for name in random.choices(list(keys), k=rounds // CLIENTS[path] * len(keys)):
                found[name].append(ask(connection, path, keys[name])[3])

    with ThreadPoolExecutor(CLIENTS[path]) as pool:
        list(pool.map(ask_often, range(CLIENTS[path])))
    return found


def welch_t(first: list[float], second: list[float]) -> float:
    spread = math.sqrt(statistics.variance(first) / len(first) + statistics.variance(second) / len(second))
    return (statistics.mean(first) - statistics.mean(second)) / spread


if IS_NIGHT:  # it takes minutes and a quiet machine

    @pytest.mark.parametrize("path", PATHS)
    def test_no_time_tells_one_wrong_key_from_another(house, keys, path, rounds=ROUNDS):
        found = times_s(house.port, path, keys, rounds)
        for one, other in itertools.combinations(found, 2):
            # without what the machine did meanwhile
            quick = [sorted(found[name])[: len(found[name]) * 9 // 10] for name in (one, other)]
            assert abs(t := welch_t(*quick)) < WELCH_T, f"{one} and {other} differ: t = {t:.1f}"

    @pytest.mark.parametrize("path", PATHS)
    def test_planted_bug_refusals_that_leave_when_they_are_ready_are_told_apart(house, keys, path):
        bug = "import foundation.moments as m; m.rest_of_step_s = lambda elapsed_s, step_s: 0.0; m.BLUR = 0"
        with house_with_bug(house, bug) as hasty, pytest.raises(AssertionError, match="differ"):
            test_no_time_tells_one_wrong_key_from_another(hasty, keys, path, rounds=ENOUGH[path])
