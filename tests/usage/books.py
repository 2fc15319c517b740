"""A tenant's books as tests see them: committed rows, read and written past the ledger, with the owner's
login.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import settings
from psycopg.rows import namedtuple_row

from foundation.ids import uuid7
from usage.ledger.bookings import TENANT_SUBJECT, CallFacts, HoldRequest, Settlement
from usage.ledger.budget_rules import period_start
from usage.ledger.ledger import Ledger
from usage.pricing import Price, Usage, cost

PRICE = Price("EUR", Decimal("0.15"), Decimal("0.075"), Decimal("0.6"), Decimal("0.6"))
USAGE = Usage(100, 20, 50, 7)
BILL = cost(PRICE, USAGE)
PROJECT, USER, KEY = uuid7(), uuid7(), uuid7()
PATIENCE_S = 30  # for what happens at once where nothing else runs
SUBJECTS = {"tenant": TENANT_SUBJECT, "project": PROJECT, "user": USER, "key": KEY}
FACTS = CallFacts(
    source="api", model="demo", endpoint="chat.completions", upstream_model="llama-3", price=PRICE
)


def a_hold(amount: str | Decimal = "0.01", **changes: Any) -> HoldRequest:
    request = {
        "request_id": uuid7(),
        "amount": Decimal(amount),
        "subjects": SUBJECTS,
        "input_tokens_estimate": 90,
        "facts": FACTS,
    }
    return HoldRequest(**request | changes)


def a_bill(request_id: UUID, **changes: Any) -> Settlement:
    bill = {"request_id": request_id, "usage": USAGE, "cost": BILL, "latency_ms": 120, "first_token_ms": 30}
    return Settlement(**bill | changes)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a state, however busy the machine is."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


class Books:
    """One tenant's ledger tables."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self.schema = slug.replace("-", "_")
        self.connection = psycopg.connect(
            os.environ["ATRIUM_OWNER_DATABASE_URL"],
            autocommit=True,
            options=f"-c search_path={self.schema},public",
        )
        self.dsn = settings.DATABASE_DSN
        self.database = settings.DATABASES["default"]["NAME"]

    def clear(self) -> None:
        for table in (
            "usage_usageevent",
            "usage_hold",
            "usage_budget",
            "usage_budgetoverrun",
            "usage_hourlysum",
            "public.tenants_duty",
        ):
            self.sql(f"DELETE FROM {table}")
        self.sql("DELETE FROM public.usage_platform_tenantsum WHERE slug = %s", self.slug)

    def sql(self, statement: str, *params: Any) -> list:
        with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            cursor.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def add_budget(
        self,
        level: str = "tenant",
        limit: str | Decimal = "1",
        period: str = "month",
        since: datetime | None = None,
        **more: Any,
    ) -> UUID:
        budget = uuid7()
        start = since or period_start(period, datetime.now(UTC))
        row = {
            "allowance": limit,
            "held": 0,
            "spent": 0,
            "managed_by": "tenant",
            "subject_id": SUBJECTS[level],
        } | more
        self.sql(
            'INSERT INTO usage_budget (id, level, subject_id, period, period_start, "limit", allowance, '
            "held, spent, currency, managed_by, warn_at_percent, "
            "created_at, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'EUR', %s, 80, now(), "
            "now())",
            budget,
            level,
            row["subject_id"],
            period,
            start,
            limit,
            row["allowance"],
            row["held"],
            row["spent"],
            row["managed_by"],
        )
        return budget

    def somebody_waits(self) -> bool:
        """Whether a connection waits for a lock."""
        return bool(self.sql("SELECT 1 FROM pg_locks WHERE NOT granted"))

    def budget(self, pk: UUID) -> Any:
        return self.sql("SELECT * FROM usage_budget WHERE id = %s", pk)[0]

    def events(self) -> list:
        return self.sql("SELECT * FROM usage_usageevent ORDER BY created_at, id")

    def holds(self) -> list:
        return self.sql("SELECT * FROM usage_hold ORDER BY created_at, id")

    def overruns(self) -> list:
        return self.sql("SELECT * FROM usage_budgetoverrun ORDER BY created_at, id")

    def add_process(self, age_s: int = 0, ended: bool = False) -> UUID:
        process = uuid4()
        self.sql(
            "INSERT INTO public.usage_platform_process (id, kind, host, started_at, heartbeat_at, ended_at) "
            "VALUES (%s, 'web', 'test', now(), now() - %s * interval '1 second', CASE WHEN %s THEN now() "
            "END)",
            process,
            age_s,
            ended,
        )
        return process

    @asynccontextmanager
    async def ledger(self, ledger_class: type[Ledger] = Ledger, **arguments: Any) -> AsyncIterator[Ledger]:
        """A running ledger of a living process."""
        ledger = ledger_class(
            self.dsn, self.database, arguments.pop("process_id", None) or self.add_process(), **arguments
        )
        await ledger.start()
        try:
            yield ledger
        finally:
            await ledger.stop()

    @contextmanager
    def locked(self, table: str = "usage_budget") -> Iterator[None]:
        """Nobody else gets at the table meanwhile."""
        with psycopg.connect(os.environ["ATRIUM_OWNER_DATABASE_URL"]) as other:
            other.execute(f'LOCK TABLE "{self.schema}".{table} IN ACCESS EXCLUSIVE MODE')
            yield
            other.rollback()

    def shoot_connections(self) -> None:
        """Kill every session of a ledger at the server, in the middle of whatever it does."""
        with psycopg.connect(self.dsn) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                "'atrium-ledger'"
            )

    def balances_match(self) -> bool:
        """Whether every budget says what holds and events say, worked out here once more."""
        for budget in self.sql("SELECT * FROM usage_budget"):
            column = {"project": "project_id", "user": "user_id", "key": "key_id"}.get(budget.level)
            mine = f"AND {column} = '{budget.subject_id}'" if column else ""
            (spent,) = self.sql(
                f"SELECT coalesce(sum(cost), 0) AS total FROM usage_usageevent WHERE booked_at >= %s {mine}",
                budget.period_start,
            )
            (held,) = self.sql(
                "SELECT coalesce(sum(amount), 0) AS total FROM usage_hold WHERE %s = ANY(budget_ids)",
                budget.id,
            )
            if (budget.spent, budget.held) != (spent.total, held.total):
                return False
        return True


@contextmanager
def new_books(count: int, django_db_blocker) -> Iterator[list[Books]]:
    """The books of new tenants, which are dropped after it."""
    from tenants.provisioning.services import create_tenant, drop_schema

    slugs = [f"books-{uuid4().hex[:8]}" for _ in range(count)]
    with django_db_blocker.unblock():
        for slug in slugs:
            create_tenant(slug=slug, host=f"{slug}.localhost")
    found = [Books(slug) for slug in slugs]
    yield found
    for each in found:
        each.clear()
        each.connection.close()
    with django_db_blocker.unblock():
        for slug in slugs:
            drop_schema(slug)


@pytest.fixture(scope="session")
def two_books(django_db_setup, django_db_blocker) -> Iterator[list[Books]]:
    """Made once for all modules of a folder: each test finds them empty."""
    with new_books(2, django_db_blocker) as found:
        yield found


@pytest.fixture
def books(two_books, django_db_blocker) -> Iterator[Books]:
    """The first tenant's books, empty, like the other's. Django's own connections commit too."""
    from django.db import connections

    for each in two_books:
        each.clear()
    with django_db_blocker.unblock():
        yield two_books[0]
        connections.close_all()


@pytest.fixture
def other_books(two_books, books) -> Books:
    return two_books[1]
