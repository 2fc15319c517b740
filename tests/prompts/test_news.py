"""A page asks whether its conversation went on elsewhere: by further turns, an answer in work, a branch."""

import re

import pytest

from prompts.models import Message
from tests.prompts.chats import add_turns, make_conversation
from tests.prompts.pages import HTMX, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def look(as_bob):
    """look(conversation, since, leaf): what a page is told that shows the branch up to `leaf`."""

    def ask(conversation, since, leaf, **more):
        query = {"since": str(since or ""), "leaf": str(leaf or ""), **more}
        return as_bob.get(url("conversation-detail", conversation.pk), query, headers=HTMX)

    return ask


def shown(response) -> list[str]:
    return re.findall(r'id="message-([0-9a-f-]+)"', response.content.decode())


def test_a_page_that_knows_it_all_is_told_nothing(look, bob):
    conversation = make_conversation(bob, turns=2)
    leaf = conversation.leaf_id
    assert look(conversation, leaf, leaf).status_code == 204
    older = conversation.messages.get(position=2)
    assert look(conversation, leaf, older.pk).status_code == 204, "it shows another branch on purpose"


def test_further_turns_come_with_what_the_next_question_follows(look, bob):
    conversation = make_conversation(bob)
    before = conversation.leaf
    more = add_turns(conversation, 2, before)
    told = look(conversation, before.pk, before.pk)
    assert shown(told) == [str(message.pk) for message in more]
    assert (told["HX-Retarget"], told["HX-Reswap"]) == ("#thread", "beforeend")
    html = told.content.decode()
    assert told["X-Leaf"] == str(more[-1].pk) and f'value="{more[-1].pk}"' in html and "<html" not in html


@pytest.mark.parametrize("leaf", ["another branch", "far above", "nothing"])
def test_another_branch_is_offered(look, bob, monkeypatch, leaf):
    conversation = make_conversation(bob, turns=2)
    trunk = list(conversation.messages.order_by("position"))
    branch = add_turns(conversation, 2, trunk[1])
    monkeypatch.setattr("prompts.news.LONGEST_BRANCH", 3)
    seen = {"another branch": trunk[-1].pk, "far above": trunk[1].pk, "nothing": ""}[leaf]
    told = look(conversation, trunk[-1].pk, seen)
    assert not shown(told) and url("conversation-detail", conversation.pk) in told.content.decode()
    assert (told["HX-Retarget"], told["X-Leaf"]) == ("#notices", str(branch[-1].pk))


@pytest.mark.parametrize(("follows", "status"), [(False, 200), (True, 204)])
def test_an_answer_that_is_written_once_more_is_followed(look, bob, follows, status):
    conversation = make_conversation(bob)
    leaf = conversation.leaf
    Message.objects.filter(pk=leaf.pk).update(status="streaming", process_id=None)
    told = look(conversation, leaf.pk, leaf.pk, **({"follows": "1"} if follows else {}))
    assert told.status_code == status
    if not follows:
        assert shown(told) == [str(leaf.pk)] and "data-events-url" in told.content.decode()
        assert (told["HX-Retarget"], told["HX-Reswap"]) == (f"#message-{leaf.pk}", "outerHTML")


def test_of_others_nothing_is_told(look, alice, bob):
    foreign, own = make_conversation(alice), make_conversation(bob)
    assert look(foreign, "", foreign.leaf_id).status_code == 404
    assert look(own, "", foreign.leaf_id).status_code == 404
