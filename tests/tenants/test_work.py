"""Work is ordered in a transaction, claimed once, tried again, cancelled, and fair between tenants."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from accounts.services import cancel_work, retry_work
from foundation.errors import Conflict, NotAllowed
from tenants.context import platform, tenant
from tenants.local.models import Work
from tenants.models import Duty
from tenants.work import claims, crew, kinds, tasks
from tenants.work.claims import ClaimLost, Wish, claim_next
from tenants.work.runs import Cancelled, Run, Several, carry_out
from tenants.work.selectors import find_newest_work, label_stages, list_work
from tenants.work.services import cancel, order, retry
from tenants.work.turns import list_turns, take_turn
from tests import work_kinds
from tests.routes import TENANT
from tests.work_kinds import FAIL, HOLD, NOTE, NOTE_TOGETHER, QUEUE, STEPS, count_effects, leave_effect

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget():
    work_kinds.told.clear()


def let_leases_end() -> None:
    Work.objects.filter(state=Work.State.RUNNING).update(due_at=timezone.now() - timedelta(seconds=1))


def make_due() -> None:
    """What waits for its next attempt need not wait any longer."""
    Work.objects.filter(state=Work.State.QUEUED).update(due_at=timezone.now())


def fresh(row: Work) -> Work:
    return Work.objects.get(pk=row.pk)


def test_an_order_is_done_once_and_tells_how_far_it_is():
    row = order(NOTE, "doc", arguments={"pause_s": 0})
    held = claim_next(QUEUE)
    assert fresh(row).state == Work.State.RUNNING and claim_next(QUEUE) is None
    carry_out(held)
    done = fresh(row)
    assert (done.state, done.attempts, done.failure) == (Work.State.DONE, 1, "")
    assert done.ended_at is not None and label_stages(done) == [("Usage and cost", STEPS, STEPS)]
    assert set(count_effects().values()) == {1} and len(count_effects()) == STEPS + 1
    carry_out(held)  # a second delivery
    assert set(count_effects().values()) == {1} and claim_next(QUEUE) is None


def test_a_rolled_back_order_leaves_nothing():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        order(NOTE)
        raise ZeroDivisionError
    assert not Work.objects.exists()
    with platform():
        assert not Duty.objects.filter(kind=claims.duty_of(QUEUE)).exists()


def test_an_object_has_one_active_piece_of_a_kind():
    first = order(NOTE, "doc", arguments={"version": 1})
    again = order(NOTE, "doc", arguments={"version": 2})
    assert again.pk == first.pk and fresh(first).arguments == {"version": 2}
    assert order(NOTE, "other").pk != first.pk and order(FAIL, "doc").pk != first.pk
    assert order(NOTE).pk != order(NOTE).pk


def test_what_is_ordered_while_it_runs_is_done_once_more():
    row = order(NOTE, "doc")
    held = claim_next(QUEUE)
    assert order(NOTE, "doc", arguments={"version": 2}).pk == row.pk
    claims.conclude(held)
    assert (fresh(row).state, fresh(row).attempts) == (Work.State.QUEUED, 0)
    held = claim_next(QUEUE)
    assert Run(held).arguments == {"version": 2}
    claims.conclude(held)
    assert fresh(row).state == Work.State.DONE and claim_next(QUEUE) is None


def test_a_later_time_is_waited_for():
    row = order(NOTE, at=timezone.now() + timedelta(hours=1))
    assert claim_next(QUEUE) is None and list_turns(QUEUE) == []
    assert order(NOTE, row.object_id).pk == row.pk, "ordered again for now"
    assert claim_next(QUEUE) is not None


def test_a_worker_that_died_is_followed_by_another_and_writes_nothing_any_more():
    row = order(NOTE, "doc")
    dead = claim_next(QUEUE)
    run = Run(dead)
    let_leases_end()
    living = claim_next(QUEUE)
    assert living is not None and fresh(row).attempts == 2
    with pytest.raises(ClaimLost), run.step():
        work_kinds.leave_effect(run, 0)
    with pytest.raises(ClaimLost), run.conclusion():
        work_kinds.leave_effect(run, "end")
    for write in (run.check, lambda: run.progress("steps", 1, 3), lambda: run.spend(Decimal(1))):
        with pytest.raises(ClaimLost):
            write()
    assert claims.renew_each([dead])[dead.work_id] == Wish.LOST and count_effects() == {}
    carry_out(dead)
    assert fresh(row).state == Work.State.RUNNING
    carry_out(living)
    assert fresh(row).state == Work.State.DONE and set(count_effects().values()) == {1}


def test_what_fits_is_done_together_and_what_is_odd_alone():
    rows = [
        order(NOTE_TOGETHER, str(place), arguments={"of": "a", "is_odd": place == 1}) for place in range(6)
    ]
    another = order(NOTE_TOGETHER, "another", arguments={"of": "b"})
    tried = rows.pop(2)
    Work.objects.filter(pk=tried.pk).update(attempts=1)
    held = claim_next(QUEUE)
    assert [held.work_id, *held.others] == [row.pk for row in rows[:4]], "the most that go together"
    cancel(rows[2])
    carry_out(held)
    assert [fresh(row).state for row in rows[:4]] == ["done", "queued", "cancelled", "done"]
    while held := claim_next(QUEUE):
        assert held.others == ()
        carry_out(held)
    assert {row.state for row in Work.objects.exclude(pk=rows[2].pk)} == {Work.State.DONE}
    together = {str(row.pk) for row in (rows[0], rows[3])}
    assert {work for work, step in count_effects() if step == "together"} == together
    assert fresh(another).attempts == 1 and fresh(rows[1]).attempts == fresh(tried).attempts == 2


def test_several_end_together_or_not_at_all():
    rows = [order(NOTE_TOGETHER, str(place), arguments={"of": "a"}) for place in range(3)]
    held = claim_next(QUEUE)
    several = Several(held)
    with pytest.raises(ClaimLost), several.conclusion():
        for run in several.runs:
            leave_effect(run, "end")
        Work.objects.filter(pk=rows[1].pk).update(claim=uuid4())  # another worker has taken it
    assert count_effects() == {} and {fresh(row).state for row in rows} == {Work.State.RUNNING}
    Work.objects.filter(pk=rows[1].pk).update(claim=uuid4())
    several.check()
    assert [run.work_id for run in several.runs] == [rows[0].pk, rows[2].pk]
    several.release(several.runs)
    assert [(fresh(row).state, fresh(row).attempts) for row in rows] == [
        (Work.State.QUEUED, 0),
        (Work.State.RUNNING, 1),
        (Work.State.QUEUED, 0),
    ]
    make_due()
    Work.objects.filter(pk=rows[1].pk).update(
        state=Work.State.QUEUED, claim=None, attempts=0, due_at=timezone.now()
    )
    held = claim_next(QUEUE)
    assert len(held.others) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.work_kinds.leave_effect", None)  # so that doing them together fails
        carry_out(held)
    assert {(row.state, row.attempts) for row in Work.objects.all()} == {(Work.State.QUEUED, 1)}


def test_a_sign_of_life_keeps_the_lease():
    row = order(NOTE)
    held = claim_next(QUEUE)
    let_leases_end()
    assert claims.renew_each([held])[held.work_id] == Wish.GO_ON
    assert fresh(row).due_at > timezone.now() and claim_next(QUEUE) is None
    let_leases_end()
    with Run(held).step():
        pass
    assert claim_next(QUEUE) is None


def test_what_fails_is_tried_again_later_each_time_and_then_ends_with_its_reason():
    row = order(FAIL, "doc")
    pauses = []
    for _attempt in range(5):
        make_due()
        before = timezone.now()
        carry_out(claim_next(QUEUE))
        pauses.append(round((fresh(row).due_at - before).total_seconds()))
        assert claim_next(QUEUE) is None, "it waits"
    assert pauses[:4] == [5, 10, 20, 40]
    ended = fresh(row)
    assert (ended.state, ended.error_code, ended.failure) == (
        Work.State.FAILED,
        "away",
        "The server is away.",
    )
    assert len(count_effects()) == 5 and [told.pk for told in work_kinds.told] == [row.pk]


def test_what_would_be_refused_again_is_not_tried_again():
    row = order(FAIL, "doc", arguments={"is_refused": True})
    carry_out(claim_next(QUEUE))
    ended = fresh(row)
    assert (ended.state, ended.attempts, ended.error_code) == (Work.State.FAILED, 1, "encrypted")


def test_a_second_attempt_that_works_forgets_the_reason():
    row = order(FAIL, "doc", arguments={"times": 1})
    carry_out(claim_next(QUEUE))
    assert fresh(row).failure == "The server is away."
    make_due()
    carry_out(claim_next(QUEUE))
    assert (fresh(row).state, fresh(row).failure) == (Work.State.DONE, "") and work_kinds.told == []


def test_what_is_wrong_with_us_is_told_without_details(monkeypatch):
    monkeypatch.setattr(work_kinds, "leave_effect", lambda run, step: 1 / 0)
    row = order(FAIL, "doc")
    carry_out(claim_next(QUEUE))
    assert fresh(row).error_code == "internal_error" and "division" not in fresh(row).failure
    assert fresh(row).error_words == {"id": "It failed for a reason of ours. The worker's log says more."}


def test_what_takes_its_worker_down_each_time_ends():
    row = order(work_kinds.DIE)
    for _attempt in range(2):
        assert claim_next(QUEUE) is not None
        let_leases_end()
    assert claim_next(QUEUE) is None
    assert (fresh(row).state, fresh(row).error_code) == (Work.State.FAILED, "worker_lost")


def test_a_callback_that_fails_keeps_nothing_from_ending(monkeypatch):
    def break_down(row):
        raise RuntimeError

    monkeypatch.setitem(kinds._kinds, FAIL, replace(kinds.get_kind(FAIL), on_failure=break_down))
    row = order(FAIL, "doc", arguments={"is_refused": True})
    carry_out(claim_next(QUEUE))
    assert fresh(row).state == Work.State.FAILED


def test_cancelling_what_waits_ends_it():
    row = order(FAIL)
    assert cancel(row).state == Work.State.CANCELLED and claim_next(QUEUE) is None
    assert [told.pk for told in work_kinds.told] == [row.pk]
    with pytest.raises(Conflict):
        cancel(row)


def test_cancelling_what_runs_is_seen_between_two_batches():
    row = order(NOTE)
    held = claim_next(QUEUE)
    run = Run(held)
    run.progress("steps", 0, STEPS)
    cancel(row)
    assert claims.renew_each([held])[held.work_id] == Wish.CANCEL and fresh(row).state == Work.State.RUNNING
    with pytest.raises(Cancelled):
        run.progress("steps", STEPS, STEPS)
    carry_out(held)
    assert fresh(row).state == Work.State.CANCELLED and count_effects() == {}


def test_what_was_cancelled_while_its_worker_died_is_not_taken_up_again():
    row = order(NOTE)
    claim_next(QUEUE)
    cancel(row)
    let_leases_end()
    assert claim_next(QUEUE) is None and fresh(row).state == Work.State.CANCELLED


def test_what_failed_is_tried_again_when_somebody_says_so():
    row = order(FAIL, "doc", arguments={"is_refused": True})
    with pytest.raises(Conflict):
        retry(row)
    carry_out(claim_next(QUEUE))
    retry(row)
    assert (fresh(row).state, fresh(row).attempts, fresh(row).failure) == (Work.State.QUEUED, 0, "")
    carry_out(claim_next(QUEUE))
    newer = order(FAIL, "doc")
    with pytest.raises(Conflict):
        retry(row)
    assert find_newest_work(FAIL, ["doc", "none"]) == {"doc": newer}
    assert list(list_work(FAIL, "doc")) == [newer, fresh(row)]


def test_a_worker_that_ends_gives_back_what_it_has():
    row = order(NOTE)
    claims.release(claim_next(QUEUE))
    assert (fresh(row).state, fresh(row).attempts) == (Work.State.QUEUED, 0)
    assert claim_next(QUEUE) is not None


def test_costs_add_up():
    row = order(NOTE)
    run = Run(claim_next(QUEUE))
    run.spend(Decimal("0.5"))
    run.spend(Decimal("0.000001"))
    assert fresh(row).cost == Decimal("0.500001")


def take_turns(count: int) -> list[str]:
    """Whose pieces are claimed, one after the other, as a worker with one place does it."""
    found = []
    for _round in range(count):
        turns = list_turns(QUEUE)
        if turns and (held := take_turn(turns[0])) is not None:
            found.append(held.scope.slug)
            with tenant(held.scope.slug):
                claims.conclude(held)
    return found


def test_a_long_line_of_one_tenant_keeps_nobody_waiting():
    for _number in range(300):
        order(NOTE)
    assert take_turns(5) == ["acme"] * 5
    with tenant("globex"):
        order(NOTE)
        order(NOTE)
    assert take_turns(6) in (
        ["acme", "globex", "acme", "globex", "acme", "acme"],
        ["globex", "acme", "globex", "acme", "acme", "acme"],
    )


def test_planted_bug_a_line_in_the_order_of_orders_is_noticed(monkeypatch):
    """Where whoever has waiting work keeps the place of its oldest order."""
    monkeypatch.setattr(claims, "note_duty", lambda kind, due_at: None)
    monkeypatch.setattr("tenants.work.turns.Duty.objects", _Undeletable(Duty.objects))
    with pytest.raises(AssertionError):
        test_a_long_line_of_one_tenant_keeps_nobody_waiting()


class _Undeletable:
    def __init__(self, objects):
        self._objects = objects

    def filter(self, **wanted):
        found = self._objects.filter(**wanted)
        if "pk__in" in wanted:
            found.delete = lambda: None
        return found


def test_orders_of_one_transaction_leave_one_note_and_send_one_message(
    monkeypatch, django_capture_on_commit_callbacks
):
    sent = []
    monkeypatch.setattr(tasks.wake, "apply_async", lambda **message: sent.append(message["kwargs"]))
    with django_capture_on_commit_callbacks(execute=True):
        for _number in range(20):
            order(NOTE)
        order(HOLD)
    assert sent == [{"queue": QUEUE}, {"queue": work_kinds.OTHER_QUEUE}]
    with platform():
        assert Duty.objects.filter(kind=claims.duty_of(QUEUE)).count() == 1
    for _look in range(3):
        assert take_turn(list_turns(QUEUE)[0]) is not None
        with platform():
            assert Duty.objects.filter(kind=claims.duty_of(QUEUE)).count() == 1


def test_the_message_wakes_the_queues_crew(monkeypatch):
    one = crew.Crew(QUEUE, 1)
    monkeypatch.setitem(crew._crews, QUEUE, one)
    tasks.wake.run(queue="nobody's")
    assert not one._news.is_set()
    tasks.wake.run(queue=QUEUE)
    assert one._news.is_set()


def test_what_ended_long_ago_is_forgotten():
    rows = [order(NOTE) for _number in range(3)]
    for row in rows[:2]:
        cancel(row)
    Work.objects.filter(pk=rows[0].pk).update(
        created_at=F("created_at") - timedelta(days=31), ended_at=F("ended_at") - timedelta(days=31)
    )
    Work.objects.filter(pk=rows[2].pk).update(
        created_at=F("created_at") - timedelta(days=31), due_at=timezone.now() + timedelta(hours=1)
    )
    assert claim_next(QUEUE) is None
    assert set(Work.objects.values_list("pk", flat=True)) == {rows[1].pk, rows[2].pk}


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_an_administrator_cancels_and_tries_again(acme, alice, action):
    row = order(FAIL, uuid4(), arguments={"is_refused": True})
    if action == "retry":
        carry_out(claim_next(QUEUE))
    page, address = (
        reverse(f"service:local_work_{name}", args=[row.pk], urlconf=TENANT) for name in ("change", action)
    )
    shown = acme.login_as(alice).get(page).content.decode()
    assert address in shown and ("This document is encrypted." in shown) == (action == "retry")
    acme.post(address, {"confirmed": "1"})
    assert fresh(row).state == (Work.State.CANCELLED if action == "cancel" else Work.State.QUEUED)
    assert alice.pk in set(_actors(row))


@pytest.mark.parametrize("action", [cancel_work, retry_work])
def test_who_may_not_change_tasks_neither_cancels_nor_tries_again(alice, bob, action):
    row = order(FAIL, arguments={"is_refused": True})
    if action is retry_work:
        carry_out(claim_next(QUEUE))
    before = fresh(row).state
    with pytest.raises(NotAllowed):
        action(actor=bob, row=row)
    assert fresh(row).state == before
    action(actor=alice, row=row)
    assert fresh(row).state != before


def _actors(row: Work):
    from auditlog.models import LogEntry

    return LogEntry.objects.filter(object_pk=str(row.pk)).values_list("actor_id", flat=True)
