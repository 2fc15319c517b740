"""Whose tokens and cost an answer shows: its own. The conversation has those of all attempts."""

import re
from decimal import Decimal

import pytest
from django.utils.html import strip_tags

from foundation.amounts import GAP
from prompts.models import Conversation, Message
from prompts.services import answer_again, continue_answer, finish_answer
from tests.prompts.chats import make_conversation
from tests.prompts.turns import Status, a_bill, ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def answered(alice, process_id) -> Message:
    """An answer of 10 and 5 tokens, for 0.00002 EUR."""
    _question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer))
    answer.refresh_from_db()
    return answer


def again(answer: Message, process_id) -> Message:
    return answer_again(message=answer, model_name="other", process_id=process_id)


def figures(answer: Message) -> tuple:
    answer.refresh_from_db()
    return answer.input_tokens, answer.output_tokens, answer.cost, answer.currency, answer.is_estimated


def sums(answer: Message) -> tuple:
    conversation = Conversation.objects.get(pk=answer.conversation_id)
    return conversation.total_tokens, conversation.total_cost


def test_an_answer_of_another_model_shows_its_own_figures(answered, process_id):
    other = again(answered, process_id)
    result = a_bill(other, input_tokens=3, output_tokens=2, cost=Decimal("0.5"), is_estimated=True)
    finish_answer(message_id=other.pk, result=result)
    assert figures(other) == (3, 2, Decimal("0.5"), "EUR", True)
    assert figures(answered) == (10, 5, Decimal("0.00002"), "EUR", False)
    assert sums(answered) == (20, Decimal("0.50002"))


@pytest.mark.parametrize("status", [Status.FAILED, Status.STOPPED])
def test_an_attempt_without_text_shows_what_it_cost(answered, process_id, status):
    before = figures(answered)
    attempt = again(answered, process_id)
    result = a_bill(attempt, status, text="", input_tokens=100, cost=Decimal(1), is_estimated=True)
    for _time in range(2):
        finish_answer(message_id=attempt.pk, result=result)
    assert figures(answered) == before and figures(attempt)[:3] == (100, 5, 1)
    assert sums(answered) == (120, Decimal("1.00002"))


def test_who_continues_an_answer_is_not_the_conversations_model(alice, process_id):
    """Another one may only have stood in for that."""
    _question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, Status.STOPPED))
    continue_answer(message=answer, model_name="other", process_id=process_id)
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
