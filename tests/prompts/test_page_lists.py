"""The list of conversations: its groups, pages and search, and renaming and deleting one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from prompts.models import Conversation
from prompts.selectors import LIST_SIZE
from tests.prompts.chats import make_conversation
from tests.prompts.pages import HTMX, url

pytestmark = pytest.mark.django_db


def test_conversations_are_grouped_by_the_readers_days(as_bob, bob):
    now = timezone.now()
    for days in (0, 1, 5, 40):
        make_conversation(bob, f"{days} days", age=timedelta(days=days))
    rows = as_bob.get(url("conversation-list"), headers=HTMX).context["conversations"]
    assert [row.group for row in rows] == ["today", "yesterday", "week", "older"]
    Conversation.objects.filter(user=bob, title="0 days").update(
        last_message_at=now.replace(hour=22, minute=30)
    )
    bob.time_zone = "Pacific/Auckland"  # half past ten in the evening in London is tomorrow there
    bob.save()
    assert as_bob.get(url("conversation-list"), headers=HTMX).context["conversations"][0].group == "today"


def test_the_list_comes_in_pages_and_searches(as_bob, bob):
    for number in range(LIST_SIZE + 2):
        make_conversation(bob, f"no. {number}", turns=0)
    first = as_bob.get(url("conversation-list"), headers=HTMX)
    assert len(first.context["conversations"]) == LIST_SIZE and "Show more" in first.content.decode()
    rest = as_bob.get(url("conversation-list"), {"after": first.context["next_after"]}, headers=HTMX)
    assert [row.title for row in rest.context["conversations"]] == [
        "no. 1",
        "no. 0",
    ] and "Show more" not in rest.content.decode()
    found = as_bob.get(url("conversation-list"), {"q": "no. 1"}, headers=HTMX)
    assert len(found.context["conversations"]) == 11
    assert (
        "“nothing”" in as_bob.get(url("conversation-list"), {"q": "nothing"}, headers=HTMX).content.decode()
    )


def test_renaming_gives_the_row_or_the_page(as_bob, bob):
    conversation = make_conversation(bob)
    address = url("conversation-detail", conversation.pk)
    current = {"HX-Current-URL": f"http://acme.localhost{address}"}
    row = as_bob.post(
        url("conversation-rename", conversation.pk), {"title": "<i>new"}, headers=HTMX | current
    ).content.decode()
    assert "&lt;i&gt;new" in row and "aria-current" in row
    page = as_bob.post(url("conversation-rename", conversation.pk), {"title": "newer"})
    assert page["Location"] == address and Conversation.objects.get(pk=conversation.pk).title == "newer"


def test_a_refusal_is_a_notice_for_htmx_and_a_page_otherwise(as_bob, bob):
    conversation = make_conversation(bob)
    for headers, sign in ((HTMX, b"data-notice"), ({}, b"<html")):
        response = as_bob.post(url("conversation-rename", conversation.pk), {"title": " "}, headers=headers)
        assert (
            response.status_code == 400
            and sign in response.content
            and b"must not be empty" in response.content
        )


@pytest.mark.parametrize(
    ("where", "leads_home"),
    [("/c/{id}/", True), ("/c/", False), ("/c/------------------------------------/", False)],
)
def test_deleting_the_open_conversation_leads_home(as_bob, bob, where, leads_home):
    conversation = make_conversation(bob)
    current = {"HX-Current-URL": "http://acme.localhost" + where.format(id=conversation.pk)}
    response = as_bob.post(url("conversation-delete", conversation.pk), headers=HTMX | current)
    assert (response.status_code, response.content, response.get("HX-Redirect")) == (
        200,
        b"",
        "/" if leads_home else None,
    )
    assert not Conversation.objects.filter(pk=conversation.pk).exists()
    assert as_bob.post(url("conversation-delete", conversation.pk), headers=HTMX).status_code == 404, "twice"
