"""Whose conversations are found: one's own. Foreign and missing are the same; a list comes in pages without
gap or repetition.
"""

from datetime import timedelta
from uuid import uuid4

import pytest

from foundation.errors import NotFound
from prompts.models import Conversation
from prompts.selectors import (
    LIST_SIZE,
    get_visible_conversation,
    get_visible_message,
    list_visible_conversations,
    page_of_conversations,
)
from tenants.context import tenant
from tests.prompts.chats import last_answer, make_conversation

pytestmark = pytest.mark.django_db
SOME_ID = "6f1c1d0e-7a55-4a5a-9d0c-0a8f1f1c9b11"


@pytest.fixture
def foreign(alice, bob, charlie):
    """Conversations that are not Bob's: Alice's of the same organisation, Charlie's of another."""
    with tenant("globex"):
        of_charlie = make_conversation(charlie)
        of_charlie.answer = last_answer(of_charlie)
    of_alice = make_conversation(alice)
    of_alice.answer = last_answer(of_alice)
    return [of_alice, of_charlie]


def test_a_person_sees_their_own_conversations_newest_first(bob, foreign):
    old, new = make_conversation(bob, age=timedelta(days=1)), make_conversation(bob)
    assert list(list_visible_conversations(bob)) == [new, old]
    assert (
        get_visible_conversation(bob, old.pk) == old
        and get_visible_message(bob, last_answer(old).pk).conversation == old
    )


def test_foreign_and_missing_are_the_same(bob, foreign):
    words = set()
    for pk in [foreign[0].pk, foreign[1].pk, uuid4()]:
        with pytest.raises(NotFound) as caught:
            get_visible_conversation(bob, pk)
        words.add(str(caught.value.message))
    for pk in [foreign[0].answer.pk, foreign[1].answer.pk, uuid4()]:
        with pytest.raises(NotFound) as caught:
            get_visible_message(bob, pk)
        words.add(str(caught.value.message))
    assert len(words) == 2


def test_a_search_looks_in_ones_own_titles(alice, bob):
    make_conversation(alice, "Ledger of Alice")
    mine = make_conversation(bob, "The LEDGER of Bob")
    make_conversation(bob, "Something else")
    assert list(list_visible_conversations(bob, "ledger")) == [mine]
    assert not list_visible_conversations(bob, "%").exists(), "wildcards of SQL are letters here"


@pytest.mark.parametrize("count", [0, LIST_SIZE, LIST_SIZE + 1, 2 * LIST_SIZE + 3])
def test_pages_follow_each_other_without_gap_or_repetition(bob, alice, count):
    """Several share one moment: the id decides then."""
    for number in range(count):
        make_conversation(bob, f"no. {number}", turns=0)
    moment = Conversation.objects.filter(user=bob).values_list("last_message_at", flat=True).first()
    Conversation.objects.filter(user=bob, title__endswith="3").update(last_message_at=moment)
    seen, after, pages = [], "", 0
    while pages == 0 or after:
        page, after = page_of_conversations(bob, after=after)
        seen += page
        pages += 1
    assert seen == list(Conversation.objects.filter(user=bob)) and len(seen) == count
    assert pages == max(1, -(-count // LIST_SIZE))


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "_",
        "2026-01-01_",
        "1_2_3",
        "2026-01-01T00:00:00_" + SOME_ID,
        "0001-01-01T00:00:00+23:00_" + SOME_ID,
        "\0_\0",
        "9" * 5000,
    ],
)
def test_a_cursor_that_makes_no_sense_is_no_accident(bob, after):
    mine = make_conversation(bob)
    page, _next = page_of_conversations(bob, after=after)
    assert set(page) <= {mine}
