"""What the release before has written becomes a tree: its columns are still there, and nothing reads them."""

import importlib
import json

import pytest
from django.db import connection

from prompts.branches import list_branch
from prompts.models import Conversation, Part
from tests.prompts.chats import make_conversation

pytestmark = pytest.mark.django_db
fill = importlib.import_module("prompts.migrations.0009_fill_message_tree")


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def upgrade() -> None:
    run(fill.TAKE_BACK, fill.PARENTS, fill.LEAVES, fill.PARTS)


def write_as_before(conversation: Conversation) -> Conversation:
    """As rows of the release before: a list, whose texts are columns."""
    for message in conversation.messages.all():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE prompts_message SET text = %s WHERE id = %s", [message.text, message.pk])
    conversation.messages.update(parent=None)
    Conversation.objects.filter(pk=conversation.pk).update(leaf=None)
    Part.objects.filter(message__conversation=conversation).delete()
    return conversation


def read(conversation: Conversation) -> list[tuple]:
    conversation.refresh_from_db()
    rows = list(list_branch(conversation.leaf_id))
    assert [row.parent_id for row in rows] == [None, *(row.pk for row in rows)][: len(rows)]
    return [(row.position, row.role, row.text) for row in rows]


def test_a_list_of_messages_becomes_a_branch(bob, alice):
    """Twice changes nothing, and what is new already stays as it is."""
    older = [write_as_before(make_conversation(person, turns=3)) for person in (alice, bob)]
    empty, newer = make_conversation(bob, turns=0), make_conversation(bob)
    for _time in range(2):
        upgrade()
        for conversation in older:
            assert read(conversation) == [
                (n, "assistant" if n % 2 == 0 else "user", f"text {n}") for n in range(1, 7)
            ]
        assert len(read(newer)) == 2 and read(empty) == []
        assert Part.objects.count() == 2 * 6 + 2


def test_an_answer_that_was_being_replaced_comes_back(bob):
    conversation = write_as_before(make_conversation(bob))
    answer = conversation.messages.get(position=2)
    kept = {
        "text": "An account book.",
        "status": "done",
        "model_name": "first",
        "notice": "context_trimmed",
        "input_tokens": 10,
        "cost": "0.00002",
        "created_at": "2026-11-01T10:00:00+00:00",
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE prompts_message SET text = '', status = 'streaming', replaced = %s WHERE id = %s",
            [json.dumps(kept), answer.pk],
        )
    upgrade()
    answer.refresh_from_db()
    assert (answer.text, answer.status, answer.model_name) == ("An account book.", "done", "first")
    assert answer.notice == "context_trimmed not_replaced" and answer.created_at.day == 1
    assert (answer.input_tokens, str(answer.cost.normalize())) == (10, "0.00002")


def test_the_way_back_takes_the_texts_along(bob):
    conversation = make_conversation(bob)
    run(fill.TEXTS)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT text FROM prompts_message WHERE conversation_id = %s ORDER BY position", [conversation.pk]
        )
        assert cursor.fetchall() == [("text 1",), ("text 2",)]
