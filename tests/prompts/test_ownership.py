"""Nobody touches another person's conversation: foreign, missing and deleted are one and the same 404, and
nothing changes.

Covers: every URL of the chat that names a conversation or a message, for Alice (the owner of Bob's
organisation), Charlie (of another one) and somebody who is not logged in. Does not cover: event streams,
which need a server (test_answers.py).
"""

import re
from uuid import uuid4

import pytest
from django.urls import reverse

from prompts import urls
from prompts.models import Conversation, Message, Part
from prompts.selectors import get_visible_message
from tenants.context import tenant
from tests.prompts.chats import last_answer, make_conversation

pytestmark = pytest.mark.django_db
WITH_CONVERSATION = {
    "conversation-detail": "get",
    "message-create": "post",
    "conversation-rename": "post",
    "conversation-delete": "post",
}
WITH_MESSAGE = {
    "message-stop": "post",
    "message-edit": "post",
    "message-regenerate": "post",
    "message-continue": "post",
    "message-markdown": "get",
}
ELSEWHERE = {"message-events": "get"}  # tests/prompts/test_answers.py


def test_no_url_with_an_id_is_missing_here():
    named = {pattern.name for pattern in urls.urlpatterns if "uuid:" in str(pattern.pattern)}
    assert named == {*WITH_CONVERSATION, *WITH_MESSAGE, *ELSEWHERE}


def address(name: str, pk) -> str:
    return reverse(f"prompts:{name}", args=[pk], urlconf="config.urls_tenant")


def knock(client, name: str, pk, headers) -> tuple[int, str]:
    """Status and body of one try, without what differs from request to request."""
    method = {**WITH_CONVERSATION, **WITH_MESSAGE}[name]
    response = getattr(client, method)(
        address(name, pk),
        {"text": "mine now", "title": "mine now"} if method == "post" else {},
        headers=headers,
    )
    return response.status_code, re.sub(
        r"req_\w+|name=\"csrfmiddlewaretoken\" value=\"\w+\"|X-CSRFToken\S+ \S+",
        "",
        response.content.decode(),
    )


def state_of(slug: str) -> list:
    with tenant(slug):
        return [
            row for model in (Conversation, Message, Part) for row in model.objects.order_by("pk").values()
        ]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "htmx"])
@pytest.mark.parametrize("name", [*WITH_CONVERSATION, *WITH_MESSAGE])
def test_foreign_is_missing(acme, globex, alice, bob, charlie, name, headers):
    conversation = make_conversation(bob)
    pk, deleted = (
        (conversation.pk, uuid4()) if name in WITH_CONVERSATION else (last_answer(conversation).pk, uuid4())
    )
    before = state_of("acme"), state_of("globex")
    for client in (acme.login_as(alice), globex.login_as(charlie)):
        answers = {knock(client, name, some_id, headers) for some_id in (pk, deleted)}
        assert len(answers) == 1 and answers.pop()[0] == 404
    assert (state_of("acme"), state_of("globex")) == before


@pytest.mark.parametrize("name", [*WITH_CONVERSATION, *WITH_MESSAGE])
def test_who_is_not_logged_in_learns_nothing(acme, bob, name):
    conversation = make_conversation(bob)
    pk = conversation.pk if name in WITH_CONVERSATION else last_answer(conversation).pk
    for some_id in (pk, uuid4()):
        status, _body = knock(acme, name, some_id, {})
        assert status == 302


def test_planted_bug_without_the_owners_filter_the_test_above_fails(
    monkeypatch, acme, globex, alice, bob, charlie
):
    """Alice would read Bob's conversation."""
    monkeypatch.setattr(
        "prompts.views.get_visible_conversation",
        lambda user, pk: Conversation.objects.filter(pk=pk).first() or get_visible_message(user, pk),
    )
    with pytest.raises(AssertionError):
        test_foreign_is_missing(acme, globex, alice, bob, charlie, "conversation-detail", {})
