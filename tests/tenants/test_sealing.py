"""Secrets at rest: bound to their place, masked on their way, gone with their key."""

import copy
import json
import logging
import pickle

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, transaction
from django.forms import modelform_factory
from django.forms.models import model_to_dict

from models_registry.models import Connection
from tenants import sealing
from tenants.context import NoTenant, platform, tenant
from tenants.local.models import DataKey
from tenants.models import Tenant
from tenants.provisioning.services import insert_tenant
from tenants.sealing import BrokenSeal, NoDataKey, SealedText, Secret, SecretFilter, open_field, seal, unseal
from tenants.sealing.keys import key_for_opening

PLACE = {"table": "models_registry_connection", "row": "0192", "field": "secret"}


@pytest.fixture(autouse=True)
def forget_keys():
    sealing.forget_data_keys()
    yield
    sealing.forget_data_keys()


def make_connection(**changes) -> Connection:
    return Connection(
        **{
            "name": "A",
            "kind": "openai",
            "base_url": "https://api.openai.com/v1",
            "secret": "sk-canary-1234567890",
        }
        | changes
    )


# -- Secret --------------------------------------------------------------------------------------------------


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret("sk-canary")
    assert secret.reveal() == "sk-canary"
    for shown in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>20}",
        "%s" % secret,  # noqa: UP031
        repr([secret]),
        repr({"key": secret}),
    ):
        assert "canary" not in shown
    assert secret == Secret("sk-canary") and secret != Secret("sk-other") and secret != "sk-canary"
    assert not Secret("") and secret
    assert copy.deepcopy(secret) is secret


@pytest.mark.parametrize("leak", [pickle.dumps, json.dumps])
def test_a_secret_does_not_slip_into_messages_or_caches(leak):
    with pytest.raises(TypeError):
        leak(Secret("sk-canary"))


# -- seal and unseal -----------------------------------------------------------------------------------------


def test_what_is_sealed_can_be_opened_in_its_place(db):
    sealed = seal("sk-canary ä 你好", **PLACE)
    assert sealed.startswith("v1:") and "canary" not in sealed
    assert seal("sk-canary ä 你好", **PLACE) != sealed
    assert unseal(sealed, **PLACE) == "sk-canary ä 你好"


@pytest.mark.parametrize(
    "moved",
    [
        {"row": "0193"},
        {"field": "other"},
        {"table": "other"},
        {"table": "models_registry_connection0", "row": "192"},
    ],
)
def test_a_ciphertext_moved_to_another_place_stays_closed(db, moved):
    sealed = seal("sk-canary", **PLACE)
    with pytest.raises(BrokenSeal):
        unseal(sealed, **PLACE | moved)


def test_a_ciphertext_moved_to_another_tenant_stays_closed_even_with_the_same_data_key(db):
    sealed = seal("sk-canary", **PLACE)
    wrapped = DataKey.objects.get().wrapped
    with tenant("globex"):
        with pytest.raises(BrokenSeal):
            unseal(sealed, **PLACE)
        DataKey.objects.update(wrapped=wrapped)
        with pytest.raises(BrokenSeal):
            unseal(sealed, **PLACE)
    with platform(), pytest.raises((BrokenSeal, NoDataKey)):
        unseal(sealed, **PLACE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-4] + "AAAA",
        lambda text: "v1:",
        lambda text: "v1:*",
        lambda text: "",
        lambda text: "v2" + text[2:],
        lambda text: text[3:],
    ],
)
def test_a_damaged_ciphertext_is_refused(db, damage):
    with pytest.raises(BrokenSeal):
        unseal(damage(seal("sk-canary", **PLACE)), **PLACE)


@pytest.mark.scope(None)
def test_nothing_is_sealed_in_nobodys_name(db):
    with pytest.raises(NoTenant):
        seal("sk-canary", **PLACE)
    with pytest.raises(NoTenant):
        unseal("v1:AAAA", **PLACE)


# -- data keys -----------------------------------------------------------------------------------------------


def test_a_new_tenant_has_a_data_key_and_no_other(db):
    for slug in ("acme", "globex"):
        with tenant(slug):
            assert DataKey.objects.count() == 1
    with tenant("acme"):
        first = bytes(DataKey.objects.get().wrapped)
    with tenant("globex"):
        assert bytes(DataKey.objects.get().wrapped) != first


@pytest.mark.scope("platform")
def test_the_platform_gets_its_key_on_first_use_and_keeps_it(db):
    DataKey.objects.all().delete()
    sealed = seal("sk-canary", **PLACE)
    sealing.make_data_key()
    assert DataKey.objects.count() == 1
    assert unseal(sealed, **PLACE) == "sk-canary"


def test_without_its_data_key_a_secret_is_shredded(db):
    sealed = seal("sk-canary", **PLACE)
    DataKey.objects.all().delete()
    with pytest.raises(NoDataKey):
        unseal(sealed, **PLACE)


def test_the_data_key_is_asked_for_once_a_minute(db, django_assert_num_queries):
    sealed = seal("sk-canary", **PLACE)
    with django_assert_num_queries(1):
        assert [unseal(sealed, **PLACE) for _ in range(3)] == ["sk-canary"] * 3


def test_a_key_of_a_rolled_back_transaction_seals_nothing(db):
    """The key that a failed transaction made must not live on in the process: what it sealed could never be
    opened.
    """
    DataKey.objects.all().delete()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        unseal(seal("lost", **PLACE), **PLACE)
        raise ZeroDivisionError
    sealed = seal("sk-canary", **PLACE)
    assert unseal(sealed, **PLACE) == "sk-canary"
    sealing.forget_data_keys()
    assert unseal(sealed, **PLACE) == "sk-canary"


def test_the_cache_of_keys_is_bounded(db, monkeypatch):
    monkeypatch.setattr("tenants.sealing.keys.MAX_CACHED", 1)
    for slug in ("acme", "globex", "acme"):
        with tenant(slug):
            sealed = seal("x", **PLACE)
            assert unseal(sealed, **PLACE) == "x"
    assert len(sealing.keys._cache._entries) == 1


def test_a_new_master_key_takes_over_without_losing_a_secret(db, settings):
    sealed = seal("sk-canary", **PLACE)
    old, new = settings.MASTER_KEYS, Fernet.generate_key().decode()
    settings.MASTER_KEYS = [new, *old]
    assert sealing.rewrap_data_keys() >= 3
    assert sealing.rewrap_data_keys() >= 3  # safe to run again
    settings.MASTER_KEYS = [new]
    assert unseal(sealed, **PLACE) == "sk-canary"
    settings.MASTER_KEYS = old
    sealing.forget_data_keys()
    with pytest.raises(NoDataKey):
        unseal(sealed, **PLACE)


@pytest.mark.parametrize("status", Tenant.UNREADY)
def test_the_key_of_a_tenant_whose_set_up_stopped_is_wrapped_too(db, settings, status):
    sealed = seal("sk-canary", **PLACE)
    with platform():
        Tenant.objects.filter(slug="acme").update(status=status)
    settings.MASTER_KEYS = [Fernet.generate_key().decode(), *settings.MASTER_KEYS]
    sealing.rewrap_data_keys()
    settings.MASTER_KEYS = settings.MASTER_KEYS[:1]
    assert unseal(sealed, **PLACE) == "sk-canary"


def test_a_tenant_without_a_schema_needs_no_old_master_key(settings, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        with platform(), transaction.atomic():
            insert_tenant("ghost", "Ghost", "ghost.localhost", "standard", "en", "EUR")
        try:
            assert sealing.rewrap_data_keys() >= 3
        finally:
            with platform():
                Tenant.objects.filter(slug="ghost").delete()


def test_a_rotation_that_leaves_a_schema_behind_says_so_and_does_the_others(db, settings):
    sealed = seal("sk-canary", **PLACE)
    with tenant("globex"):
        DataKey.objects.update(wrapped=Fernet(Fernet.generate_key()).encrypt(b"x" * 32))
    settings.MASTER_KEYS = [Fernet.generate_key().decode(), *settings.MASTER_KEYS]
    with pytest.raises(NoDataKey, match="globex"):
        sealing.rewrap_data_keys()
    settings.MASTER_KEYS = settings.MASTER_KEYS[:1]
    assert unseal(sealed, **PLACE) == "sk-canary"


def test_the_stored_key_is_wrapped(db):
    key_for_opening()
    assert bytes(DataKey.objects.get().wrapped).startswith(b"gAAAA")  # a Fernet token, not 32 bare bytes


# -- the field -----------------------------------------------------------------------------------------------


def stored_text(row: Connection) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM models_registry_connection WHERE id = %s", [row.pk])
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    "given", ["sk-canary-1234567890", Secret("sk-canary-1234567890"), "v1:looks-sealed-but-is-not"]
)
def test_a_field_is_sealed_on_save_and_opened_on_request(db, given):
    row = make_connection(secret=given)
    row.full_clean()
    row.save()
    plain = given.reveal() if isinstance(given, Secret) else given
    assert plain not in stored_text(row)
    row = Connection.objects.get(pk=row.pk)
    assert isinstance(row.secret, SealedText) and "canary" not in f"{row.secret}{row.secret!r}"
    assert open_field(row, "secret").reveal() == plain
    before = stored_text(row)
    row.save()
    assert stored_text(row) == before


def test_an_empty_field_holds_nothing(db):
    row = make_connection(secret="")
    row.save()
    row.refresh_from_db()
    assert stored_text(row) == "" and not row.secret and open_field(row, "secret") is None


def test_a_ciphertext_copied_to_another_row_stays_closed(db):
    first, second = make_connection(), make_connection(name="B")
    Connection.objects.bulk_create([first, second])
    Connection.objects.filter(pk=second.pk).update(secret=Connection.objects.get(pk=first.pk).secret)
    assert open_field(Connection.objects.get(pk=first.pk), "secret")
    with pytest.raises(BrokenSeal):
        open_field(Connection.objects.get(pk=second.pk), "secret")


def test_ways_that_cannot_seal_are_refused(db):
    row = make_connection()
    row.save()
    with pytest.raises(TypeError, match="sealed"), transaction.atomic():
        Connection.objects.update(secret="sk-plain")
    row.secret = Secret("sk-plain")
    with pytest.raises(TypeError, match="sealed"), transaction.atomic():
        Connection.objects.bulk_update([row], ["secret"])
    for look in ("secret__startswith", "secret__contains", "secret__regex", "secret__gt", "secret__length"):
        with pytest.raises(FieldError):
            Connection.objects.filter(**{look: "v"}).exists()
    with pytest.raises(TypeError, match="sealed"):
        Connection.objects.filter(secret="sk-plain").exists()
    assert Connection.objects.exclude(secret="").count() == 1


def test_forms_and_serialisers_see_nothing(db):
    row = make_connection()
    row.save()
    row.refresh_from_db()
    form_class = modelform_factory(Connection, fields=["name", "secret"])
    shown = form_class(instance=row).as_p() + str(
        form_class(data={"name": "", "secret": "sk-typed-canary"}).as_p()
    )
    texts = [
        shown,
        str(model_to_dict(row)),
        serializers.serialize("json", [row]),
        str(list(Connection.objects.values("secret"))),
        repr(vars(row)),
    ]
    assert not any("v1:" in text or "canary" in text for text in texts)


def test_a_form_left_empty_keeps_the_secret_and_a_new_one_replaces_it(db):
    row = make_connection()
    row.save()
    form_class = modelform_factory(Connection, fields=["name", "secret"])
    for typed, expected in (("", "sk-canary-1234567890"), ("sk-new", "sk-new")):
        form = form_class(data={"name": "A", "secret": typed}, instance=Connection.objects.get(pk=row.pk))
        assert form.is_valid(), form.errors
        form.save()
        assert open_field(Connection.objects.get(pk=row.pk), "secret").reveal() == expected


# -- the log filter ------------------------------------------------------------------------------------------


def log_line(message: str, *arguments, **options) -> str:
    record = logging.LogRecord("test", logging.INFO, __file__, 1, message, arguments, options.get("exc_info"))
    assert SecretFilter().filter(record)
    return logging.Formatter("%(message)s").format(record)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("key atr_acme_a1B2c3D4_canaryCANARYcanaryCANARYcanaryCANARY0123456", ()),
        ("key %s", ("atr_my-tenant_a1B2c3D4_canary-CANARY_canaryCANARYcanaryCANARY01",)),
        ("openai says: Incorrect API key provided: sk-proj-canary1234567890", ()),
        ("headers %r", ({"Authorization": "Bearer canary.canary.canary"},)),
        ("headers %r", ({"x-api-key": "canary-canary"},)),
        ("authorization: bearer canarycanary", ()),
        ("api_key=canarycanary&x=1", ()),
        ("connecting to postgresql://user:canarypassword@host/db", ()),
    ],
)
def test_the_log_filter_masks_what_looks_like_a_key(message, arguments):
    line = log_line(message, *arguments)
    assert "canary" not in line.lower() and "••••" in line


def test_the_log_filter_masks_tracebacks_and_leaves_the_rest():
    try:
        raise ValueError("sk-canary1234567890")
    except ValueError as exc:
        line = log_line("failed", exc_info=(type(exc), exc, exc.__traceback__))
    assert "ValueError" in line and "canary" not in line
    for harmless in (
        "Bearer of news",
        "tenant acme: 3 models",
        "key atr_acme_a1B2c3D4",
        "http://localhost:8000/v1",
        "task-force",
    ):
        assert log_line(harmless) == harmless
    assert log_line("key atr_acme_a1B2c3D4_" + "x" * 43).startswith("key atr_acme_a1B2c3D4_••••")
