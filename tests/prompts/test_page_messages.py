"""What the chat shows of a conversation and its messages."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.formats import date_format

from prompts.models import Message
from prompts.selectors import HISTORY_SIZE
from tests.prompts.chats import last_answer, make_conversation, make_process, make_unfinished
from tests.prompts.pages import HTMX, url
from tests.prompts.visitor import text_of

pytestmark = pytest.mark.django_db


def test_a_conversation_shows_its_messages_and_its_figures(as_bob, bob):
    conversation = make_conversation(bob, "Ledgers & <books>")
    Message.objects.filter(pk=last_answer(conversation).pk).update(
        text="**bold** <b>raw</b>", input_tokens=1200, output_tokens=34, cost="0.002", currency="EUR"
    )
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert "Ledgers &amp; &lt;books&gt;" in html and "<books>" not in html
    assert "<strong>bold</strong> &lt;b&gt;raw&lt;/b&gt;" in html
    assert "1,234" in html and 'data-cost="0.002\N{NO-BREAK SPACE}€"' in html
    assert '<span class="figure">0.2\N{NO-BREAK SPACE}ct</span>' in html


def test_earlier_messages_come_as_a_fragment(as_bob, bob):
    conversation = make_conversation(bob, turns=HISTORY_SIZE // 2 + 3)
    page = as_bob.get(url("conversation-detail", conversation.pk))
    assert page.context["earlier_before"] == 7
    fragment = as_bob.get(url("conversation-detail", conversation.pk, query="?before=7"), headers=HTMX)
    assert fragment.content.decode().count("<article") == 6 and b"<html" not in fragment.content
    assert (
        as_bob.get(url("conversation-detail", conversation.pk, query="?before=7"))
        .content.decode()
        .count("<article")
        == 6
    ), "without scripts"


def test_only_the_last_question_can_be_edited(as_bob, bob):
    conversation = make_conversation(bob, turns=3)
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert re.findall(r'data-edit="([^"]*)"', html) == [
        url("message-edit", conversation.messages.get(position=5).pk)
    ]
    assert (
        html.count('id="edit-template"') == 1 and b"edit-template" in as_bob.get(url("chat-home")).content
    ), "a new chat becomes a conversation without a new page"


def test_an_answer_to_what_the_question_was_before_says_so(as_bob, bob):
    conversation = make_conversation(bob)
    Message.objects.filter(pk=last_answer(conversation).pk).update(notice="of_earlier_question not_replaced")
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert "No answer to the changed question came." in html and "this is still the earlier one" not in html


def test_looking_at_an_orphaned_answer_concludes_it(as_bob, bob):
    conversation = make_conversation(bob)
    make_unfinished(conversation, make_process(is_alive=False))
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert 'data-status="interrupted"' in html and "as far as it came" in html and "/continue/" in html


def test_a_message_of_another_day_shows_its_date(as_bob, bob):
    conversation = make_conversation(bob)
    then = timezone.now() - timedelta(days=3)
    Message.objects.filter(pk=last_answer(conversation).pk).update(created_at=then)
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    of_question, of_answer = (text_of(words) for words in re.findall(r"(?s)<time[^>]*>(.*?)</time>", html))
    assert re.fullmatch(r"\d\d:\d\d", of_question) and of_answer.endswith(
        date_format(then, "DATETIME_FORMAT")
    )
