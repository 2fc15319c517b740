"""S46: secrets are renewed while calls run, and no call fails: the master key with a process that follows on
the same socket and `manage.py masterkey rewrap`, the installation's secret key, a provider's key on its
connection, an API key. After its grace the old one is worth nothing.

Calls are told apart by the moment at which they began: what the gateway keeps in memory is a second old at
most.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

import httpx
import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings as django_settings
from django.test import Client, override_settings

from tests.conftest import manage
from tests.live import TENANTS, House, house_with_bug, listen, running_web
from tests.planted import PlantedProcess

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(300)]
SLUG = TENANTS[0]
CLIENTS = 4
IS_NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
CALLS = 100 if IS_NIGHT else 12  # before, between and after each step
# of each client between two calls, each of which takes a tenth of a second: most are always under way
PAUSE_S = 0.01 if IS_NIGHT else 0.05
GRACE_S = 1.0
WAITS_S = 60
MODEL = "s46"
OLD, NEW = "old-key-of-the-provider", "new-key-of-the-provider"


@dataclass(frozen=True)
class Done:
    number: int
    key: str
    begun_s: float
    status: int
    text: str

    @property
    def is_whole(self) -> bool:
        return self.status == 200 and (self.number % 2 == 0 or self.text.endswith("data: [DONE]\n\n"))


class Load:
    """Calls without end, each on a connection of its own, every second one streamed."""

    def __init__(self, port: int, key: str) -> None:
        self.key = key
        self.done: list[Done] = []
        self._url = f"http://127.0.0.1:{port}/v1/chat/completions"
        self._lock = threading.Lock()
        self._count = 0
        self._is_over = threading.Event()
        self._client = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=WAITS_S)

    def call(self, key: str = "") -> Done:
        with self._lock:
            self._count += 1
            number, key = self._count, key or self.key
        messages = [{"role": "user", "content": f"call {number}"}]
        body = {"model": MODEL, "stream": number % 2 == 1, "messages": messages}
        headers = {"Authorization": f"Bearer {key}", "Host": "localhost"}
        begun_s = time.time()
        try:
            response = self._client.post(self._url, json=body, headers=headers)
            done = Done(number, key, begun_s, response.status_code, response.text)
        except httpx.HTTPError as exc:
            done = Done(number, key, begun_s, 0, repr(exc))
        self.done.append(done)
        return done

    def run(self) -> None:
        while not self._is_over.wait(PAUSE_S):
            self.call()

    def stop(self) -> None:
        self._is_over.set()

    def close(self) -> None:
        self._client.close()

    def wait_for_more(self) -> None:
        """Until CALLS calls that begin from now on are over."""
        begun_s, end = time.time(), time.monotonic() + WAITS_S
        while sum(one.begun_s >= begun_s for one in list(self.done)) < CALLS:
            assert time.monotonic() < end, "no calls go on"
            time.sleep(0.02)

    def wait_for_grace(self) -> float:
        """When the grace of what was just changed ends; some calls have begun after it."""
        end_s = time.time() + GRACE_S
        time.sleep(GRACE_S)
        self.wait_for_more()
        return end_s

    def check_none_failed(self, *, but: str = "") -> None:
        """No call failed, except those with that key."""
        failed = [one for one in self.done if not one.is_whole and (not but or one.key != but)]
        assert not failed, f"{len(failed)} of {len(self.done)} calls failed: {failed[:3]}"


@contextlib.contextmanager
def loaded(port: int, key: str) -> Iterator[Load]:
    load = Load(port, key)
    with contextlib.closing(load), ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(load.run) for _ in range(CLIENTS)]
        try:
            load.wait_for_more()
            yield load
            load.wait_for_more()
        finally:
            load.stop()
    for one in running:
        one.result()


@pytest.fixture
def connection(house, django_db_blocker):
    """A connection of the tenant's with a key."""
    from models_registry.services import add_connection, add_model, remove_connection
    from tenants.context import tenant

    house.mock.reset()
    with django_db_blocker.unblock():
        with tenant(SLUG):
            row = add_connection(
                actor=None,
                name="s46",
                kind="openai_compatible",
                base_url=house.mock.base_url,
                secret=OLD,
                allow_private=True,
            )
            add_model(actor=None, connection=row, name=MODEL, upstream_name="mock-tokens-60-5")
        try:
            yield row
        finally:
            with tenant(SLUG):
                remove_connection(actor=None, connection=row, force=True)


# -- a provider's key ----------------------------------------------------------------------------------------


def renew_provider_key(house: House, connection, bug: str = "pass") -> None:
    from models_registry.services import update_connection
    from tenants.context import tenant

    with house_with_bug(house, bug) as running, loaded(running.port, house.keys[SLUG]) as load:
        with tenant(SLUG):
            update_connection(actor=None, connection=connection, secret=NEW)
        grace_ended_s = load.wait_for_grace()
    load.check_none_failed()
    used = {number_of(entry): entry["authorization"] for entry in house.mock.ledger()}
    assert set(used.values()) == {f"Bearer {OLD}", f"Bearer {NEW}"}, "both were in use"
    late = [one for one in load.done if one.begun_s > grace_ended_s]
    assert late and {used[one.number] for one in late} == {f"Bearer {NEW}"}, "the old key is used on"


def number_of(entry: dict) -> int:
    return int(entry["body"]["messages"][0]["content"].removeprefix("call "))


def test_a_providers_key_is_renewed_under_load(house, connection):
    renew_provider_key(house, connection)


FORGETS_NOTHING = (
    "from gateway.state.snapshot import Snapshots as s\n"
    "s.drop = s.drop_all = lambda *_: None; s._is_fresh = lambda *_: True"
)


def test_planted_bug_a_gateway_that_keeps_the_old_providers_key_is_found_out(house, connection):
    with pytest.raises(AssertionError, match="both were in use"):
        renew_provider_key(house, connection, FORGETS_NOTHING)


# -- an API key ----------------------------------------------------------------------------------------------


def replace_api_key(house: House, bug: str = "pass") -> None:
    from accounts.models import User
    from accounts.services import create_api_key, revoke_api_key
    from tenants.context import tenant

    with tenant(SLUG):
        erin = User.objects.get(email=f"erin@{SLUG}.example")
        row, old = create_api_key(actor=None, user=erin, name="s46 old")
    with house_with_bug(house, bug) as running, loaded(running.port, old) as load:
        with tenant(SLUG):
            _row, load.key = create_api_key(actor=None, user=erin, name="s46 new")
        load.wait_for_more()
        with tenant(SLUG):
            revoke_api_key(actor=None, key=row)
        load.wait_for_grace()
        late = [load.call(old) for _ in range(5)]
    load.check_none_failed(but=old)
    early = [one for one in load.done if one.key == old and one not in late]
    assert early and all(one.is_whole for one in early), "nobody used it any more when it was revoked"
    assert {one.status for one in late} == {401}, "a revoked key is served"


def test_an_api_key_is_replaced_under_load(house, connection):
    replace_api_key(house)


def test_planted_bug_a_gateway_that_keeps_a_revoked_key_is_found_out(house, connection):
    with pytest.raises(AssertionError, match="a revoked key is served"):
        replace_api_key(house, FORGETS_NOTHING)


# -- the master key, and the secret key ----------------------------------------------------------------------


class Processes:
    """Web processes that follow each other on one socket: the next one serves before the last one ends."""

    def __init__(self, listener) -> None:
        self._listener = listener
        self._last = contextlib.ExitStack()

    def follow(self, **variables: str) -> None:
        following = contextlib.ExitStack()
        following.enter_context(running_web(self._listener, {**os.environ, **variables}))
        self._last.close()
        self._last = following

    def end(self) -> None:
        self._last.close()


def rewrap(keys: list[str]) -> None:
    """`manage.py masterkey rewrap` as an installation with these keys runs it."""
    with override_settings(MASTER_KEYS=keys):
        manage("masterkey", "rewrap", "--json")


def opened_by(master_key: str) -> list[str]:
    """The scopes whose data keys this master key opens."""
    from tenants.context import Scope, use_scope
    from tenants.local.models import DataKey

    found = []
    for scope in (Scope("platform"), *(Scope("tenant", slug) for slug in TENANTS)):
        with use_scope(scope):
            wrapped = [bytes(row.wrapped) for row in DataKey.objects.all()]
        assert wrapped
        with contextlib.suppress(InvalidToken):
            [Fernet(master_key).decrypt(one) for one in wrapped]
            found.append(scope.slug or "platform")
    return found


def log_in() -> str:
    """A session's key, as Erin's browser has it."""
    from accounts.models import User
    from tenants.context import tenant

    browser = Client(headers={"host": f"{SLUG}.localhost"})
    with tenant(SLUG):
        browser.force_login(User.objects.get(email=f"erin@{SLUG}.example"))
    return browser.cookies[django_settings.SESSION_COOKIE_NAME].value


def is_let_in(port: int, session: str, secret_key: str) -> bool:
    """Whether a session counts for an installation with this secret key, of which its cookie has a name."""
    name = f"atrium_session_{sha256(f'cookies of {secret_key}'.encode()).hexdigest()[:8]}"
    headers = {"Host": f"{SLUG}.localhost", "Cookie": f"{name}={session}"}
    return httpx.get(f"http://127.0.0.1:{port}/profile/", headers=headers, timeout=WAITS_S).status_code == 200


def renew_master_key(house: House, settings) -> None:
    old, new = list(settings.MASTER_KEYS), Fernet.generate_key().decode()
    secret_key = "another secret of some fifty letters, 0123456789 and more"
    session = log_in()
    with listen() as listener:
        port = listener.getsockname()[1]
        processes = Processes(listener)
        try:
            processes.follow()
            assert is_let_in(port, session, settings.SECRET_KEY)
            with loaded(port, house.keys[SLUG]) as load:
                processes.follow(ATRIUM_MASTER_KEYS=",".join([new, *old]))
                load.wait_for_more()
                rewrap([new, *old])
                load.wait_for_more()
                assert (opened_by(old[0]), len(opened_by(new))) == ([], 3), "the old master key is good yet"
                processes.follow(ATRIUM_MASTER_KEYS=new)
                load.wait_for_more()
                processes.follow(ATRIUM_MASTER_KEYS=new, ATRIUM_SECRET_KEY=secret_key)
                for key in (secret_key, settings.SECRET_KEY):
                    assert not is_let_in(port, session, key), "what the old secret key signed is good yet"
            load.check_none_failed()
            told = {entry["authorization"] for entry in house.mock.ledger()}
            assert told == {f"Bearer {OLD}"}, "each process could open the provider's key"
        finally:
            processes.end()
            rewrap([*old, new])  # the rest of the run has these


def test_the_master_key_is_renewed_under_load(house, connection, settings):
    renew_master_key(house, settings)
    assert len(opened_by(settings.MASTER_KEYS[0])) == 3


def test_planted_bug_a_rewrap_that_changes_nothing_is_found_out(house, connection, settings, monkeypatch):
    monkeypatch.setattr("tenants.sealing.keys._rewrap_active_schema", lambda: None)
    with pytest.raises(AssertionError, match="the old master key is good yet"):
        renew_master_key(house, settings)


if IS_NIGHT:  # each starts four processes

    def test_planted_bug_a_secret_key_that_stays_is_found_out(house, connection, settings, monkeypatch):
        real = Processes.follow

        def follow(self, **variables: str) -> None:
            variables.pop("ATRIUM_SECRET_KEY", None)
            real(self, **variables)

        monkeypatch.setattr(Processes, "follow", follow)
        with pytest.raises(AssertionError, match="what the old secret key signed is good yet"):
            renew_master_key(house, settings)

    def test_planted_bug_processes_that_drop_their_calls_are_found_out(
        house, connection, settings, monkeypatch
    ):
        monkeypatch.setattr(PlantedProcess, "terminate", PlantedProcess.kill)
        with pytest.raises(AssertionError, match="calls failed"):
            renew_master_key(house, settings)
