"""Whose tokens and cost an answer shows: its own. The conversation has those of all attempts."""

import re
from decimal import Decimal

import pytest
from django.utils.html import strip_tags

from foundation.amounts import GAP
from prompts.models import Conversation, Message
from prompts.services import conclude_if_orphaned, finish_answer, restart_answer
from tests.prompts.chats import make_conversation, make_process
from tests.prompts.turns import Status, a_bill, ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def answered(alice, process_id) -> Message:
    """An answer of 10 and 5 tokens, for 0.00002 EUR."""
    _question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer))
    answer.refresh_from_db()
    return answer


def again(answer: Message, process_id, *, keep_text: bool = False) -> Message:
    return restart_answer(message=answer, model_name="other", process_id=process_id, keep_text=keep_text)


def figures(answer: Message) -> tuple:
    answer.refresh_from_db()
    return answer.input_tokens, answer.output_tokens, answer.cost, answer.currency, answer.is_estimated


def sums(answer: Message) -> tuple:
    conversation = Conversation.objects.get(pk=answer.conversation_id)
    return conversation.total_tokens, conversation.total_cost


def test_an_answer_of_another_model_shows_its_own_figures(answered, process_id):
    again(answered, process_id)
    assert figures(answered) == (0, 0, 0, "", False)
    result = a_bill(answered, input_tokens=3, output_tokens=2, cost=Decimal("0.5"), is_estimated=True)
    finish_answer(message_id=answered.pk, result=result)
    assert figures(answered) == (3, 2, Decimal("0.5"), "EUR", True)
    assert sums(answered) == (20, Decimal("0.50002"))


@pytest.mark.parametrize("status", [Status.FAILED, Status.STOPPED])
def test_an_answer_that_comes_back_has_its_own_figures_again(answered, process_id, status):
    before = figures(answered)
    again(answered, process_id)
    result = a_bill(answered, status, text="", input_tokens=100, cost=Decimal(1), is_estimated=True)
    for _time in range(2):
        finish_answer(message_id=answered.pk, result=result)
    assert figures(answered) == before and answered.model_name == "mock"
    assert sums(answered) == (120, Decimal("1.00002"))


def test_an_answer_that_was_never_given_leaves_no_figures(alice, process_id):
    """A model that only thought was paid for; what the next one says is not dearer for it."""
    _question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, text=""))
    again(answer, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, output_tokens=1))
    assert figures(answer)[:2] == (10, 1) and sums(answer)[0] == 26


@pytest.fixture
def given_up(answered) -> Message:
    """A second attempt without text, whose process is gone and whose bill is still to come."""
    again(answered, make_process(is_alive=False))
    Message.objects.filter(pk=answered.pk).update(updated_at=answered.created_at.replace(year=2000))
    answered.refresh_from_db()
    assert conclude_if_orphaned(answered).text == "An account book."
    Message.objects.filter(pk=answered.pk).update(is_billed=False)
    return answered


def test_a_late_bill_of_an_attempt_without_text_is_the_conversations_alone(given_up):
    finish_answer(
        message_id=given_up.pk, result=a_bill(given_up, Status.INTERRUPTED, text="", input_tokens=7)
    )
    assert figures(given_up)[:2] == (10, 5) and sums(given_up)[0] == 27


def test_a_process_that_was_taken_for_dead_shows_its_own_figures(given_up):
    finish_answer(message_id=given_up.pk, result=a_bill(given_up, text="Late, but here.", input_tokens=7))
    assert figures(given_up)[:2] == (7, 5) and given_up.text == "Late, but here."


def test_who_continues_an_answer_is_not_the_conversations_model(alice, process_id):
    """Another one may only have stood in for that."""
    _question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, Status.STOPPED))
    again(answer, process_id, keep_text=True)
    assert Conversation.objects.get(pk=answer.conversation_id).model_name == "mock"


def test_a_conversation_without_a_call_has_no_cost(acme, alice, answered):
    """An amount without a currency is none."""
    acme.login_as(alice)
    without = make_conversation(alice)
    cost = f'title="0.00002{GAP}€"'
    assert cost in acme.get(f"/c/{answered.conversation_id}/").text
    figures = acme.get(f"/c/{without.pk}/").text.split('id="chat-figures"')[1].split("</dl>")[0]
    assert strip_tags(figures).split()[-2:] == ["Cost", "–"]
    listed = acme.get("/admin/prompts/conversation/").text
    assert cost in listed and not re.search(r"\b0\.00\b", strip_tags(listed))
