"""Answers whose process is gone are marked as interrupted, with their text; those of the living are left
alone.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from foundation.ids import uuid7
from prompts.models import Message
from prompts.services import (
    AnswerResult,
    answer_again,
    conclude_if_orphaned,
    conclude_orphaned_answers,
    finish_answer,
    start_turn,
)
from tenants.context import platform
from tenants.models import Duty
from tests.prompts.chats import last_answer, make_conversation, make_process, make_unfinished, say
from tests.prompts.turns import said
from usage.models import Hold, UsageEvent
from usage.platform.models import LEASE, Process

pytestmark = pytest.mark.django_db
INTERRUPTED, STREAMING = Message.Status.INTERRUPTED, Message.Status.STREAMING


def answers_due() -> int:
    with platform():
        return Duty.objects.filter(kind="answers", due_at__gt=timezone.now()).count()


@pytest.mark.parametrize("is_alive", [True, False])
def test_an_answer_is_interrupted_when_its_process_has_ended(alice, is_alive):
    message = make_unfinished(make_conversation(alice), make_process(is_alive=is_alive))
    for _time in range(2):
        message = conclude_if_orphaned(message)
    assert (message.status, message.text) == (STREAMING if is_alive else INTERRUPTED, "as far as it came")
    assert Message.objects.get(pk=message.pk).status == message.status


@pytest.mark.parametrize("process_id", [None, uuid7()])
def test_an_answer_of_no_known_process_is_interrupted(alice, process_id):
    assert conclude_if_orphaned(make_unfinished(make_conversation(alice), process_id)).status == INTERRUPTED


def test_a_process_without_heartbeat_is_dead_after_its_lease(alice):
    process_id = make_process()
    message = make_unfinished(make_conversation(alice), process_id)
    with platform():
        Process.objects.filter(pk=process_id).update(
            heartbeat_at=timezone.now() - LEASE - timedelta(seconds=1)
        )
    assert conclude_if_orphaned(message).status == INTERRUPTED


def test_an_answer_that_moved_just_now_is_left_alone(alice):
    message = make_unfinished(
        make_conversation(alice), make_process(is_alive=False), age=timedelta(seconds=1)
    )
    assert conclude_if_orphaned(message).status == STREAMING


def test_a_finished_answer_stays_finished(alice):
    assert conclude_if_orphaned(last_answer(make_conversation(alice))).status == Message.Status.DONE


def test_the_duty_concludes_what_the_dead_left_and_comes_again_for_the_living(alice):
    left = make_unfinished(make_conversation(alice), make_process(is_alive=False))
    living = make_unfinished(make_conversation(alice), make_process())
    before = answers_due()
    conclude_orphaned_answers()
    left.refresh_from_db()
    living.refresh_from_db()
    assert (left.status, living.status) == (INTERRUPTED, STREAMING) and answers_due() > before


def test_the_earlier_answer_stays_when_the_process_ends_before_the_new_one(alice):
    earlier = last_answer(make_conversation(alice))
    message = answer_again(message=earlier, model_name="other", process_id=make_process(is_alive=False))
    Message.objects.filter(pk=message.pk).update(updated_at=timezone.now() - timedelta(minutes=1))
    message.refresh_from_db()
    message = conclude_if_orphaned(message)
    earlier.refresh_from_db()
    assert (message.status, message.text, earlier.status, earlier.text) == (
        INTERRUPTED,
        "",
        Message.Status.DONE,
        "text 2",
    )


# -- their bills ---------------------------------------------------------------------------------------------


def left_with_call(alice) -> Message:
    """An answer whose process has ended, while the ledger still held money for its call."""
    _question, message = start_turn(
        actor=alice, text="hello", model_name="mock", process_id=make_process(is_alive=False)
    )
    say(message, "as far as it came")
    Message.objects.filter(pk=message.pk).update(
        status=STREAMING, updated_at=timezone.now() - timedelta(minutes=1)
    )
    message.refresh_from_db()
    Hold.objects.create(
        pk=message.call_id,
        process_id=message.process_id,
        amount=1,
        created_at=timezone.now(),
        source="chat",
        user_id=alice.pk,
        model="mock",
    )
    return message


def settle(message: Message, **figures) -> None:
    """What the ledger's sweeper does."""
    Hold.objects.filter(pk=message.call_id).delete()
    if figures:
        UsageEvent.objects.create(
            request_id=message.call_id,
            status="interrupted",
            estimated=True,
            currency="EUR",
            booked_at=timezone.now(),
            created_at=timezone.now(),
            **figures,
        )


def test_an_interrupted_answer_shows_what_the_ledger_billed_for_it(alice):
    message = left_with_call(alice)
    message = conclude_if_orphaned(message)
    assert (message.status, message.is_billed, message.request_id) == (
        INTERRUPTED,
        False,
        f"req_{message.call_id.hex}",
    )
    settle(
        message, input_tokens=3, cached_tokens=1, output_tokens=40, reasoning_tokens=2, cost=Decimal("0.5")
    )
    for _time in range(2):
        message = conclude_if_orphaned(message)
        assert (
            message.input_tokens,
            message.output_tokens,
            message.cost,
            message.currency,
            message.is_estimated,
        ) == (4, 42, Decimal("0.5"), "EUR", True)
        message.conversation.refresh_from_db()
        assert (message.conversation.total_tokens, message.conversation.total_cost) == (46, Decimal("0.5"))


def test_what_was_never_sent_costs_nothing(alice):
    message = left_with_call(alice)
    settle(message)
    message = conclude_if_orphaned(message)
    assert (message.is_billed, message.cost) == (True, 0)


def test_a_writer_taken_for_dead_brings_its_text_and_is_not_billed_twice(alice):
    message = left_with_call(alice)
    settle(message, output_tokens=40, cost=Decimal("0.5"))
    conclude_if_orphaned(message)
    result = AnswerResult(
        said("the whole"),
        Message.Status.DONE,
        "mock",
        message.request_id,
        output_tokens=50,
        cost=Decimal("0.6"),
        currency="EUR",
    )
    finish_answer(message_id=message.pk, result=result)
    message.refresh_from_db()
    assert (message.status, message.text, message.output_tokens, message.cost) == (
        Message.Status.DONE,
        "the whole",
        40,
        Decimal("0.5"),
    )


def test_the_duty_comes_again_until_the_bill_is_there(alice):
    message = left_with_call(alice)
    for is_settled in (False, True):
        before = answers_due()
        if is_settled:
            settle(message, output_tokens=40, cost=Decimal("0.5"))
        conclude_orphaned_answers()
        assert (answers_due() > before) == (not is_settled)
    message.refresh_from_db()
    assert (message.status, message.output_tokens) == (INTERRUPTED, 40)


def test_the_duty_ends_when_nothing_is_being_written(alice):
    make_unfinished(make_conversation(alice), make_process(is_alive=False))
    before = answers_due()
    for _time in range(2):
        conclude_orphaned_answers()
    assert answers_due() == before
