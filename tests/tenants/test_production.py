"""What the README promises of an installation behind a TLS proxy: ports in links, clients'
addresses, queues, a new master key.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from allauth.core.internal.httpkit import get_client_ip
from auditlog.models import LogEntry
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import RequestFactory
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tenants.context import Scope, use_scope
from tenants.links import base_url
from tenants.local.models import DataKey
from tenants.management.commands.serve import default_queues, runtime_command, server_config
from tenants.sealing import forget_data_keys, seal, unseal
from tenants.sealing.keys import _unwrap
from tenants.start import check_start
from tenants.work.kinds import list_queues

SHOW = (
    "import json; from config.settings import security as s; print(json.dumps({'port': s.PORT, 'proxies': "
    "s.TRUSTED_PROXIES}))"
)


SECRET = "".join(chr(ord("A") + number % 26) for number in range(52))


def settings_with(**environment: str) -> subprocess.CompletedProcess:
    """The settings of security as a process with these variables reads them."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ATRIUM_")}
    production = {
        "ATRIUM_ENV": "production",
        "ATRIUM_SECRET_KEY": SECRET,
        "ATRIUM_MASTER_KEYS": Fernet.generate_key().decode(),
    }
    return subprocess.run(
        [sys.executable, "-c", SHOW], env=inherited | production | environment, capture_output=True, text=True
    )


def test_behind_tls_links_carry_no_port_unless_one_is_named():
    assert json.loads(settings_with().stdout) == {"port": "", "proxies": ["127.0.0.1", "::1"]}
    assert json.loads(settings_with(ATRIUM_PORT="8443").stdout)["port"] == "8443"
    assert json.loads(settings_with(ATRIUM_ENV="test", ATRIUM_TLS="0").stdout)["port"] == "8000"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_a_runtime_that_others_reach_needs_a_token(settings, host):
    settings.RUNTIME_TOKEN = ""
    with pytest.raises(CommandError, match="ATRIUM_RUNTIME_TOKEN"):
        runtime_command(None, host, 8001)
    own = runtime_command(["folder"], "127.0.0.1", 8001)
    assert own[-2:] == ["--models", "folder"] and "--make-in" not in own
    settings.RUNTIME_TOKEN = "token"
    command = runtime_command(None, host, 8001)
    assert host in command and command[-1] == str(settings.RUNTIME_MODELS[-1])


@pytest.mark.django_db
def test_an_address_is_written_as_people_type_it(settings):
    settings.USES_TLS = True
    settings.PORT = ""
    assert base_url("acme") == "https://acme.localhost"
    settings.PORT = "8443"
    assert base_url("acme") == "https://acme.localhost:8443"


def test_proxies_are_addresses_or_networks():
    assert json.loads(settings_with(ATRIUM_TRUSTED_PROXIES="10.0.0.0/24, 2001:db8::7").stdout)["proxies"] == [
        "10.0.0.0/24",
        "2001:db8::7",
    ]
    wrong = settings_with(ATRIUM_TRUSTED_PROXIES="proxy.example.org")
    assert wrong.returncode == 1 and "ATRIUM_TRUSTED_PROXIES must list addresses" in wrong.stderr


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("10.0.0.5", "203.0.113.9", "203.0.113.9"),
        # the proxy adds what it saw behind what the client claims
        ("10.0.0.5", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.5", "6.6.6.6, 203.0.113.9, 10.0.0.6", "203.0.113.9"),  # two proxies
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),  # past the proxy
    ],
)
def test_limits_and_audit_log_see_the_client_and_not_the_proxy(settings, peer, header, client):
    settings.USES_TLS = True
    settings.TRUSTED_PROXIES = ["10.0.0.0/24"]
    seen = _address_after_proxies(peer, header)
    request = RequestFactory().post("/accounts/login/", REMOTE_ADDR=seen, headers={"x-forwarded-for": header})
    assert seen == client and get_client_ip(request) == client


def _address_after_proxies(peer: str, header: str) -> str:
    """Whom the server takes for the client of such a request."""
    config, found = server_config("config.asgi:application", "127.0.0.1", 0), []

    async def application(scope, receive, send):
        found.append(scope["client"][0])

    assert config.proxy_headers
    served = ProxyHeadersMiddleware(application, trusted_hosts=config.forwarded_allow_ips)
    coroutine = served(
        {"type": "http", "client": (peer, 4711), "headers": [(b"x-forwarded-for", header.encode())]},
        None,
        None,
    )
    with pytest.raises(StopIteration):
        coroutine.send(None)
    return found[0]


@pytest.mark.django_db
def test_the_audit_log_believes_no_header(acme, alice):
    acme.login_as(alice).post(
        "/profile/",
        {"name": "Alicia", "language": "", "theme": "dark", "time_zone": "UTC"},
        headers={"x-forwarded-for": "6.6.6.6"},
    )
    assert LogEntry.objects.get_for_object(alice).latest("pk").remote_addr == "127.0.0.1"


@pytest.mark.parametrize(("has_login", "queues"), [(True, "default,provisioning"), (False, "default")])
def test_a_worker_without_the_owners_login_leaves_the_set_up_of_tenants_alone(settings, has_login, queues):
    settings.HAS_OWNER_LOGIN = has_login
    others = [queue for queue in list_queues() if queue not in ("default", "provisioning")]
    assert default_queues().split(",") == [*queues.split(",")[:1], *others, *queues.split(",")[1:]]


@pytest.mark.django_db
def test_a_new_master_key_takes_over_and_the_old_one_may_go(settings, capsys):
    place = {"table": "t", "row": 1, "field": "f"}
    sealed = seal("secret", **place)
    old, new = settings.MASTER_KEYS, Fernet.generate_key().decode()
    try:
        settings.MASTER_KEYS = [new, *old]
        forget_data_keys()
        call_command("masterkey", "rewrap", "--json")
        assert json.loads(capsys.readouterr().out)["schemas"] == 3  # the platform, Acme and Globex
        settings.MASTER_KEYS = [new]
        forget_data_keys()
        assert unseal(sealed, **place) == "secret"
        for scope in (Scope("platform"), Scope("tenant", "acme"), Scope("tenant", "globex")):
            with use_scope(scope):
                assert all(_unwrap(row.wrapped) for row in DataKey.objects.all())
        settings.MASTER_KEYS = [Fernet.generate_key().decode()]
        with pytest.raises(CommandError, match="still needed for"):
            call_command("masterkey", "rewrap")
    finally:
        settings.MASTER_KEYS = [new, *old]
        forget_data_keys()


@pytest.mark.parametrize("key", ["a" * 60, "short", "django-insecure-" + SECRET, "ab" * 30])
def test_a_secret_key_that_can_be_guessed_is_refused(key):
    refused = settings_with(ATRIUM_SECRET_KEY=key)
    assert (
        refused.returncode == 1
        and "at least 50 random characters" in refused.stderr
        and key not in refused.stderr
    )
    assert settings_with().returncode == 0


def test_each_master_key_is_one():
    good = Fernet.generate_key().decode()
    for keys, number in (("not-a-fernet-key", 1), (f"{good},short", 2)):
        refused = settings_with(ATRIUM_MASTER_KEYS=keys)
        assert refused.returncode == 1 and f"number {number} of" in refused.stderr
        assert good not in refused.stderr.rsplit("ImproperlyConfigured", 1)[1]


@pytest.mark.django_db
def test_a_login_that_may_read_everything_is_refused(settings):
    own = settings.DATABASE_DSN
    passwords = json.loads((Path(os.environ["ATRIUM_DATA"]) / "database.json").read_text())
    superuser = own.replace(f"atrium_app:{passwords['atrium_app']}", f"postgres:{passwords['postgres']}")
    plain = "NOINHERIT"
    kinds = ("SUPERUSER NOINHERIT", "BYPASSRLS NOINHERIT", "INHERIT", plain, "NOINHERIT, by a grant")
    for number, kind in enumerate(kinds):
        attributes, _comma, by_grant = kind.partition(", ")
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE test_start_{number} LOGIN {attributes} PASSWORD 'test'")
            connection.execute(f"GRANT CONNECT ON DATABASE {connection.info.dbname} TO test_start_{number}")
            if by_grant:
                connection.execute(f"GRANT atrium_acme TO test_start_{number} WITH INHERIT TRUE")
        settings.DATABASE_DSN = own.replace(
            f"atrium_app:{passwords['atrium_app']}", f"test_start_{number}:test"
        )
        if kind == plain:
            check_start()
        else:
            with pytest.raises(ImproperlyConfigured, match="NOSUPERUSER NOBYPASSRLS NOINHERIT"):
                check_start()


@pytest.mark.django_db
def test_master_keys_that_open_nothing_are_refused(settings):
    with use_scope(Scope("platform")):
        seal("secret", table="t", row=1, field="f")
    check_start()
    settings.MASTER_KEYS = [Fernet.generate_key().decode()]
    forget_data_keys()
    try:
        with pytest.raises(ImproperlyConfigured, match="ATRIUM_MASTER_KEYS"):
            check_start()
    finally:
        forget_data_keys()
