"""What the chat shows of a conversation and its messages."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.formats import date_format

from prompts.drafts import Piece
from prompts.models import Message, Part
from prompts.selectors import HISTORY_SIZE
from prompts.services import write_parts
from tests.prompts.chats import last_answer, make_conversation, make_process, make_unfinished, say
from tests.prompts.pages import HTMX, url
from tests.prompts.visitor import text_of

pytestmark = pytest.mark.django_db


def test_a_conversation_shows_its_messages_and_its_figures(as_bob, bob):
    conversation = make_conversation(bob, "Ledgers & <books>")
    say(last_answer(conversation), "**bold** <b>raw</b>")
    Message.objects.filter(pk=last_answer(conversation).pk).update(
        input_tokens=1200, output_tokens=34, cost="0.002", currency="EUR"
    )
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert "Ledgers &amp; &lt;books&gt;" in html and "<books>" not in html
    assert "<strong>bold</strong> &lt;b&gt;raw&lt;/b&gt;" in html
    assert "1,234" in html and 'data-cost="0.002\N{NO-BREAK SPACE}€"' in html
    assert '<span class="figure">0.2\N{NO-BREAK SPACE}ct</span>' in html


def test_earlier_messages_come_as_a_fragment(as_bob, bob):
    conversation = make_conversation(bob, turns=HISTORY_SIZE // 2 + 3)
    page = as_bob.get(url("conversation-detail", conversation.pk))
    before = f"?before={page.context['earlier_before']}"
    assert before == f"?before={conversation.messages.get(position=7).pk}"
    fragment = as_bob.get(url("conversation-detail", conversation.pk, query=before), headers=HTMX)
    assert fragment.content.decode().count("<article") == 6 and b"<html" not in fragment.content
    without_scripts = as_bob.get(url("conversation-detail", conversation.pk, query=before))
    assert without_scripts.content.decode().count("<article") == 6


def test_every_question_can_be_edited(as_bob, bob):
    conversation = make_conversation(bob, turns=3)
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert re.findall(r'data-edit="([^"]*)"', html) == [
        url("message-edit", conversation.messages.get(position=position).pk) for position in (1, 3, 5)
    ]
    assert (
        html.count('id="edit-template"') == 1 and b"edit-template" in as_bob.get(url("chat-home")).content
    ), "a new chat becomes a conversation without a new page"


def test_an_answer_to_what_the_question_was_before_says_so(as_bob, bob):
    conversation = make_conversation(bob)
    Message.objects.filter(pk=last_answer(conversation).pk).update(notice="of_earlier_question not_replaced")
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert "No answer to the changed question came." in html and "this is still the earlier one" not in html


@pytest.mark.parametrize(
    ("duration_ms", "words"),
    [
        (3, "Thought for 1 second"),
        (12_400, "Thought for 12 seconds"),
        (119_400, "Thought for 119 seconds"),
        (200_000, "Thought for 3 minutes"),
        (None, "Thoughts"),
    ],
)
def test_what_was_thought_is_folded_with_its_duration(as_bob, bob, duration_ms, words):
    conversation = make_conversation(bob)
    pieces = [Piece(Part.Kind.REASONING, "<b>Hm</b>\n\nso.", duration_ms), Piece(Part.Kind.TEXT, "A book.")]
    write_parts(conversation.leaf_id, pieces)
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    (folded,) = re.findall(r'(?s)<details class="reasoning">(.*?)</details>', html)
    assert text_of(re.findall(r"(?s)<summary>(.*?)</summary>", folded)[0]) == words
    assert "&lt;b&gt;Hm&lt;/b&gt;\n\nso." in folded and "A book." not in folded
    copied = as_bob.get(url("message-markdown", conversation.leaf_id))
    assert copied.content.decode() == "A book."


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
