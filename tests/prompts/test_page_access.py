"""Who gets the chat's pages, at which host, as a page or as a fragment, and with how many queries.

What starts an answer is in test_answers.py: it needs the gateway's loop.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from prompts.models import Conversation
from tenants.doors import hosts
from tests.prompts.chats import last_answer, make_conversation
from tests.prompts.pages import HTMX, url

pytestmark = pytest.mark.django_db

# method, name, what its id is, status as a page, status for htmx
PAGES = [
    ("get", "chat-home", None, 200, 200),
    ("get", "conversation-list", None, 200, 200),
    ("get", "conversation-detail", "conversation", 200, 200),
    ("post", "conversation-rename", "conversation", 302, 200),
    ("post", "conversation-delete", "conversation", 302, 200),
    ("post", "message-stop", "answer", 302, 200),
]


@pytest.mark.parametrize(("method", "name", "kind", "page_status", "fragment_status"), PAGES)
def test_everybody_has_the_chat_as_page_and_as_fragment(
    acme, alice, bob, method, name, kind, page_status, fragment_status
):
    """An owner and a plain member, each with what is theirs."""
    for person in (alice, bob):
        for headers, status in (({}, page_status), (HTMX, fragment_status)):
            conversation = make_conversation(person)
            ids = {None: [], "conversation": [conversation.pk], "answer": [last_answer(conversation).pk]}[
                kind
            ]
            response = getattr(acme.login_as(person), method)(
                url(name, *ids), {"title": "new"} if method == "post" else {}, headers=headers
            )
            assert response.status_code == status, (person.name, headers)


@pytest.mark.parametrize(("method", "name", "kind", "page_status", "fragment_status"), PAGES)
def test_who_is_not_logged_in_is_sent_to_the_log_in_page(
    acme, bob, method, name, kind, page_status, fragment_status
):
    conversation = make_conversation(bob)
    ids = {None: [], "conversation": [conversation.pk], "answer": [last_answer(conversation).pk]}[kind]
    response = getattr(acme, method)(url(name, *ids))
    assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/accounts/login/")
    assert Conversation.objects.get(pk=conversation.pk).title == "A question"


@pytest.mark.scope("platform")
def test_nobody_chats_at_the_platforms_host(on_platform, olga):
    client = on_platform.login_as(olga)
    for name in ("conversation-list", "conversation-create"):
        assert client.get(url(name)).status_code == 404
    assert b"composer" not in client.get("/").content


@pytest.mark.parametrize(
    ("name", "wrong"), [("chat-home", "post"), ("conversation-list", "post"), ("conversation-create", "get")]
)
def test_a_url_knows_its_methods(as_bob, name, wrong):
    assert getattr(as_bob, wrong)(url(name)).status_code == 405


def test_getting_a_page_changes_nothing(as_bob, bob):
    conversation = make_conversation(bob)
    for name in ("rename", "delete"):
        assert as_bob.get(url(f"conversation-{name}", conversation.pk)).status_code == 405
    for name in ("stop", "edit", "regenerate", "continue"):
        assert as_bob.get(url(f"message-{name}", last_answer(conversation).pk)).status_code == 405
    assert Conversation.objects.filter(pk=conversation.pk).exists()


def test_a_post_without_token_is_refused(acme, bob):
    conversation = make_conversation(bob)
    strict = type(acme)(acme.host, acme.scope, enforce_csrf_checks=True).login_as(bob)
    for name in ("rename", "delete", "messages"):
        assert strict.post(f"/c/{conversation.pk}/{name}/", {"title": "x", "text": "x"}).status_code == 403
    assert Conversation.objects.get(pk=conversation.pk).title == "A question"


@pytest.mark.parametrize(
    "query", ["?q=%00", "?q=" + "x" * 5000, "?after=%00", "?after=%00_%00", "?after=x_y", "?text=%00"]
)
def test_nonsense_in_a_lists_address_is_no_accident(as_bob, bob, query):
    make_conversation(bob)
    for name in ("conversation-list", "chat-home"):
        assert as_bob.get(url(name, query=query)).status_code == 200


@pytest.mark.parametrize("name", ["before", "at"])
@pytest.mark.parametrize("value", ["%C2%B2", "-1", "0", "9" * 30, "9" * 5000, "%00", "1e3", "x"])
def test_nonsense_in_a_conversations_address_is_no_message(as_bob, bob, name, value):
    conversation = make_conversation(bob)
    address = url("conversation-detail", conversation.pk, query=f"?{name}={value}")
    assert as_bob.get(address, headers=HTMX).status_code == 404


def count_queries(client, address: str, headers) -> int:
    """Queries of one page, after a first visit: that one writes the CSRF token into the session, and
    refreshes what is known of the host.
    """
    client.get(address, headers=headers)
    hosts.find_tenant_by_host("acme.localhost")
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address, headers=headers).status_code == 200
    return len([query for query in queries if '"tenants_' not in query["sql"]])


@pytest.mark.parametrize(
    ("name", "headers", "stored"),
    [("chat-home", {}, 12), ("conversation-list", {}, 4), ("conversation-list", HTMX, 3)],
)
def test_a_list_of_60_costs_as_many_queries_as_a_list_of_1(as_bob, bob, name, headers, stored):
    counts = []
    for number in range(60):
        make_conversation(bob, f"no. {number}")
        if number in (0, 59):
            counts.append(count_queries(as_bob, url(name), headers))
    assert counts == [stored, stored]


def test_a_conversation_of_60_messages_costs_as_many_queries_as_one_of_2(as_bob, bob):
    """Two of them look for a successor of its model, which is not offered here, and two for its label."""
    conversations = make_conversation(bob, turns=1), make_conversation(bob, turns=30)
    assert [count_queries(as_bob, url("conversation-detail", row.pk), {}) for row in conversations] == [
        19,
        19,
    ]
