"""A conversation as a tree: what is on a branch, who stands beside whom, and what of it is read."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from prompts.branches import find_leaf_below, find_siblings, list_branch, read_upwards
from prompts.models import Conversation, Message
from prompts.selectors import HISTORY_SIZE
from prompts.services import delete_conversation
from tests.prompts.chats import add_turns, make_conversation
from tests.prompts.pages import HTMX, url
from tests.prompts.visitor import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def forked(bob) -> tuple[Conversation, list[Message], list[Message]]:
    """Three turns, and a branch of two that begins after the first one's answer."""
    conversation = make_conversation(bob, turns=3)
    trunk = list(conversation.messages.order_by("position"))
    branch = add_turns(conversation, 2, trunk[1])
    return conversation, trunk, branch


def ids(messages) -> list:
    return [message.pk for message in messages]


def test_a_branch_is_read_from_its_end(forked):
    conversation, trunk, branch = forked
    assert ids(list_branch(conversation.leaf_id)) == ids([*trunk[:2], *branch])
    assert ids(list_branch(trunk[-1].pk)) == ids(trunk)
    assert ids(list_branch(branch[-1].pk, 3)) == ids([trunk[1], *branch][-3:])
    assert ids(read_upwards(branch[-1])) == ids([*trunk[:2], *branch])[-2::-1]
    assert not list(list_branch(None))


def test_however_long_a_branch_is_reading_its_end_reads_no_more(bob):
    """Counted in what the database looks at, not in time."""
    looked_at = []
    for turns in (100, 400):
        leaf_id = make_conversation(bob, turns=turns).leaf_id
        with CaptureQueriesContext(connection) as asked:
            assert len(list_branch(leaf_id, HISTORY_SIZE)) == HISTORY_SIZE
        assert len(asked) == 2, "the messages, and their parts"
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked[0]['sql']}")
            looked_at.append(_rows_of(cursor.fetchone()[0][0]["Plan"], "Recursive Union"))
    assert looked_at == [HISTORY_SIZE] * 2


def _rows_of(plan: dict, kind: str) -> int:
    if plan["Node Type"] == kind:
        return plan["Actual Rows"]
    return max((_rows_of(below, kind) for below in plan.get("Plans", ())), default=0)


def test_more_than_a_stretch_is_read_upwards(bob):
    conversation = make_conversation(bob, turns=60)
    leaf = Message.objects.get(pk=conversation.leaf_id)
    assert [message.position for message in read_upwards(leaf)] == list(range(119, 0, -1))


def test_below_a_message_the_leaf_counts_that_was_written_last(forked):
    _conversation, trunk, branch = forked
    assert find_leaf_below(trunk[0]) == branch[-1].pk
    assert find_leaf_below(trunk[2]) == trunk[-1].pk
    assert find_leaf_below(branch[-1]) == branch[-1].pk


def test_siblings_are_counted_in_the_order_of_their_time(forked):
    conversation, trunk, branch = forked
    third = add_turns(conversation, 1, trunk[1])[0]
    other_beginning = add_turns(conversation, 1)[0]
    found = find_siblings([*trunk, *branch])
    family = [trunk[2].pk, branch[0].pk, third.pk]
    assert [(found[pk].number, found[pk].count) for pk in family[:2]] == [(1, 3), (2, 3)]
    assert (found[family[1]].previous_id, found[family[1]].next_id) == (family[0], family[2])
    assert (found[trunk[0].pk].previous_id, found[trunk[0].pk].next_id) == (None, other_beginning.pk)
    assert set(found) == {trunk[0].pk, *family[:2]}


def test_a_conversation_is_deleted_with_all_its_branches(forked):
    conversation, *_branches = forked
    delete_conversation(conversation=Conversation.objects.get(pk=conversation.pk))
    assert not Message.objects.exists()


# -- pages ---------------------------------------------------------------------------------------------------


def page(client, conversation, query: str = "", headers=None):
    return client.get(url("conversation-detail", conversation.pk, query=query), headers=headers or {})


def shown(response) -> list:
    return ids(response.context["chat_messages"])


def test_a_conversation_opens_on_the_branch_that_was_written_to_last(as_bob, forked):
    conversation, trunk, branch = forked
    response = page(as_bob, conversation)
    assert shown(response) == ids([*trunk[:2], *branch])
    html = response.content.decode()
    assert text_of(html).count("2 of 2") == 1 and f'name="parent"\n       value="{branch[-1].pk}"' in html
    address = url("conversation-detail", conversation.pk)
    assert f'href="{address}?at={trunk[2].pk}#message-{trunk[2].pk}"' in html


def test_an_arrow_leads_to_the_branch_of_the_sibling(as_bob, forked):
    """As a page, and as the fragment that takes the place of the message and what follows it. Looking writes
    nothing.
    """
    conversation, trunk, _branch = forked
    response = page(as_bob, conversation, f"?at={trunk[2].pk}")
    assert shown(response) == ids(trunk) and "1 of 2" in text_of(response.content.decode())
    fragment = page(as_bob, conversation, f"?at={trunk[2].pk}", HTMX)
    html = fragment.content.decode()
    assert shown(fragment) == ids(trunk[2:]) and "<html" not in html
    assert 'hx-swap-oob="true"' in html and f'value="{trunk[-1].pk}"' in html
    assert shown(page(as_bob, conversation)) != ids(trunk)


def test_what_comes_earlier_belongs_to_the_branch_that_is_shown(as_bob, bob):
    conversation = make_conversation(bob, turns=HISTORY_SIZE)
    trunk = list(conversation.messages.order_by("position"))
    add_turns(conversation, 1, trunk[1])
    response = page(as_bob, conversation, f"?at={trunk[-1].pk}")
    assert shown(response) == ids(trunk[HISTORY_SIZE:])
    query = f"?before={response.context['earlier_before']}&at={trunk[-1].pk}"
    assert query.replace("&", "&amp;") in response.content.decode()
    response = page(as_bob, conversation, query, HTMX)
    assert shown(response) == ids(trunk[:HISTORY_SIZE]) and not response.context["earlier_before"]


def test_where_branches_part_far_above_the_page_begins_there_unless_that_is_too_far(as_bob, bob, monkeypatch):
    conversation = make_conversation(bob, turns=HISTORY_SIZE)
    trunk = list(conversation.messages.order_by("position"))
    add_turns(conversation, 1, trunk[1])
    at = f"?at={trunk[2].pk}"
    assert shown(page(as_bob, conversation, at)) == ids(trunk)
    assert shown(page(as_bob, conversation, at, HTMX)) == ids(trunk[2:])
    monkeypatch.setattr("prompts.pages.LONGEST_BRANCH", HISTORY_SIZE)
    assert shown(page(as_bob, conversation, at)) == ids(trunk[HISTORY_SIZE:])
    redirect = page(as_bob, conversation, at, HTMX)
    assert redirect["HX-Redirect"] == url("conversation-detail", conversation.pk, query=at)


@pytest.mark.parametrize("name", ["at", "before"])
def test_a_message_of_another_conversation_is_not_found(as_bob, alice, bob, charlie, forked, name):
    conversation, trunk, _branch = forked
    assert page(as_bob, conversation, f"?{name}={trunk[2].pk}").status_code == 200
    foreign = [make_conversation(person).leaf_id for person in (alice, bob)]
    for wrong in (*foreign, "00000000-0000-7000-8000-000000000000", "x", "7", "%00"):
        for headers in ({}, HTMX):
            assert page(as_bob, conversation, f"?{name}={wrong}", headers).status_code == 404
