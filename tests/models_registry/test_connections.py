"""Connections: added, changed, removed, tested; where they may lead, and who decides."""

from functools import partial

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import translation

from foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound, UpstreamError
from models_registry import services
from models_registry.models import Connection, Model
from models_registry.platform.models import Connection as PlatformConnection
from models_registry.selectors import get_visible_connection, list_routes
from tenants.context import platform, tenant
from tests.models_registry.conftest import CANARY


def test_adding_a_connection_works_and_seals_its_key(make, alice):
    row = services.add_connection(actor=alice, name=" OpenAI ", kind="openai", secret=CANARY)
    assert (row.name, row.base_url, row.location, row.allow_private) == (
        "OpenAI",
        "https://api.openai.com/v1",
        "us",
        False,
    )
    assert Connection.objects.get().open_secret().reveal() == CANARY


def test_adding_is_refused_to_a_member(make, bob):
    with pytest.raises(NotAllowed):
        services.add_connection(actor=bob, name="OpenAI", kind="openai")
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"kind": "unknown", "base_url": "https://a.example"}, ValidationError),
        ({"name": " "}, ValidationError),
        ({"name": "x" * 81}, ValidationError),
        ({"base_url": "ftp://a.example"}, InvalidInput),
        ({"base_url": "https://a.example/v1?key=1"}, InvalidInput),
        ({"base_url": "https://a.example:22"}, InvalidInput),
        ({"base_url": "", "kind": "vllm"}, InvalidInput),
        ({"secret": "two words"}, InvalidInput),
        ({"secret": "line\r\nX-Evil: 1"}, InvalidInput),
        ({"secret": "x" * 4_001}, InvalidInput),
        ({"location": "moon"}, ValidationError),
        ({"kind": "embedded"}, InvalidInput),
    ],
)
def test_bad_values_are_refused(make, options, error):
    with pytest.raises(error):
        make.connection(**options)
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://a.openai.azure.com/", "https://a.openai.azure.com/openai/v1"),
        ("https://a.openai.azure.com/openai", "https://a.openai.azure.com/openai"),
        (
            "https://a.openai.azure.com/openai/deployments/gpt/chat/completions",
            "https://a.openai.azure.com/openai/deployments/gpt",
        ),
    ],
)
def test_an_address_without_a_path_gets_that_of_its_kind(make, given, stored):
    row = make.connection(kind="azure", base_url=given)
    assert row.base_url == stored
    row = services.update_connection(actor=None, connection=row, base_url="https://a.openai.azure.com")
    assert row.base_url == "https://a.openai.azure.com/openai/v1"


def test_adding_twice_under_one_name_is_refused(make):
    make.connection()
    with pytest.raises(ValidationError, match="already"):
        make.connection()


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://a.example", "https://a.example/v1"),
        ("https://a.example/", "https://a.example/v1"),
        ("HTTPS://A.example:443/v1/", "https://a.example/v1"),
        ("https://a.example/compatible-mode/v1", "https://a.example/compatible-mode/v1"),
        (" https://a.example:8443/v1 ", "https://a.example:8443/v1"),
        ("https://a.example/v1/chat/completions", "https://a.example/v1"),
        ("https://a.example/v1/chat/completions/", "https://a.example/v1"),
        ("https://a.example/chat/completions", "https://a.example/v1"),
        ("https://a.example/x/completions", "https://a.example/x"),
        ("https://a.example/v1/models", "https://a.example/v1"),
        ("https://a.example/api/v3/embeddings", "https://a.example/api/v3"),
        ("https://a.example/v1/responses", "https://a.example/v1"),
        ("https://a.example/v1/messages", "https://a.example/v1"),
        ("https://a.example/models", "https://a.example/models"),
        ("https://a.example/my-models", "https://a.example/my-models"),
    ],
)
def test_addresses_are_stored_in_one_form(make, given, stored):
    assert make.connection(base_url=given).base_url == stored


# -- private networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:11434/v1",
        "http://localhost:1234",
        "http://10.0.0.5:8000/v1",
        "http://[fd00::1]:8000/v1",
    ],
)
def test_a_tenant_does_not_reach_private_networks_and_learns_who_can_allow_it(make, alice, base_url):
    with pytest.raises(InvalidInput, match="operator of the platform") as refusal:
        services.add_connection(actor=alice, name="Own", kind="ollama", base_url=base_url)
    assert refusal.value.param == "base_url"
    with pytest.raises(NotAllowed, match="operator of the platform"):
        services.add_connection(actor=alice, name="Own", kind="ollama", base_url=base_url, allow_private=True)
    assert services.add_connection(
        actor=None, name="Own", kind="ollama", base_url=base_url, allow_private=True
    ).allow_private


def test_not_even_the_operator_reaches_a_clouds_credentials(make):
    for base_url in ("http://169.254.169.254/v1", "http://metadata.google.internal/v1"):
        with pytest.raises(InvalidInput):
            make.connection(base_url=base_url, allow_private=True)


@pytest.mark.scope("platform")
def test_the_platforms_own_connections_may_lead_to_this_machine(make, olga):
    row = services.add_connection(actor=olga, name="Ollama", kind="ollama")
    assert (row.base_url, row.allow_private) == ("http://127.0.0.1:11434/v1", True)
    assert not services.add_connection(actor=olga, name="OpenAI", kind="openai").allow_private


def test_what_the_operator_allowed_ends_with_the_address(make, alice):
    row = make.connection(base_url="http://10.0.0.5:8000/v1", allow_private=True)
    row = services.update_connection(actor=alice, connection=row, base_url="http://10.0.0.5:8000/other/v1")
    assert row.allow_private
    with pytest.raises(InvalidInput):
        services.update_connection(actor=alice, connection=row, base_url="http://10.0.0.6:8000/v1")
    with pytest.raises(NotAllowed):
        services.update_connection(
            actor=alice, connection=row, base_url="http://10.0.0.6:8000/v1", allow_private=True
        )
    assert not services.update_connection(
        actor=alice, connection=row, base_url="https://api.example.com/v1"
    ).allow_private
    row.refresh_from_db()
    assert not row.allow_private


# -- where it stands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base_url", ["https://api.openai.com/v1", "https://93.184.215.14/v1", "https://llm.example/v1"]
)
def test_an_organisation_does_not_call_a_strangers_server_its_own(make, alice, base_url):
    """Policies of the operator keep data in the house by it."""
    add = partial(services.add_connection, name="Own", kind="openai_compatible", base_url=base_url)
    for actor in (alice, None):
        with pytest.raises(InvalidInput, match="Only the operator") as refusal:
            add(actor=actor, location="local")
        assert (refusal.value.param, refusal.value.code) == ("location", "location_not_local")
    row = add(actor=alice, location="eu")
    with pytest.raises(InvalidInput, match="Only the operator"):
        services.update_connection(actor=alice, connection=row, location="local")


def test_what_the_operator_let_reach_private_networks_may_be_local(make, alice):
    address = make.connection("Address", base_url="http://10.0.0.5:8000/v1", allow_private=True)
    assert address.location == "local"
    name = make.connection("Name", base_url="http://llm.corp.example/v1", allow_private=True)
    name = services.update_connection(actor=alice, connection=name, location="local")
    assert name.location == "local"
    with pytest.raises(InvalidInput, match="Only the operator"):
        services.update_connection(
            actor=alice, connection=name, base_url="https://x.example", location="local"
        )
    with pytest.raises(InvalidInput, match="Only the operator"):
        services.update_connection(actor=alice, connection=name, allow_private=False)
    with pytest.raises(InvalidInput, match="Only the operator"):  # a public address stays one
        make.connection("Public", base_url="http://93.184.215.14/v1", allow_private=True, location="local")


@pytest.mark.scope("platform")
def test_the_operator_says_where_the_platforms_servers_stand(make, olga):
    row = services.add_connection(
        actor=olga, name="Own", kind="vllm", base_url="https://llm.example/v1", location="local"
    )
    assert row.location == "local"


def test_what_was_called_local_before_counts_no_more(make, alice):
    row = make.connection("Name", base_url="https://llm.example/v1")
    own = make.connection("Own", base_url="http://10.0.0.5:8000/v1", allow_private=True)
    Connection.objects.update(location="local")
    make.model("far", connection_row=row)
    make.model("near", connection_row=own)
    routes = list_routes()
    assert [routes[name].targets[0].endpoint.location for name in ("far", "near")] == ["", "local"]


def test_in_production_providers_are_reached_with_tls_only(make, settings):
    settings.ATRIUM_ENV = "production"
    with pytest.raises(InvalidInput) as refusal:
        make.connection(base_url="http://api.example.com/v1")
    assert refusal.value.code == "https_required"
    assert make.connection(base_url="http://10.0.0.5:8000/v1", allow_private=True)


# -- changing ------------------------------------------------------------------------------------------------


def test_changing_works_and_keeps_the_key(make, alice):
    row = make.connection(secret=CANARY)
    row = services.update_connection(
        actor=alice, connection=row, name="New", location="eu", no_storage=True, is_enabled=False
    )
    row = services.update_connection(actor=alice, connection=row, name="New")  # called twice
    row.refresh_from_db()
    assert (row.name, row.location, row.no_storage, row.is_enabled, row.open_secret().reveal()) == (
        "New",
        "eu",
        True,
        False,
        CANARY,
    )
    row = services.update_connection(actor=alice, connection=row, secret="")
    assert row.open_secret() is None


def test_changing_is_refused_to_a_member_and_with_unknown_fields(make, alice, bob):
    row = make.connection()
    with pytest.raises(NotAllowed):
        services.update_connection(actor=bob, connection=row, name="New")
    with pytest.raises(InvalidInput):
        services.update_connection(actor=alice, connection=row, last_error="x")
    with pytest.raises(ValidationError):
        services.update_connection(actor=alice, connection=row, name="")


def test_a_stored_key_is_never_sent_to_another_server(make, alice):
    """Whoever may change a connection must not learn its key by pointing it at a server of their own."""
    row = make.connection(secret=CANARY)
    for address in (
        "https://evil.example/v1",
        "http://api.example.com/v1",
        "https://api.example.com:8443/v1",
    ):
        with pytest.raises(InvalidInput) as refusal:
            services.update_connection(actor=alice, connection=row, base_url=address)
        assert refusal.value.param == "secret"
    row = services.update_connection(actor=alice, connection=row, base_url="https://api.example.com/v2")
    assert row.open_secret().reveal() == CANARY
    row = services.update_connection(
        actor=alice, connection=row, base_url="https://other.example/v1", secret="sk-new"
    )
    assert row.open_secret().reveal() == "sk-new"


# -- removing ------------------------------------------------------------------------------------------------


def test_removing_is_refused_while_models_use_it_unless_forced(make, alice, bob):
    row = make.connection()
    make.price(make.model(connection_row=row))
    with pytest.raises(NotAllowed):
        services.remove_connection(actor=bob, connection=row, force=True)
    with pytest.raises(Conflict, match="1 model"):
        services.remove_connection(actor=alice, connection=row)
    services.remove_connection(actor=alice, connection=row, force=True)
    assert not Connection.objects.exists() and not Model.objects.exists()
    services.remove_connection(actor=alice, connection=row)  # called twice


# -- testing -------------------------------------------------------------------------------------------------


def test_a_test_tells_latency_and_count_and_sends_the_key(make, alice, provider):
    row = make.connection(base_url=provider.base_url, allow_private=True, secret=CANARY)
    result = services.test_connection(actor=alice, connection=row)
    assert result.is_ok and result.model_count == 2 and result.latency_ms >= 0
    row.refresh_from_db()
    assert row.last_checked_at and row.last_error == ""
    assert provider.seen[0]["authorization"] == f"Bearer {CANARY}"


def test_anthropic_gets_its_key_in_its_own_header(make, provider):
    row = make.connection(kind="anthropic", base_url=provider.base_url, allow_private=True, secret=CANARY)
    assert services.test_connection(actor=None, connection=row).is_ok
    assert provider.seen[0]["x-api-key"] == CANARY and "authorization" not in provider.seen[0]
    assert provider.paths == ["/v1/models?limit=1000"]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "Enter a key"),
        (403, "Enter a key"),
        (404, "Correct the base address"),
        (429, "Try again later"),
        (500, "Test again"),
        (302, "Enter the final address"),
    ],
)
def test_a_test_says_what_is_wrong_without_repeating_the_provider(make, provider, status, says):
    provider.status = status
    provider.body = f"key {CANARY} is wrong".encode()
    provider.headers = {"Location": "http://127.0.0.1:1/"}
    row = make.connection(base_url=provider.base_url, allow_private=True, secret=CANARY)
    result = services.test_connection(actor=None, connection=row)
    row.refresh_from_db()
    assert not result.is_ok and says in result.error and CANARY not in result.error
    assert row.last_error == result.error


def test_why_a_check_failed_is_read_in_the_readers_language(make, provider):
    """Whoever made it; of a row of the release before there is its text alone."""
    provider.status = 503
    row = make.connection(base_url=provider.base_url, allow_private=True)
    with translation.override("de"):
        services.test_connection(actor=None, connection=row)
    row.refresh_from_db()
    assert "Anbieter" in row.last_error and "HTTP 503" in row.last_error
    with translation.override("en"):
        assert row.failure.startswith("The provider answers with an error (HTTP 503). Test again")
        assert row.failure != row.last_error
    row.last_error_words = None
    assert row.failure == row.last_error
    provider.status = 200
    services.test_connection(actor=None, connection=row)
    row.refresh_from_db()
    assert row.failure == "" and row.last_error_words is None


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"data": 3}', b'{"models": []}', b"[" * 100_000, b"\xff\xfe"]
)
def test_a_test_of_something_that_is_no_provider_fails_clearly(make, provider, body):
    provider.body = body
    result = services.test_connection(
        actor=None, connection=make.connection(base_url=provider.base_url, allow_private=True)
    )
    assert not result.is_ok and "does not send" in result.error


def test_a_test_reaches_no_private_address_that_is_not_allowed(make, provider):
    row = make.connection(base_url=provider.base_url, allow_private=True)
    Connection.objects.update(allow_private=False)
    row.refresh_from_db()
    result = services.test_connection(actor=None, connection=row)
    assert not result.is_ok and "operator" in result.error and provider.seen == []


def test_a_test_of_a_dead_provider_and_of_a_broken_key_fails_clearly(make, provider):
    row = make.connection(base_url=provider.base_url, allow_private=True, secret=CANARY)
    other = make.connection(name="Other", base_url=provider.base_url, allow_private=True, secret="sk-other")
    Connection.objects.filter(pk=row.pk).update(secret=Connection.objects.get(pk=other.pk).secret)
    row.refresh_from_db()
    assert "Enter it again" in services.test_connection(actor=None, connection=row).error
    provider.close()
    dead = services.test_connection(actor=None, connection=other).error
    assert "cannot be reached" in dead and "Check that the server runs" in dead
    with pytest.raises(UpstreamError) as failed:
        services.sync_catalogue(actor=None, connection=other)
    assert "Check that the server runs" in failed.value.message
    lost = make.connection(name="Lost", base_url="https://no-such-host.invalid/v1")
    assert "Check how the host is written" in services.test_connection(actor=None, connection=lost).error
    silent = UpstreamError("x", code="upstream_timeout"), UpstreamError("x", code="upstream_tls")
    assert [services.connections.describe_failure(one)[:10] for one in silent] == ["x Check th", "x Enter th"]


def test_a_test_is_refused_to_a_member(make, bob):
    with pytest.raises(NotAllowed):
        services.test_connection(actor=bob, connection=make.connection())


# -- two worlds ----------------------------------------------------------------------------------------------


def test_tenants_and_the_platform_do_not_see_each_others_connections(make, alice, charlie):
    row = make.connection(secret=CANARY)
    with tenant("globex"):
        assert not Connection.objects.exists()
        for key in (row.pk, row.name):
            with pytest.raises(NotFound):
                get_visible_connection(charlie, key)
        make.connection(secret="sk-globex")  # the same name is free here
    with platform():
        assert not PlatformConnection.objects.exists()
        make.connection()
    assert get_visible_connection(alice, row.pk).open_secret().reveal() == CANARY
    assert Connection.objects.count() == 1


def test_a_tenants_role_cannot_read_the_platforms_connections(make):
    from django.db import ProgrammingError

    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT * FROM public.registry_platform_connection")


def test_a_member_sees_no_connections(make, bob):
    row = make.connection()
    with pytest.raises(NotAllowed):
        get_visible_connection(bob, row.pk)


def test_the_database_holds_the_line_too(make):
    row = make.connection()
    for column in ("name", "base_url"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Connection.objects.filter(pk=row.pk).update(**{column: ""})


def test_the_history_of_a_connection_holds_no_key(make, alice):
    from auditlog.models import LogEntry

    row = make.connection(secret=CANARY)
    services.update_connection(actor=alice, connection=row, name="New", secret="sk-canary-second")
    entries = LogEntry.objects.filter(object_pk=str(row.pk))
    assert entries.count() == 2
    text = "".join(f"{entry.changes}{entry.serialized_data}{entry.object_repr}" for entry in entries)
    assert "canary" not in text and "v1:" not in text.replace("/v1", "") and "secret" not in text
