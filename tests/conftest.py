"""The cast and the stage of every test: two real tenant schemas, made once; each test rolls back.

Alice owns Acme, Bob is its member, Charlie owns Globex, Olga operates the platform. A test runs in
Acme's scope unless it says `@pytest.mark.scope("globex" | "platform" | None)`. Async tests run on the
test's own thread and transaction.
"""

import functools
import inspect
from io import StringIO
from types import SimpleNamespace

import httpx
import pytest
from _pytest.main import pytest_runtestloop as run_tests
from asgiref.sync import async_to_sync
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.cache import cache
from django.core.management import call_command
from django.template import RequestContext
from django.template.base import Template
from django.test import Client
from django.test.utils import instrumented_test_render
from whitenoise.middleware import WhiteNoiseMiddleware

from foundation import endings
from foundation.collector import pass_over_loaded_objects
from tenants.context import Scope, platform, tenant, use_scope
from tests import services
from tests.cast import ROUNDS, move_in


def _with_room(function, argument):
    return function(argument)


# CPython keeps frames in chunks of 16 kB, and maps one anew each time that a call crosses the end of the
# last: at the depth of a page's template that was a tenth of the CPU. A frame that asks for much gets a large
# chunk, in which all that it calls has room.
_with_room.__code__ = _with_room.__code__.replace(co_stacksize=300_000)


# Made for each test by pytest-django, for marks that none here has: a tenth of a short test's time each.
NOT_NEEDED = {
    "_django_clear_site_cache",
    "_django_isolate_apps",
    "_django_set_urlconf",
    "_django_setup_unittest",
    "_fail_for_invalid_template_variable",
    "_live_server_helper",
    "_template_string_if_invalid_marker",
}


def pytest_collection_modifyitems(items):
    for item in items:
        item.fixturenames[:] = [name for name in item.fixturenames if name not in NOT_NEEDED]


def pytest_collection_finish():
    pass_over_loaded_objects()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    return _with_room(run_tests, session)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run coroutine tests through asgiref, so that their ORM work stays on this thread and in this
    transaction.
    """
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    async_to_sync(pyfuncitem.obj)(
        **{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    )
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker):
    """The cast moves in, unless it came with the data folder."""
    from django.db import connections

    with django_db_blocker.unblock():
        if not services.is_prepared:
            move_in()
        connections.close_all()
    yield
    with django_db_blocker.unblock():
        endings.end()  # a thread that went on would log into what is closed
        connections.close_all()


def _read_static_files_once(patch: pytest.MonkeyPatch) -> None:
    """Each client makes the chain of middleware anew, and with it WhiteNoise looks at some 300 files."""
    read, files = WhiteNoiseMiddleware.add_files_from_finders, {}

    def read_once(self) -> None:
        if not files:
            read(self)
            files.update(self.files)
        self.files = files

    patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", read_once)


def _keep_contexts_of_whole_pages_only(patch: pytest.MonkeyPatch) -> None:
    """Django's test client copies the context of every widget and every part of a page, for nobody."""

    def render(template, context):
        if isinstance(context, RequestContext) and context.template is template:
            return instrumented_test_render(template, context)
        return template.nodelist.render(context)

    patch.setattr(Template, "_render", render)


def _read_certificates_once(patch: pytest.MonkeyPatch) -> None:
    """Each of httpx's clients, and so each of OpenAI's and Anthropic's, reads all certificates that the
    machine trusts: 25 ms of CPU, for servers that are asked without TLS.
    """
    patch.setattr("httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context))


def _hash_passwords_cheaply(patch: pytest.MonkeyPatch) -> None:
    """The same hash with fewer rounds, as the cast's passwords have."""
    patch.setattr(PBKDF2PasswordHasher, "iterations", ROUNDS)


@pytest.fixture(scope="session", autouse=True)
def _cheaper(django_test_environment):
    """What is done again and again to no test's gain."""
    with pytest.MonkeyPatch.context() as patch:
        _read_static_files_once(patch)
        _keep_contexts_of_whole_pages_only(patch)
        _read_certificates_once(patch)
        _hash_passwords_cheaply(patch)
        yield


@pytest.fixture(autouse=True)
def _scope(request):
    """Enter the scope that the test's mark names."""
    marker = request.node.get_closest_marker("scope")
    name = marker.args[0] if marker else "acme"
    scope = None if name is None else Scope("platform") if name == "platform" else Scope("tenant", name)
    with use_scope(scope):
        yield


@pytest.fixture
def unblocked(django_db_setup, django_db_blocker):
    """A test whose work is committed, and which cleans up itself."""
    from django.db import connections

    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.fixture
def set_acme(db):
    """set_acme(**columns): Acme's row has them, and processes have forgotten it as it was."""
    from tenants.doors import hosts
    from tenants.models import Tenant

    def set_columns(**columns) -> None:
        with platform():
            Tenant.objects.filter(slug="acme").update(**columns)
        hosts.forget("acme")

    yield set_columns
    hosts.forget("acme")


@pytest.fixture
def clean_cache():
    cache.clear()
    yield
    cache.clear()


def _person(email: str):
    from accounts.models import User

    return User.objects.get(email=email)


@pytest.fixture
def cast(db) -> SimpleNamespace:
    """Alice and Bob of Acme, Charlie of Globex, Olga of the platform."""
    with tenant("acme"):
        alice, bob = _person("alice@acme.example"), _person("bob@acme.example")
    with tenant("globex"):
        charlie = _person("charlie@globex.example")
    with platform():
        olga = _person("olga@atrium.example")
    return SimpleNamespace(alice=alice, bob=bob, charlie=charlie, olga=olga)


def manage(*arguments: str) -> str:
    """What `manage.py …` prints."""
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


class HostClient(Client):
    """Django's test client on one host, logged in or not."""

    def __init__(self, host: str, scope: Scope, **kwargs):
        super().__init__(headers={"host": host}, **kwargs)
        self.host = host
        self.scope = scope

    def login_as(self, user) -> "HostClient":
        with use_scope(self.scope):
            self.force_login(user)
        return self


@pytest.fixture
def acme(db) -> HostClient:
    return HostClient("acme.localhost", Scope("tenant", "acme"))


@pytest.fixture
def globex(db) -> HostClient:
    return HostClient("globex.localhost", Scope("tenant", "globex"))


@pytest.fixture
def on_platform(db) -> HostClient:
    return HostClient("localhost", Scope("platform"))


@pytest.fixture
def alice(cast):
    return cast.alice


@pytest.fixture
def bob(cast):
    return cast.bob


@pytest.fixture
def charlie(cast):
    return cast.charlie


@pytest.fixture
def olga(cast):
    return cast.olga


pytest_plugins = ["tests.live"]
