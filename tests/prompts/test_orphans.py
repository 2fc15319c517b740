"""Answers whose process is gone are marked as interrupted, with their text; those of the living are left alone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from prompts.models import Message
from prompts.services import conclude_if_orphaned, conclude_orphaned_answers
from tenants.context import platform
from tenants.ids import uuid7
from tenants.models import Duty
from tests.prompts.chats import last_answer, make_conversation, make_process, make_unfinished
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
        Process.objects.filter(pk=process_id).update(heartbeat_at=timezone.now() - LEASE - timedelta(seconds=1))
    assert conclude_if_orphaned(message).status == INTERRUPTED


def test_an_answer_that_moved_just_now_is_left_alone(alice):
    message = make_unfinished(make_conversation(alice), make_process(is_alive=False), age=timedelta(seconds=1))
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


def test_the_duty_ends_when_nothing_is_being_written(alice):
    make_unfinished(make_conversation(alice), make_process(is_alive=False))
    before = answers_due()
    for _time in range(2):
        conclude_orphaned_answers()
    assert answers_due() == before
