"""Every write to conversations and messages: it works, is refused, meets a bad value, happens twice."""

from decimal import Decimal

import pytest

from accounts.selectors import get_default_project_id
from accounts.services import (
    create_project,
    delete_project,
    ensure_default_project,
    set_data_policy,
    set_project_member,
)
from foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from foundation.ids import uuid7
from prompts.drafts import Draft
from prompts.models import Conversation, Message
from prompts.services import (
    MAX_TEXT_CHARS,
    AnswerResult,
    answer_again,
    continue_answer,
    delete_conversation,
    finish_answer,
    note_call,
    rename_conversation,
    save_progress,
    start_turn,
)
from tenants.context import platform
from tenants.models import Duty
from tests.prompts.chats import last_answer, make_conversation, make_process, make_unfinished
from tests.prompts.turns import a_bill, ask, said

pytestmark = pytest.mark.django_db
Status = Message.Status


# -- start_turn ----------------------------------------------------------------------------------------------


def test_a_first_question_opens_a_conversation(alice, process_id):
    question, answer = ask(alice, process_id)
    conversation = question.conversation
    assert (conversation.user, conversation.title, conversation.model_name) == (
        alice,
        "What is a ledger?",
        "mock",
    )
    assert (question.role, question.position, question.status, question.text) == (
        "user",
        1,
        Status.DONE,
        "What is a ledger?",
    )
    assert (answer.role, answer.position, answer.status, answer.process_id) == (
        "assistant",
        2,
        Status.PENDING,
        process_id,
    )
    with platform():
        assert Duty.objects.filter(kind="answers").exists(), (
            "somebody looks after the answer if its process dies"
        )


def test_what_was_written_under_a_stricter_policy_goes_to_no_looser_project(alice, process_id):
    """The whole conversation would go along."""
    law, tax = create_project(actor=None, name="Law"), create_project(actor=None, name="Tax")
    for project in (law, tax):
        set_project_member(actor=None, project=project, user=alice, role="editor")
    set_data_policy(actor=None, project=law, data_policy="local")
    set_data_policy(actor=None, project=tax, data_policy="eu")
    question, answer = ask(alice, process_id, project_id=tax.pk)
    finish_answer(message_id=answer.pk, result=a_bill(answer))
    _question, answer = ask(alice, process_id, conversation=question.conversation, project_id=law.pk)
    finish_answer(message_id=answer.pk, result=a_bill(answer))
    for project in (tax.pk, get_default_project_id()):
        with pytest.raises(NotAllowed) as caught:
            ask(alice, process_id, conversation=question.conversation, project_id=project)
        assert caught.value.code == "data_policy"
    assert Conversation.objects.get(pk=question.conversation_id).project_id == law.pk


def test_a_further_question_moves_the_conversation_to_the_top(alice, process_id):
    old, new = make_conversation(alice, "old"), make_conversation(alice, "new")
    question, answer = ask(alice, process_id, conversation=old)
    assert (question.position, answer.position, question.conversation_id) == (3, 4, old.pk)
    assert list(Conversation.objects.filter(user=alice)) == [old, new]


def test_a_question_is_refused_while_an_answer_is_being_written(alice, process_id):
    _question, answer = ask(alice, process_id)
    with pytest.raises(Conflict) as caught:
        ask(alice, process_id, conversation=answer.conversation)
    assert caught.value.code == "answer_in_progress" and answer.conversation.messages.count() == 2


def test_the_same_question_at_the_same_place_was_sent_twice(alice, process_id):
    """A form without scripts, posted again; another question is a branch."""
    answer = last_answer(make_conversation(alice))
    ask(alice, process_id, "And?", conversation=answer.conversation, parent_id=answer.pk)
    with pytest.raises(Conflict) as caught:
        ask(alice, process_id, " And?", conversation=answer.conversation, parent_id=answer.pk)
    assert caught.value.code == "answer_in_progress"
    question, _answer = ask(alice, process_id, "But?", conversation=answer.conversation, parent_id=answer.pk)
    assert (question.parent_id, question.position) == (answer.pk, 3)


def test_a_question_follows_only_an_answer_of_its_conversation(alice, bob, process_id):
    conversation, other = make_conversation(alice), make_conversation(alice)
    wrong = [
        last_answer(other).pk,
        last_answer(make_conversation(bob)).pk,
        conversation.messages.first().pk,
        uuid7(),
        "no id",
        "\0",
    ]
    for parent_id in wrong:
        with pytest.raises(NotFound):
            ask(alice, process_id, conversation=conversation, parent_id=parent_id)
    with pytest.raises(NotFound):
        ask(alice, process_id, parent_id=last_answer(other).pk)
    assert conversation.messages.count() == other.messages.count() == 2


def test_a_question_is_taken_when_the_writers_process_is_gone(alice, process_id):
    conversation = make_conversation(alice)
    left = make_unfinished(conversation, make_process(is_alive=False))
    ask(alice, process_id, conversation=conversation)
    left.refresh_from_db()
    assert (left.status, left.text) == (Status.INTERRUPTED, "as far as it came")


def test_a_question_to_a_conversation_that_was_just_deleted_is_not_found(alice, process_id):
    conversation = make_conversation(alice)
    Conversation.objects.filter(pk=conversation.pk).delete()
    with pytest.raises(NotFound):
        ask(alice, process_id, conversation=conversation)


@pytest.mark.parametrize("text", ["", " \n\t ", "\0", "x" * (MAX_TEXT_CHARS + 1)])
def test_a_question_needs_a_text_of_bearable_length(alice, process_id, text):
    with pytest.raises(InvalidInput) as caught:
        ask(alice, process_id, text)
    assert caught.value.param == "text" and not Conversation.objects.filter(user=alice).exists()


def test_a_text_keeps_its_lines_and_loses_what_no_database_keeps(alice, process_id):
    question, _answer = ask(alice, process_id, "  one\r\ntwo\0\n\n三 ")
    assert question.text == "one\ntwo\n\n三" and question.conversation.title == "one two 三"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("word " * 40, "word " * 11 + "word…"),
        ("x" * 100, "x" * 60 + "…"),
        ("Bundes" + "y" * 80, "Bundes" + "y" * 54 + "…"),
        ("short", "short"),
    ],
)
def test_a_title_is_the_beginning_of_the_question(alice, process_id, text, title):
    assert ask(alice, process_id, text)[0].conversation.title == title


# -- answer_again and continue_answer ------------------------------------------------------------------------


def again(message, process_id) -> Message:
    return answer_again(message=message, model_name="other", process_id=process_id)


def go_on(message, process_id) -> Message:
    return continue_answer(message=message, model_name="other", process_id=process_id)


@pytest.mark.parametrize("position", [2, 4])
def test_any_answer_is_given_again_beside_the_first(alice, process_id, position):
    conversation = make_conversation(alice, turns=2)
    first = conversation.messages.get(position=position)
    message = again(first, process_id)
    message.refresh_from_db()
    assert (message.status, message.text, message.model_name, message.process_id) == (
        Status.PENDING,
        "",
        "other",
        process_id,
    )
    assert (message.parent_id, message.position) == (first.parent_id, position)
    assert Message.objects.get(pk=first.pk).text == f"text {position}"
    conversation.refresh_from_db()
    assert (conversation.model_name, conversation.leaf_id) == ("other", message.pk)


@pytest.mark.parametrize("status", [Status.STOPPED, Status.INTERRUPTED, Status.FAILED])
def test_a_broken_answer_is_continued_where_it_stopped(alice, process_id, status):
    _question, message = ask(alice, process_id)
    finish_answer(
        message_id=message.pk,
        result=a_bill(
            message, status, error_code="upstream_error", error_message="broken", notice="context_trimmed"
        ),
    )
    continued = go_on(message, process_id)
    assert continued.pk == message.pk
    assert (continued.status, continued.text, continued.error_code, continued.error_message) == (
        Status.PENDING,
        "An account book.",
        "",
        "",
    )
    assert continued.notice == ""


def test_a_complete_answer_is_not_continued(alice, process_id):
    with pytest.raises(Conflict) as caught:
        go_on(last_answer(make_conversation(alice)), process_id)
    assert caught.value.code == "answer_complete"


def test_an_answer_that_the_conversation_went_on_from_is_not_continued(alice, process_id):
    """What follows was said to the answer as it is."""
    _question, message = ask(alice, process_id)
    finish_answer(message_id=message.pk, result=a_bill(message, Status.STOPPED))
    _question, following = ask(alice, process_id, conversation=message.conversation)
    finish_answer(message_id=following.pk, result=a_bill(following))
    with pytest.raises(Conflict) as caught:
        go_on(message, process_id)
    assert caught.value.code == "not_last_answer"


@pytest.mark.parametrize("do", [again, go_on])
def test_a_question_is_not_answered(alice, process_id, do):
    conversation = make_conversation(alice, turns=2)
    with pytest.raises(Conflict) as caught:
        do(conversation.messages.get(position=3), process_id)
    assert caught.value.code in ("not_an_answer", "not_last_answer")
    assert conversation.messages.count() == 4


def test_a_question_has_one_answer_at_a_time(alice, process_id):
    first = last_answer(make_conversation(alice))
    second = again(first, process_id)
    for message in (first, second):
        with pytest.raises(Conflict) as caught:
            again(message, process_id)
        assert caught.value.code == "answer_in_progress"


@pytest.mark.parametrize(
    ("finish_reason", "is_continued"),
    [("length", True), ("stop", False), ("content_filter", False), ("", False)],
)
def test_an_answer_that_was_cut_off_at_its_greatest_length_is_continued(
    alice, process_id, finish_reason, is_continued
):
    _question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, finish_reason=finish_reason))
    answer.refresh_from_db()
    assert (answer.status, answer.finish_reason, answer.can_continue) == (
        Status.DONE,
        finish_reason,
        is_continued,
    )
    if is_continued:
        answer = go_on(answer, process_id)
        assert (answer.status, answer.text, answer.finish_reason) == (Status.PENDING, "An account book.", "")
    else:
        with pytest.raises(Conflict):
            go_on(answer, process_id)


@pytest.mark.parametrize("is_noted", [True, False])
def test_an_attempt_of_several_calls_ends_with_its_last(alice, process_id, is_noted):
    """Also if the database was away when the last one was to be noted."""
    _question, answer = ask(alice, process_id)
    first, last = answer.request_id, f"req_{uuid7().hex}"
    if is_noted:
        note_call(message_id=answer.pk, request_id=last)
    finish_answer(message_id=answer.pk, result=a_bill(answer, request_id=last, earlier_request_ids=(first,)))
    answer.refresh_from_db()
    assert (answer.status, answer.request_id, answer.output_tokens) == (Status.DONE, last, 5)


def test_the_end_of_an_earlier_attempt_changes_nothing(alice, process_id):
    _question, answer = ask(alice, process_id)
    early = a_bill(answer, Status.STOPPED)
    finish_answer(message_id=answer.pk, result=early)
    go_on(answer, process_id)
    finish_answer(message_id=answer.pk, result=early)
    answer.refresh_from_db()
    assert (answer.status, answer.output_tokens) == (Status.PENDING, 5)


# -- save_progress and finish_answer -------------------------------------------------------------------------


def test_progress_is_kept_until_the_answer_is_concluded(alice, process_id):
    _question, answer = ask(alice, process_id)
    save_progress(message_id=answer.pk, pieces=said("An acc"))
    answer.refresh_from_db()
    assert (answer.status, answer.text) == (Status.STREAMING, "An acc")
    finish_answer(message_id=answer.pk, result=a_bill(answer))
    save_progress(message_id=answer.pk, pieces=said("late"))
    answer.refresh_from_db()
    assert (answer.status, answer.text) == (Status.DONE, "An account book.")


def test_reasoning_is_kept_beside_the_text_with_its_duration(alice, process_id):
    """Each time what is not saved yet; in the end, what there is."""
    _question, answer = ask(alice, process_id)
    draft = Draft(clock=iter([10.0, 10.0, 12.5]).__next__)
    draft.add_reasoning("Hm, ")
    first, pieces = draft.unsaved()
    save_progress(message_id=answer.pk, pieces=pieces, first=first)
    draft.note_saved()
    draft.add_reasoning("so.")
    draft.add_text("An account book.")
    first, pieces = draft.unsaved()
    assert (first, len(pieces)) == (0, 2)
    save_progress(message_id=answer.pk, pieces=pieces, first=first)
    draft.note_saved()
    assert draft.unsaved()[0] == 1, "what does not grow any more is not written again"
    finish_answer(message_id=answer.pk, result=a_bill(answer, pieces=draft.pieces))
    answer.refresh_from_db()
    assert [(part.kind, part.text, part.duration_ms) for part in answer.parts.all()] == [
        ("reasoning", "Hm, so.", 2500),
        ("text", "An account book.", None),
    ]
    assert answer.text == "An account book."


def test_text_that_was_reasoning_takes_nothing_of_what_the_answer_said_before(alice, process_id):
    draft = Draft(said("One."), clock=iter([1.0, 2.0, 4.0]).__next__)
    draft.add_text(" Let me think")
    draft.take_back_text()
    draft.add_reasoning("!")
    draft.add_text(" Two.")
    assert draft.text == "One. Two."
    assert [(piece.kind, piece.text) for piece in draft.pieces] == [
        ("text", "One."),
        ("reasoning", " Let me think!"),
        ("text", " Two."),
    ]
    assert draft.pieces[1].duration_ms == 3000


def test_a_finished_answer_bears_its_bill_and_so_does_its_conversation(alice, process_id):
    _question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, is_estimated=True))
    answer.refresh_from_db()
    assert (answer.status, answer.input_tokens, answer.output_tokens, answer.cost, answer.currency) == (
        Status.DONE,
        10,
        5,
        Decimal("0.00002"),
        "EUR",
    )
    assert answer.is_estimated and answer.request_id.startswith("req_")
    conversation = answer.conversation
    assert (conversation.total_tokens, conversation.total_cost, conversation.currency) == (
        15,
        Decimal("0.00002"),
        "EUR",
    )


def test_all_attempts_at_an_answer_add_up(alice, process_id):
    _question, answer = ask(alice, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, Status.STOPPED))
    go_on(answer, process_id)
    finish_answer(message_id=answer.pk, result=a_bill(answer, output_tokens=7))
    answer.refresh_from_db()
    assert (answer.input_tokens, answer.output_tokens, answer.cost) == (20, 12, Decimal("0.00004"))
    assert Conversation.objects.get(pk=answer.conversation_id).total_tokens == 32


def test_the_same_call_is_billed_once_however_often_it_is_told(alice, process_id):
    """The writer tries again when it does not know whether its result arrived."""
    _question, answer = ask(alice, process_id)
    result = a_bill(answer)
    for _time in range(2):
        finish_answer(message_id=answer.pk, result=result)
    answer.refresh_from_db()
    assert (answer.output_tokens, answer.conversation.total_tokens) == (5, 15)


def test_a_failure_without_a_call_costs_nothing(alice, process_id):
    _question, answer = ask(alice, process_id)
    result = AnswerResult(
        (), Status.FAILED, "mock", answer.request_id, error_code="model_not_found", error_message="gone"
    )
    finish_answer(message_id=answer.pk, result=result)
    answer.refresh_from_db()
    assert (
        answer.status,
        answer.error_code,
        answer.conversation.total_tokens,
        answer.conversation.currency,
    ) == (Status.FAILED, "model_not_found", 0, "")


def test_an_answer_to_a_deleted_conversation_is_nobodys(alice, process_id):
    _question, answer = ask(alice, process_id)
    result = a_bill(answer)
    delete_conversation(conversation=answer.conversation)
    finish_answer(message_id=answer.pk, result=result)
    assert not Message.objects.filter(pk=answer.pk).exists()


# -- rename_conversation and delete_conversation -------------------------------------------------------------


def test_a_conversation_gets_another_title(alice):
    conversation = make_conversation(alice)
    for _time in range(2):
        rename_conversation(conversation=conversation, title="  Ledgers \n and\tbooks ")
    assert Conversation.objects.get(pk=conversation.pk).title == "Ledgers and books"


@pytest.mark.parametrize("title", ["", "  ", "\0", "x" * 201])
def test_a_title_has_1_to_200_characters(alice, title):
    conversation = make_conversation(alice, "as it was")
    with pytest.raises(InvalidInput) as caught:
        rename_conversation(conversation=conversation, title=title)
    assert caught.value.param == "title" and Conversation.objects.get(pk=conversation.pk).title == "as it was"


def test_deleting_takes_the_messages_along_and_may_happen_twice(alice):
    conversation, other = make_conversation(alice), make_conversation(alice)
    twin = Conversation.objects.get(pk=conversation.pk)
    delete_conversation(conversation=conversation)
    delete_conversation(conversation=twin)
    assert list(Conversation.objects.filter(user=alice)) == [other]
    assert set(Message.objects.values_list("conversation_id", flat=True)) == {other.pk}


@pytest.mark.parametrize("policy", ["local", "eu"])
def test_a_project_keeps_what_was_written_under_its_data_policy(alice, bob, policy):
    """Its conversations would fall to the default project, where more is allowed."""
    project = create_project(actor=None, name="Secret")
    set_data_policy(actor=None, project=project, data_policy=policy)
    set_project_member(actor=None, project=project, user=bob, role="viewer")
    start_turn(actor=bob, text="secret", model_name="m", process_id=uuid7(), project_id=project.pk)
    with pytest.raises(Conflict) as refused:
        delete_project(actor=alice, project=project)
    assert "1 conversation was written" in str(refused.value.message)
    set_data_policy(actor=None, project=ensure_default_project(), data_policy="local")
    delete_project(actor=alice, project=project)


def test_a_project_without_a_policy_leaves_its_conversations_to_the_default_one(alice, bob):
    project = create_project(actor=None, name="Plain")
    set_project_member(actor=None, project=project, user=bob, role="viewer")
    question, _answer = start_turn(
        actor=bob, text="hello", model_name="m", process_id=uuid7(), project_id=project.pk
    )
    delete_project(actor=alice, project=project)
    question.conversation.refresh_from_db()
    assert question.conversation.project is None
