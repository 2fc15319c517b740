"""A question put differently: it makes a branch, and what was there stays; what models read of it, and of
what was refused.
"""

import pytest

from foundation.errors import Conflict, InvalidInput, NotFound
from prompts.branches import list_branch
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


def texts_of(conversation_id) -> list[str]:
    leaf_id = Conversation.objects.get(pk=conversation_id).leaf_id
    return [message.text for message in list_branch(leaf_id)]


def test_a_question_is_put_differently_beside_the_first(alice, process_id):
    question, answer = an_answered_question(alice, process_id)
    newer = make_conversation(alice)
    other, pending = edit(question, process_id, "  What is\r\na journal?\0 ")
    assert (other.text, other.position, other.parent_id) == ("What is\na journal?", 1, None)
    assert (pending.status, pending.text, pending.model_name) == (Status.PENDING, "", "other")
    for message, text in ((question, "What is a ledger?"), (answer, "An account book.")):
        message.refresh_from_db()
        assert message.text == text
    conversation = Conversation.objects.get(pk=question.conversation_id)
    assert (conversation.title, conversation.model_name, conversation.messages.count()) == (
        "What is a ledger?",
        "other",
        4,
    )
    assert list(Conversation.objects.filter(user=alice)) == [conversation, newer]
    assert texts_of(conversation.pk) == ["What is\na journal?", ""]


@pytest.mark.parametrize("position", [1, 3, 5])
def test_any_question_makes_a_branch_of_what_came_before_it(alice, process_id, position):
    conversation = make_conversation(alice, turns=3)
    _question, answer = edit(conversation.messages.get(position=position), process_id, "Anew")
    assert texts_of(conversation.pk) == [f"text {n}" for n in range(1, position)] + ["Anew", ""]
    [*before, last], is_trimmed = read_history(answer.pk, alice.pk)
    assert not is_trimmed and last == [{"role": "user", "content": "Anew"}]
    assert [message["content"] for turn in before for message in turn] == [
        f"text {n}" for n in range(1, position)
    ]


def test_a_question_is_not_edited_while_its_answer_is_being_written(alice, process_id):
    question, _answer = ask(alice, process_id)
    with pytest.raises(Conflict) as caught:
        edit(question, process_id)
    assert (caught.value.code, Message.objects.count()) == ("answer_in_progress", 2)


def test_a_question_is_edited_while_an_answer_on_another_branch_is_being_written(alice, process_id):
    question, _answer = an_answered_question(alice, process_id)
    edit(question, process_id)
    edit(question, process_id, "And a book?")
    with pytest.raises(Conflict):
        edit(question, process_id, "And a book?")
    assert question.conversation.messages.filter(parent=None).count() == 3


def test_an_answer_is_not_edited(alice, process_id):
    _question, answer = an_answered_question(alice, process_id)
    with pytest.raises(Conflict) as caught:
        edit(answer, process_id)
    assert caught.value.code == "not_a_question"


@pytest.mark.parametrize("text", ["", " \n\t ", "\0", "x" * (MAX_TEXT_CHARS + 1)])
def test_an_edited_question_needs_a_text_of_bearable_length(alice, process_id, text):
    question, _answer = an_answered_question(alice, process_id)
    with pytest.raises(InvalidInput) as caught:
        edit(question, process_id, text)
    assert (caught.value.param, question.conversation.messages.count()) == ("text", 2)


def test_a_question_of_a_conversation_that_was_just_deleted_is_not_found(alice, process_id):
    question, _answer = an_answered_question(alice, process_id)
    Conversation.objects.get(pk=question.conversation_id).delete()
    with pytest.raises(NotFound):
        edit(question, process_id)


def test_an_edited_question_that_is_refused_for_what_it_says_does_not_stay_in_the_way(alice, process_id):
    question, _answer = an_answered_question(alice, process_id)
    _question, refused = edit(question, process_id, "something forbidden")
    finish_answer(
        message_id=refused.pk, result=a_bill(refused, Status.FAILED, text="", error_code="content_filter")
    )
    _question, following = ask(alice, process_id, "Go on", conversation=refused.conversation)
    assert read_history(following.pk, alice.pk) == ([[{"role": "user", "content": "Go on"}]], False)


def test_an_answer_of_an_earlier_release_to_what_its_question_was_is_not_read(alice, process_id):
    """It is not continued, either."""
    _question, answer = an_answered_question(alice, process_id)
    Message.objects.filter(pk=answer.pk).update(
        notice="of_earlier_question not_replaced", status=Status.STOPPED
    )
    answer.refresh_from_db()
    assert not answer.can_continue
    _question, following = ask(alice, process_id, "Go on", conversation=answer.conversation)
    assert read_history(following.pk, alice.pk) == (
        [[{"role": "user", "content": text}] for text in ("What is a ledger?", "Go on")],
        False,
    )


def test_the_same_question_may_be_asked_again(alice, process_id):
    question, _answer = an_answered_question(alice, process_id)
    other, answer = edit(question, process_id, question.text)
    finish_answer(message_id=answer.pk, result=a_bill(answer, text="A diary."))
    assert other.pk != question.pk and texts_of(question.conversation_id) == ["What is a ledger?", "A diary."]
