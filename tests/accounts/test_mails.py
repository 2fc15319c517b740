"""Mails are work: none is lost, none is kept, and those that the release before ordered are sent."""

from datetime import timedelta
from uuid import uuid4

import pytest
from celery import current_app
from django.core import mail
from django.utils import timezone

from accounts.services import create_user, invite_user
from accounts.work_names import INVITATION, PASSWORD_RESET, QUEUE
from tenants.context import platform, tenant
from tenants.local.models import Work
from tenants.models import Duty
from tenants.work.claims import LONGEST_BACKOFF_S
from tenants.work.kinds import get_kind
from tenants.work.services import order
from tenants.work.tasks import HEADER
from tests.chores import do_work
from tests.taken_back import migrate, own_tenant, run_sql

IN_MEMORY = "django.core.mail.backends.locmem.EmailBackend"
RESET = {"email": "bob@acme.example", "language": "en"}


@pytest.fixture(autouse=True)
def _mails(settings):
    settings.EMAIL_BACKEND = IN_MEMORY


@pytest.mark.django_db
def test_what_was_sent_leaves_no_trace_of_who_asked(bob, alice):
    invite_user(actor=alice, user=bob)
    order(PASSWORD_RESET, arguments=RESET)
    order(PASSWORD_RESET, arguments=RESET | {"email": "nobody@acme.example"})
    assert do_work() == 3 and len(mail.outbox) == 2
    assert not Work.objects.exists()


@pytest.mark.django_db
def test_a_mail_server_that_is_away_is_asked_again_and_its_failure_told(settings, bob, monkeypatch):
    """For about an hour; then an administrator finds it among the background tasks."""

    def refuse(*_arguments, **_options):
        raise ConnectionRefusedError("bob@acme.example")

    kind = get_kind(PASSWORD_RESET)
    pauses = [min(kind.backoff_s * 2**n, LONGEST_BACKOFF_S) for n in range(kind.most_attempts - 1)]
    assert 3_600 <= sum(pauses) <= 2 * 3_600
    order(PASSWORD_RESET, arguments=RESET)
    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMultiAlternatives.send", refuse)
        patch.setattr("django.core.mail.EmailMessage.send", refuse)
        for attempt in range(1, kind.most_attempts + 1):
            Work.objects.update(due_at=timezone.now())
            assert do_work() == 1
            row = Work.objects.get()
            assert (row.attempts, row.error_code) == (attempt, "mail_not_taken")
    assert row.state == Work.State.FAILED and "bob" not in row.failure
    order(PASSWORD_RESET, arguments=RESET)
    assert do_work() == 1 and len(mail.outbox) == 1


@pytest.mark.scope(None)
def test_what_the_release_before_had_not_sent_becomes_work(django_db_setup, django_db_blocker, settings):
    with own_tenant(django_db_blocker) as slug:
        with tenant(slug):
            erin = create_user(actor=None, email=f"erin@{slug}.example", name="Erin")
        migrate(slug, "local", "0003")
        now = timezone.now()
        for task, arguments, sent_at in (
            (INVITATION, f'{{"user_id": "{erin.pk}"}}', None),
            (INVITATION, f'{{"user_id": "{erin.pk}"}}', None),  # asked for twice
            (PASSWORD_RESET, f'{{"email": "{erin.email}", "language": "de"}}', None),
            (PASSWORD_RESET, f'{{"email": "{erin.email}", "language": "en"}}', now - timedelta(days=1)),
        ):
            run_sql(
                slug,
                "INSERT INTO local_outboxmessage (id, task, arguments, queue, created_at, sent_at) "
                "VALUES (%s, %s, %s, '', %s, %s)",
                *(uuid4(), task, arguments, now, sent_at),
            )
        migrate(slug)
        with tenant(slug):
            rows = {row.kind: row for row in Work.objects.all()}
            assert set(rows) == {INVITATION, PASSWORD_RESET}
            assert rows[INVITATION].object_id == str(erin.pk) and rows[INVITATION].arguments == {}
            with platform():
                role = Duty.objects.filter(kind=f"work.{QUEUE}", role__endswith=slug.replace("-", "_"))
                assert role.count() == 1, "a worker finds them"
            assert do_work() == 2
            assert sorted(message.to for message in mail.outbox) == [[erin.email]] * 2


@pytest.mark.scope(None)
@pytest.mark.django_db
def test_messages_that_still_wait_at_the_broker_order_their_work(bob):
    for name, arguments in ((INVITATION, {"user_id": str(bob.pk)}), (PASSWORD_RESET, RESET)):
        task = current_app.tasks[name]
        task.push_request(headers={HEADER: "acme"}, task=name)
        try:
            task(**arguments)
        finally:
            task.pop_request()
    with tenant("acme"):
        found = {row.kind: (row.object_id, row.arguments) for row in Work.objects.all()}
        assert found[INVITATION] == (str(bob.pk), {}) and found[PASSWORD_RESET][1] == RESET
        assert do_work() == 2 and len(mail.outbox) == 2


@pytest.mark.django_db
def test_a_tenants_administrator_is_asked_about_no_work_of_the_platforms(acme, alice, on_platform, olga):
    label = "Setting up a tenant"
    assert label not in acme.login_as(alice).get("/admin/local/work/").content.decode()
    with platform():
        assert label in on_platform.login_as(olga).get("/admin/local/work/").content.decode()
