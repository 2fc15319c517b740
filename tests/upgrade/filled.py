"""A filled installation, and what must still be true of it after an upgrade.

`fill` runs in the release whose data are to be kept; it makes two tenants with one of everything
(`tests.estate`), through the services of that release. `check` runs in each later one. What a later release
takes away on purpose stands in `GONE`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from django.db import connections
from django.test import Client

from tenants.context import Scope, owner, platform, tenant, use_scope

PASSWORD = "correct horse battery staple"
ALICE, STRAY = "alice@acme.example", "eve@evil.example"
# rows that a migration deletes on purpose: table → how many of each filled tenant's
GONE = {"account_emailaddress": 1}
PAGES = (
    "/",
    "/profile/",
    "/keys/",
    "/usage/",
    "/admin/",
    "/admin/accounts/user/",
    "/admin/accounts/limit/",
    "/admin/usage/budget/",
)
LISTS = ("api-keys", "budgets", "connections", "conversations", "models", "usage/events")


def fill() -> dict[str, str]:
    """Two tenants with their people and one of everything; gives the facts that `check` needs."""
    from allauth.account.models import EmailAddress

    from accounts.services import create_user
    from tenants.provisioning.services import create_tenant
    from tests.estate import make_estate, make_event, make_people, make_platform_estate

    with platform():
        olga = create_user(
            actor=None, email="olga@atrium.example", name="Olga", password=PASSWORD, is_operator=True
        )
    facts = {}
    for slug, name in {"acme": "alice", "globex": "charlie"}.items():
        create_tenant(slug=slug, name=slug.capitalize(), host=f"{slug}.localhost", plan="unlimited")
        with tenant(slug):
            person = create_user(
                actor=None,
                email=f"{name}@{slug}.example",
                name=name.capitalize(),
                password=PASSWORD,
                roles=["owner"],
            )
            make_people(slug)
            estate = make_estate(person, canary=f"{slug} of old")
            for cost in ("0.000000000001", "12345.678901234567"):
                make_event(person, cost=Decimal(cost), key_id=estate.key.pk, project_id=estate.project.pk)
            EmailAddress.objects.create(user=person, email=STRAY, verified=True, primary=False)
            facts[slug] = estate.key_text
    make_platform_estate(olga)
    return facts


def count_rows() -> dict[tuple[str, str], int]:
    """(schema, table) → rows, of every table but the list of migrations."""
    with owner(), connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE tableowner = 'atrium_owner' "
            "AND tablename <> 'django_migrations'"
        )
        tables = cursor.fetchall()
        counted = {}
        for schema, table in tables:
            cursor.execute(f'SELECT count(*) FROM "{schema}"."{table}"')
            counted[schema, table] = cursor.fetchone()[0]
        return counted


def read_old_figures(facts: dict[str, str]) -> dict[str, tuple[list, list]]:
    """Slug → what a release with four columns of tokens and of prices says was used and is charged; nothing
    where the dump is of a later one.
    """
    figures = {}
    with owner(), connections["owner"].cursor() as cursor:
        for slug in facts:
            cursor.execute(
                "SELECT count(*) FROM information_schema.columns WHERE table_schema = %s AND "
                "table_name = 'usage_usageevent' AND column_name = 'quantities'",
                [slug],
            )
            if cursor.fetchone()[0]:
                continue
            cursor.execute(
                "SELECT model, sum(input_tokens), sum(cached_tokens), sum(output_tokens), "
                f'sum(reasoning_tokens), sum(cost) FROM "{slug}".usage_usageevent GROUP BY 1 ORDER BY 1'
            )
            used = cursor.fetchall()
            cursor.execute(
                f'SELECT id, input, cached, output, reasoning FROM "{slug}".models_registry_modelprice'
            )
            figures[slug] = used, cursor.fetchall()
    return figures


def check_figures(figures: dict[str, tuple[list, list]], fail: Callable[[str], None]) -> None:
    """The reports and prices of the running release say the same."""
    from models_registry.models import ModelPrice
    from usage.pricing import TOKEN_CLASSES
    from usage.selectors import list_usage

    for slug, (used, prices) in figures.items():
        with tenant(slug):
            rows = list_usage(by="model", since=datetime(2000, 1, 1, tzinfo=UTC), until=datetime.now(UTC))
            told = sorted((row.key, *row.four_counts.values(), row.cost) for row in rows)
            if told != used:
                fail(f"{slug}: {used} was used, and the report says {told}.")
            found = {row.pk: row.as_price().amounts for row in ModelPrice.objects.all()}
        for pk, *amounts in prices:
            if [found[pk].get(name) for name in TOKEN_CLASSES] != amounts:
                fail(f"{slug}: the price {pk} was {amounts}, and is {found[pk]}.")


def check(facts: dict[str, str], before: dict[tuple[str, str], int], fail: Callable[[str], None]) -> None:
    """Calls `fail` with a sentence for each thing that the upgrade broke."""
    now = count_rows()
    for place, rows in before.items():
        left = now.get(place, 0)
        expected = rows - (GONE.get(place[1], 0) if place[0] in facts else 0)
        if left < expected:
            fail(f"{'.'.join(place)} has {left} rows, and {rows} before; {expected} are to stay.")
    _check_schemas(before, fail)
    _check_plans(fail)
    for slug, key in facts.items():
        _check_rows(slug, fail)
        _check_pages(slug, key, fail)


def _check_schemas(before: dict[tuple[str, str], int], fail: Callable[[str], None]) -> None:
    from tenants.database.schemas import list_schemas_behind

    with owner():
        for schema in list_schemas_behind({schema for schema, _table in before}):
            fail(f"The schema {schema} lacks migrations of this release.")


def _check_plans(fail: Callable[[str], None]) -> None:
    from tenants.models import Plan

    with platform():
        limits = {plan.name: plan.requests_per_minute for plan in Plan.objects.all()}
    if (limits.get("standard"), limits.get("unlimited")) != (1_000, None):
        fail(f"The plans' limits are {limits}.")


def _check_rows(slug: str, fail: Callable[[str], None]) -> None:
    from allauth.account.models import EmailAddress

    from accounts.models import User
    from models_registry.models import Connection
    from prompts.branches import list_branch
    from prompts.models import Conversation
    from tenants.sealing import open_field
    from usage.models import UsageEvent

    with tenant(slug):
        conversation = Conversation.objects.get()
        said = [(message.role, message.text) for message in list_branch(conversation.leaf_id)]
        if said != [(role, f"Text {slug} of old") for role in ("user", "assistant")]:
            fail(f"{slug}: the conversation reads {said}.")
        if EmailAddress.objects.filter(email=STRAY).exists():
            fail(f"{slug}: an address that a person had added by hand is still there.")
        person = User.objects.get(name={"acme": "Alice", "globex": "Charlie"}[slug])
        if not person.check_password(PASSWORD):
            fail(f"{slug}: the password of {person.email} is not theirs any more.")
        costs = {str(event.cost.normalize()) for event in UsageEvent.objects.all()}
        if not {"1E-12", "12345.678901234567", "0.5"} <= costs:
            fail(f"{slug}: the bills are {sorted(costs)}.")
        connection = Connection.objects.get(name__contains="of old")
        if open_field(connection, "secret").reveal() != f"sk-{slug}ofold":
            fail(f"{slug}: the sealed secret of “{connection.name}” opens to something else.")


def _check_pages(slug: str, key: str, fail: Callable[[str], None]) -> None:
    from accounts.models import User
    from prompts.models import Conversation

    with use_scope(Scope("tenant", slug)):
        person = User.objects.get(name={"acme": "Alice", "globex": "Charlie"}[slug])
        conversation = Conversation.objects.get()
        client = Client(headers={"host": f"{slug}.localhost"})
        client.force_login(person)
    for path in (*PAGES, f"/c/{conversation.pk}/"):
        answer = client.get(path, follow=True)
        if answer.status_code != 200:
            fail(f"{slug}: {path} answers {answer.status_code}.")
    if f"Text {slug} of old" not in answer.content.decode():
        fail(f"{slug}: the conversation does not show what was said in it.")
    for name in LISTS:
        answer = client.get(f"/api/v1/{name}/", headers={"authorization": f"Bearer {key}"})
        if answer.status_code != 200 or not answer.json()["results"]:
            fail(f"{slug}: /api/v1/{name}/ answers {answer.status_code}, {answer.content[:200]!r}.")
