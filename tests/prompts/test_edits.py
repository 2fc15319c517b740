"""A question put differently: what becomes of it, of its answer, and of what was refused."""

import pytest

from foundation.errors import Conflict, InvalidInput, NotFound
from prompts.history import read_history
from prompts.models import Conversation, Message
from prompts.services import MAX_TEXT_CHARS, edit_question, finish_answer
from tests.prompts.chats import make_conversation
from tests.prompts.turns import a_bill, ask

pytestmark = pytest.mark.django_db
Status = Message.Status


def edit(question, process_id, text="What is a journal?"):
    return edit_question(question=question, text=text, model_name="other", process_id=process_id)


def an_answered_question(alice, process_id) -> tuple[Message, Message]:
    question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, notice="context_trimmed"))
    return question, answer


def test_the_last_question_is_put_differently_and_asked_anew(alice, process_id):
    question, answer = an_answered_question(alice, process_id)
    newer = make_conversation(alice)
    edit(question, process_id, "  What is\r\na journal?\0 ")
    question.refresh_from_db()
    answer.refresh_from_db()
    assert (question.text, question.position, question.status) == ("What is\na journal?", 1, Status.DONE)
    assert (answer.status, answer.text, answer.model_name, answer.notice) == (Status.PENDING, "", "other", "")
    assert answer.replaced["text"] == "An account book.", "it is shown until the new one begins"
    conversation = Conversation.objects.get(pk=question.conversation_id)
    assert (conversation.title, conversation.model_name, conversation.messages.count()) == (
        "What is a ledger?",
        "other",
        2,
    )
    assert list(Conversation.objects.filter(user=alice)) == [conversation, newer]


@pytest.mark.parametrize("is_first_attempt", [True, False])
def test_a_question_is_not_edited_while_its_answer_is_being_written(alice, process_id, is_first_attempt):
    question, _answer = (
        ask(alice, process_id)
        if is_first_attempt
        else edit(an_answered_question(alice, process_id)[0], process_id, "What is a ledger?")
    )
    with pytest.raises(Conflict) as caught:
        edit(question, process_id)
    question.refresh_from_db()
    assert (caught.value.code, question.text) == ("answer_in_progress", "What is a ledger?")


@pytest.mark.parametrize("position", [1, 2, 4])
def test_only_the_last_question_is_edited(alice, process_id, position):
    conversation = make_conversation(alice, turns=2)
    with pytest.raises(Conflict) as caught:
        edit(conversation.messages.get(position=position), process_id)
    assert caught.value.code == "not_last_question"
    assert [message.text for message in conversation.messages.all()] == [
        "text 1",
        "text 2",
        "text 3",
        "text 4",
    ]


@pytest.mark.parametrize("text", ["", " \n\t ", "\0", "x" * (MAX_TEXT_CHARS + 1)])
def test_an_edited_question_needs_a_text_of_bearable_length(alice, process_id, text):
    question, answer = an_answered_question(alice, process_id)
    with pytest.raises(InvalidInput) as caught:
        edit(question, process_id, text)
    question.refresh_from_db()
    answer.refresh_from_db()
    assert (caught.value.param, question.text, answer.text) == (
        "text",
        "What is a ledger?",
        "An account book.",
    )


def test_a_question_of_a_conversation_that_was_just_deleted_is_not_found(alice, process_id):
    question, _answer = an_answered_question(alice, process_id)
    Conversation.objects.filter(pk=question.conversation_id).delete()
    with pytest.raises(NotFound):
        edit(question, process_id)


def test_an_answer_that_comes_back_says_that_it_was_given_to_another_question(alice, process_id):
    """However often the new one fails; it is not continued, and models are not told of it."""
    question, answer = an_answered_question(alice, process_id)
    for text in ("What is a journal?", "And a book?"):
        edit(question, process_id, text)
        finish_answer(message_id=answer.pk, result=a_bill(answer, Status.STOPPED, text=""))
        answer.refresh_from_db()
        assert (answer.text, set(answer.notice.split())) == (
            "An account book.",
            {"context_trimmed", "not_replaced", "of_earlier_question"},
        )
    assert len(answer.notice.split()) == 3
    Message.objects.filter(pk=answer.pk).update(status=Status.STOPPED)
    answer.refresh_from_db()
    assert not answer.can_continue
    _question, following = ask(alice, process_id, "Go on", conversation=answer.conversation)
    assert read_history(following.pk, alice.pk) == (
        [[{"role": "user", "content": text}] for text in ("And a book?", "Go on")],
        False,
    )


def test_an_edited_question_that_is_refused_for_what_it_says_does_not_stay_in_the_way(alice, process_id):
    question, answer = an_answered_question(alice, process_id)
    edit(question, process_id, "something forbidden")
    finish_answer(
        message_id=answer.pk, result=a_bill(answer, Status.FAILED, text="", error_code="content_filter")
    )
    _question, following = ask(alice, process_id, "Go on", conversation=answer.conversation)
    assert read_history(following.pk, alice.pk) == ([[{"role": "user", "content": "Go on"}]], False)


def test_an_answer_to_the_edited_question_is_an_answer_like_any_other(alice, process_id):
    question, answer = an_answered_question(alice, process_id)
    edit(question, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, text="A diary."))
    answer.refresh_from_db()
    assert (answer.text, answer.notice, answer.replaced) == ("A diary.", "", None)


def test_the_same_question_may_be_asked_again(alice, process_id):
    question, answer = an_answered_question(alice, process_id)
    edit(question, process_id, question.text)
    finish_answer(message_id=answer.pk, result=a_bill(answer, Status.FAILED, text=""))
    answer.refresh_from_db()
    assert (answer.text, answer.notice) == ("An account book.", "context_trimmed not_replaced")
