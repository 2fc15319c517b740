"""The figures of the catalogue are read by an index, whatever PostgreSQL thinks of the books."""

import re
from datetime import timedelta
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenants.context import tenant
from usage.models import UsageEvent
from usage.selectors import measure_models

NOT_CALLED = [f"rare-{number}" for number in range(10)]


def test_a_rare_models_calls_are_not_looked_for_among_everybodys(books, django_db_blocker):
    now = timezone.now()
    common = {"cost": 0, "booked_at": now, "first_token_ms": 300, "latency_ms": 2_000}
    with django_db_blocker.unblock(), tenant(books.slug):
        UsageEvent.objects.bulk_create(
            UsageEvent(
                model=f"busy-{min(number % 20, 2)}",
                request_id=uuid4(),
                created_at=now - timedelta(seconds=number),
                **common,
            )
            for number in range(10_000)
        )
        books.sql("ANALYZE usage_usageevent")  # three models are all there is
        with connection.cursor() as cursor, CaptureQueriesContext(connection) as asked:
            assert measure_models(["busy-2", *NOT_CALLED])["busy-2"].calls == 5
            cursor.execute(f"EXPLAIN (FORMAT JSON) {asked[0]['sql']}")
            plan = str(cursor.fetchall())
    assert re.findall("'Index Name': '(.*?)'", plan) == ["usage_event_model"], plan
