"""The template, the clones, the roles, and upgrades that go on where they stopped."""

import re
import threading

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, connections, transaction

from accounts.models import User
from foundation.errors import AtriumError, Conflict, InvalidInput
from tenants.checks import readable_public_tables_exist_in_public_only, tables_live_in_one_world
from tenants.context import owner, platform, tenant
from tenants.database import schemas
from tenants.database.roles import grant_platform_role
from tenants.models import Domain, Tenant
from tenants.occasions import new_tenant
from tenants.provisioning.services import (
    create_tenant,
    drop_schema,
    insert_tenant,
    set_tenant_status,
    set_up_tenant,
)
from tenants.slugs import TEMPLATE_SCHEMA, schema_name

pytestmark = pytest.mark.scope(None)


def rows(statement: str, *arguments) -> list[tuple]:
    with owner(), connections["owner"].cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else []


def describe(schema: str) -> dict[str, list]:
    """Columns, constraints and indexes of a schema, without its name."""
    columns = rows(
        "SELECT table_name, column_name, data_type, is_nullable, column_default IS NULL FROM "
        "information_schema.columns WHERE table_schema = %s ORDER BY 1, 2",
        schema,
    )
    constraints = rows(
        "SELECT conrelid::regclass::text, conname, replace(pg_get_constraintdef(oid), %s, '') FROM "
        "pg_constraint"
        " WHERE connamespace = %s::regnamespace AND contype <> 'n'"
        " ORDER BY 2",
        f"{schema}.",
        schema,
    )
    indexes = rows(
        "SELECT tablename, indexname, replace(indexdef, %s, '') FROM pg_indexes WHERE schemaname = %s ORDER "
        "BY 1, 2",
        f"{schema}.",
        schema,
    )
    # a cast may be spelt anew
    indexes = [
        (table, name, re.sub(r"::(character varying|text)|[()\[\]]", "", definition))
        for table, name, definition in indexes
    ]
    return {
        "columns": columns,
        "constraints": [(name.removeprefix(f"{schema}."), *rest) for name, *rest in constraints],
        "indexes": indexes,
    }


def test_a_tenant_has_the_same_tables_as_the_template(unblocked):
    template, acme = describe(TEMPLATE_SCHEMA), describe("acme")
    for part in ("columns", "constraints", "indexes"):
        assert acme[part] == template[part] and acme[part]


def test_the_template_holds_no_people(unblocked):
    assert rows(f"SELECT count(*) FROM {TEMPLATE_SCHEMA}.accounts_user") == [(0,)]
    assert rows(f"SELECT count(*) FROM {TEMPLATE_SCHEMA}.local_datakey") == [(0,)], (
        "a cloned key would open another tenant's secrets"
    )


def test_tenant_schemas_hold_only_what_the_clone_copies(unblocked):
    """No partitions, views, triggers or functions; sequences only behind identity columns. And at most 50
    tables.
    """
    kinds = {
        kind
        for (kind,) in rows(
            "SELECT DISTINCT relkind::text FROM pg_class WHERE relnamespace = %s::regnamespace",
            TEMPLATE_SCHEMA,
        )
    }
    assert kinds <= {"r", "i", "S", "t"}
    triggers = (
        "SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = "
        "%s::regnamespace AND NOT tgisinternal"
    )
    assert rows(triggers, TEMPLATE_SCHEMA) == []
    assert rows("SELECT proname FROM pg_proc WHERE pronamespace = %s::regnamespace", TEMPLATE_SCHEMA) == []
    assert (
        rows(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relispartition",
            TEMPLATE_SCHEMA,
        )
        == []
    )
    assert rows("SELECT count(*) FROM pg_tables WHERE schemaname = %s", TEMPLATE_SCHEMA)[0][0] <= 50


def test_no_tenant_table_points_into_public(unblocked):
    found = rows(
        "SELECT conname FROM pg_constraint k JOIN pg_class target ON target.oid = confrelid WHERE "
        "k.connamespace = %s::regnamespace"
        " AND contype = 'f' AND target.relnamespace <> k.connamespace",
        "acme",
    )
    assert found == []


def test_the_app_login_owns_nothing_and_is_no_superuser(unblocked):
    login = settings.DATABASES["default"]["USER"]
    assert rows(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolinherit FROM pg_roles WHERE rolname "
        "= %s",
        login,
    ) == [(False,) * 5]
    assert rows("SELECT count(*) FROM pg_class WHERE relowner = %s::regrole", login) == [(0,)]
    assert rows(
        "SELECT count(*) FROM pg_auth_members WHERE member = %s::regrole AND inherit_option", login
    ) == [(0,)]


# of one column, with which another index of the same kind begins
TWICE = """
SELECT one.indexrelid::regclass::text FROM pg_index one
JOIN pg_index other ON other.indrelid = one.indrelid AND other.indexrelid <> one.indexrelid
  AND other.indkey[0] = one.indkey[0] AND other.indclass[0] = one.indclass[0] AND other.indpred IS NULL
JOIN pg_class t ON t.oid = one.indrelid
WHERE t.relnamespace = %s::regnamespace AND t.relname ~ '^rag_'
  AND one.indnkeyatts = 1 AND NOT one.indisunique AND one.indpred IS NULL AND one.indexprs IS NULL
"""


def test_no_index_of_knowledge_is_there_twice(unblocked):
    """Its tables are the largest, and each index is written with each row."""
    assert rows(TWICE, "acme") == []


def test_a_current_tenant_is_left_alone(unblocked):
    report = schemas.migrate_tenants(["acme", "globex"])
    assert (report.migrated, report.current, report.failed) == ([], ["acme", "globex"], {})


# the last migration of prompts, which cannot be done twice
LAST_ROW = "DELETE FROM {}.django_migrations WHERE app = 'prompts' AND name = '0010_knowledge'"
# what it makes
LAST_CHANGE = "ALTER TABLE {}.prompts_conversation DROP COLUMN collection_ids"


def test_only_a_tenant_that_is_behind_is_migrated_and_a_second_run_does_nothing(unblocked):
    create_tenant(slug="behind", host="behind.localhost")
    try:
        rows(LAST_ROW.format("behind"))
        with tenant("behind"):
            assert schemas.count_missing_migrations() > 0
        rows(LAST_CHANGE.format("behind"))
        report = schemas.migrate_tenants(["acme", "behind"])
        assert (report.migrated, report.current, report.failed) == (["behind"], ["acme"], {})
        with tenant("behind"):
            assert schemas.count_missing_migrations() == 0
    finally:
        drop_schema("behind")


def test_a_failing_tenant_does_not_hold_up_the_others(unblocked):
    for slug in ("broken", "fine"):
        create_tenant(slug=slug, host=f"{slug}.localhost")
        rows(LAST_ROW.format(slug))
    try:
        # in `broken` the column still stands in the migration's way
        rows(LAST_CHANGE.format("fine"))
        report = schemas.migrate_tenants(["broken", "fine"])
        assert report.migrated == ["fine"] and list(report.failed) == ["broken"]
    finally:
        drop_schema("broken")
        drop_schema("fine")


@pytest.mark.parametrize(
    ("slug", "host", "error"),
    [
        ("acme", "new.localhost", Conflict),
        ("new-one", "localhost", InvalidInput),
        ("new-one", "https://new.example", InvalidInput),
        ("new-one", "acme.localhost", Conflict),
        ("public", "x.localhost", InvalidInput),
        ("Up", "x.localhost", InvalidInput),
        ("a_b", "x.localhost", InvalidInput),
        ("x", "x.localhost", InvalidInput),
        ("pg-toast", "x.localhost", InvalidInput),
        ("tenant-template", "x.localhost", InvalidInput),
    ],
)
def test_a_tenant_that_cannot_be_is_refused_and_leaves_nothing(unblocked, slug, host, error):
    before = (
        rows("SELECT count(*) FROM public.tenants_tenant"),
        rows("SELECT count(*) FROM pg_namespace"),
        rows("SELECT count(*) FROM pg_roles"),
    )
    with pytest.raises(error):
        create_tenant(slug=slug, host=host)
    assert before == (
        rows("SELECT count(*) FROM public.tenants_tenant"),
        rows("SELECT count(*) FROM pg_namespace"),
        rows("SELECT count(*) FROM pg_roles"),
    )


@pytest.mark.parametrize(
    ("email", "password"), [("erin@new.example", "short"), ("no address", "correct horse battery staple")]
)
def test_an_owner_who_cannot_be_leaves_no_tenant(unblocked, email, password):
    with pytest.raises((AtriumError, ValidationError)):
        create_tenant(
            slug="ownerless", host="ownerless.localhost", owner_email=email, owner_password=password
        )
    with platform():
        assert not Tenant.objects.filter(slug="ownerless").exists()


def test_hosts_are_kept_in_one_form(unblocked):
    try:
        create_tenant(slug="tidy", host=" Tidy.Example.ORG. ")
        with platform():
            assert list(Domain.objects.filter(tenant__slug="tidy").values_list("domain", flat=True)) == [
                "tidy.example.org"
            ]
    finally:
        drop_schema("tidy")


def test_what_is_not_set_up_can_neither_be_suspended_nor_resumed(unblocked):
    with platform(), transaction.atomic():
        insert_tenant("half", "Half", "half.localhost", "standard", "en", "EUR")
    try:
        for status in (Tenant.Status.ACTIVE, Tenant.Status.SUSPENDED):
            with pytest.raises(Conflict):
                set_tenant_status(slug="half", status=status)
        assert set_up_tenant("half").status == Tenant.Status.ACTIVE
    finally:
        drop_schema("half")


def test_rights_change_in_one_step(unblocked):
    """A program that reads while an upgrade renews the rights has the old
    ones or the new ones, never none.
    """
    granted, denied, has_read, is_over = [], [], threading.Event(), threading.Event()

    def read() -> None:
        while not is_over.is_set():
            try:
                with platform():
                    granted.append(Tenant.objects.count())
            except DatabaseError as exc:
                denied.append(str(exc))
            has_read.set()
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert has_read.wait(30)
        granted.clear()
        for _number in range(40):
            with owner():
                grant_platform_role()
    finally:
        is_over.set()
        reader.join()
    assert denied == [] and len(granted) > 0


def test_if_a_room_cannot_seed_itself_the_tenant_does_not_come_to_be(unblocked, monkeypatch):
    def refuse(slug):
        raise RuntimeError("no")

    monkeypatch.setattr(new_tenant, "_functions", [*new_tenant._functions, refuse])
    with pytest.raises(RuntimeError):
        create_tenant(slug="stillborn", host="stillborn.localhost")
    with platform():
        assert not Tenant.objects.filter(slug="stillborn").exists()
    assert rows("SELECT 1 FROM pg_roles WHERE rolname LIKE %s", "%stillborn") == []


def test_names_follow_from_the_slug():
    assert schema_name("a-b-c") == "a_b_c"


def test_checks_notice_a_public_table_that_a_tenant_has_too(settings):
    settings.TENANT_READABLE_PUBLIC_TABLES = ["accounts_user", "nothing"]
    assert {error.id for error in readable_public_tables_exist_in_public_only(None)} == {
        "atrium.E001",
        "atrium.E002",
    }
    settings.SHARED_APPS = [*settings.SHARED_APPS, "prompts"]
    assert [error.id for error in tables_live_in_one_world(None)] == ["atrium.E003"]


@pytest.mark.django_db
def test_content_type_ids_are_kept_per_schema():
    """Ids drift between schemas; a cache that mixes them gives the wrong model."""
    from django.contrib.contenttypes.models import ContentType

    with tenant("acme"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE django_content_type SET model = 'gone' WHERE app_label = 'accounts' AND model = "
                "'user' RETURNING id"
            )
        ContentType.objects.clear_cache()
        moved = ContentType.objects.create(app_label="accounts", model="user").pk
        assert ContentType.objects.get_for_model(User).pk == moved
        with tenant("globex"):
            assert ContentType.objects.get_for_model(User).pk != moved
        assert ContentType.objects.get_for_model(User).pk == moved
        ContentType.objects.clear_cache()
