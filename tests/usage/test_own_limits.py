"""What a person sees of their limits and budgets: what is used, until when, and who can raise them."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.limit_use import count_used
from accounts.models import ApiKey
from accounts.selectors import list_own_limits
from accounts.services import create_api_key, set_limit
from foundation.ids import uuid7
from tests.prompts.visitor import text_of
from tests.usage.test_budgets import an_event
from usage.models import Hold
from usage.services import set_budget

pytestmark = pytest.mark.django_db
ASK_AN_ADMINISTRATOR = "An administrator of your organisation can raise it."


@pytest.fixture
def key(bob):
    return create_api_key(actor=bob, user=bob, name="Script")[0]


@pytest.fixture
def used(bob, alice, key):
    """Two calls in the last minute, one of them by the key; one an hour ago, one yesterday; Alice has one."""
    now = datetime.now(UTC)
    by_bob = {"user_id": bob.pk, "quantities": {"input": 10, "output": 5}}
    an_event("0", now - timedelta(seconds=20), **by_bob)
    an_event("0", now - timedelta(seconds=20), key_id=key.pk, **by_bob)
    an_event("0", now - timedelta(hours=1), **by_bob)
    an_event("0", now - timedelta(hours=25), **by_bob)
    an_event("0", now, user_id=alice.pk, quantities={"input": 1000})
    Hold.objects.create(
        pk=uuid7(), process_id=uuid7(), amount=0, created_at=now, user_id=bob.pk, model="demo"
    )


def limit(subject, measure: str, amount: int, level: str = "user"):
    return set_limit(actor=None, level=level, subject_id=subject.pk, measure=measure, amount=amount)


def section(client, heading: str) -> list[str]:
    html = client.get("/usage/").content.decode()
    for part in re.findall(r'(?s)<section class="section">.*?</section>', html):
        if heading in part:
            return [text_of(row) for row in re.findall(r"(?s)<li>(.*?)</li>", part)]
    return []


def test_each_limit_counts_its_own_span_and_subject(bob, key, used):
    wanted = {
        limit(bob, "requests_per_minute", 9).pk: 3,  # with the one under way
        limit(bob, "tokens_per_minute", 9).pk: 30,
        limit(bob, "tokens_per_day", 9).pk: 45,
        limit(bob, "calls_at_once", 9).pk: 1,
        limit(key, "requests_per_minute", 9, "key").pk: 1,
        limit(key, "tokens_per_day", 9, "key").pk: 15,
        limit(key, "calls_at_once", 9, "key").pk: 0,
    }
    assert count_used(list(list_own_limits(bob))) == wanted


def test_a_keys_limit_counts_what_is_used_with_the_keys_that_it_made(bob, key, used):
    child, grandchild = (
        create_api_key(actor=bob, user=bob, name="made", within=key)[0] for _number in range(2)
    )
    ApiKey.objects.filter(pk=grandchild.pk).update(maker_ids=[key.pk, child.pk])
    for one in (child, grandchild):
        an_event("0", datetime.now(UTC), user_id=bob.pk, key_id=one.pk, quantities={"input": 100})
    limits = [limit(one, "tokens_per_day", 9, "key") for one in (key, child, grandchild)]
    assert list(count_used(limits).values()) == [215, 200, 100]
    assert count_used(limits[:1]) == {limits[0].pk: 215}, "also where nobody asks about them"


def test_nobody_elses_use_is_read_for_a_persons_limits(bob, key, used):
    """However many people an organisation has: each query brings what is of this person and this key."""
    for _number in range(20):
        an_event("0", datetime.now(UTC), user_id=uuid7(), quantities={"input": 1})
    limit(bob, "tokens_per_day", 9)
    limit(key, "tokens_per_day", 9, "key")
    with CaptureQueriesContext(connection) as queries:
        count_used(list(list_own_limits(bob)))
    reads = [query["sql"] for query in queries if re.search('FROM "usage_(usageevent|hold)"', query["sql"])]
    with connection.cursor() as cursor:
        counts = [len(cursor.execute(read).fetchall()) for read in reads if "GROUP BY" in read]
    assert sorted(counts) == [1, 2]


def test_the_organisations_limit_counts_everybody_also_beside_a_persons(bob, used):
    whole = set_limit(actor=None, level="tenant", measure="tokens_per_day", amount=9)
    assert count_used([whole]) == {whole.pk: 1045}
    own = limit(bob, "tokens_per_day", 9)
    assert count_used([whole, own]) == {whole.pk: 1045, own.pk: 45}


def test_the_page_says_what_is_used_when_it_is_free_again_and_who_can_raise_it(acme, bob, used):
    limit(bob, "requests_per_minute", 1)
    limit(bob, "calls_at_once", 3)
    rows = section(acme.login_as(bob), "at a time")
    assert sorted(rows) == [
        "You, with all your keys 1 of 3 calls at once Free again when a call ends. " + ASK_AN_ADMINISTRATOR,
        "You, with all your keys 3 of 1 request per minute Free again 60 seconds after each request. "
        + ASK_AN_ADMINISTRATOR,
    ]


def test_who_may_raise_a_limit_gets_there(acme, alice):
    limit(alice, "tokens_per_day", 1_000)
    (row,) = section(acme.login_as(alice), "at a time")
    assert "0 of 1,000 tokens per day Free again 24 hours after each call." in row
    assert row.endswith("Raise it in the administration")


def test_a_budget_is_shown_before_anything_is_spent_with_who_can_raise_it(acme, alice, bob):
    for person in (alice, bob):
        set_budget(actor=None, level="user", subject_id=person.pk, limit=Decimal(40))
    rows = {person: section(acme.login_as(person), "still be spent")[0] for person in (alice, bob)}
    assert rows[bob].startswith("Your monthly budget 0 € of 40 € used, 40 € left")
    assert "month (UTC)" not in rows[bob] and "Begins anew on" in rows[bob]
    assert rows[bob].endswith(ASK_AN_ADMINISTRATOR)
    assert rows[alice].endswith("Raise it in the administration")


def test_without_limits_nothing_is_counted(acme, bob, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert count_used([]) == {}
    assert section(acme.login_as(bob), "at a time") == []
