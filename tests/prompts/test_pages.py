"""The chat's pages: who gets what, at which host, as a page or as a fragment, and with how many queries.

What starts an answer is in test_asking.py: it needs the gateway's loop.
"""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.objects import MODEL
from accounts.services.grants import grant
from models_registry.embedded import find_runtime, note_preparing, offer_first_models
from models_registry.models import Connection
from models_registry.models import Model as OwnModel
from models_registry.platform.models import Model
from models_registry.seeds import seed_platform
from models_registry.services import add_connection, add_model, set_model, set_model_price
from prompts.models import Conversation, Message
from prompts.selectors import HISTORY_SIZE, LIST_SIZE
from prompts.services import MAX_TEXT_CHARS
from tenants.context import platform
from tenants.doors import hosts
from tests.prompts.chats import last_answer, make_conversation, make_process, make_unfinished
from tests.prompts.visitor import text_of
from usage.models import Budget
from usage.services import ensure_plan_budget, set_budget

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def url(name: str, *args, query: str = "") -> str:
    return reverse(f"prompts:{name}", args=args, urlconf="config.urls_tenant") + query


@pytest.fixture
def as_bob(acme, bob):
    return acme.login_as(bob)


# -- who and where -------------------------------------------------------------------------------------------

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


# -- what is on them -----------------------------------------------------------------------------------------


def test_a_conversation_shows_its_messages_and_its_figures(as_bob, bob):
    conversation = make_conversation(bob, "Ledgers & <books>")
    Message.objects.filter(pk=last_answer(conversation).pk).update(
        text="**bold** <b>raw</b>", input_tokens=1200, output_tokens=34, cost="0.002", currency="EUR"
    )
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert "Ledgers &amp; &lt;books&gt;" in html and "<books>" not in html
    assert "<strong>bold</strong> &lt;b&gt;raw&lt;/b&gt;" in html
    assert "1,234" in html and "0.002000&nbsp;EUR" in html


def test_a_starters_text_waits_in_the_composer(as_bob):
    html = as_bob.get(url("chat-home", query="?text=%3Cb%3EHello")).content.decode()
    assert "&lt;b&gt;Hello</textarea>" in html


@pytest.fixture
def embedded_models(db):
    """The embedded runtime's two chat models, priced; who asks finds no other."""
    with platform():
        seed_platform("http://127.0.0.1:4711", "token")
        Model.objects.exclude(name="atrium-tiny").update(is_enabled=False)
        entry = {
            "id": "SmolLM2-135M-Instruct",
            "kind": "chat",
            "display_name": "SmolLM2",
            "context_window": 8192,
        }
        offer_first_models(find_runtime(), [entry])
    return ["SmolLM2-135M-Instruct", "atrium-tiny"]


def chosen_model(html: str) -> str:
    (option,) = re.findall(r"<option([^>]*\sselected[^>]*)>", html)
    return re.search(r'value="([^"]*)"', option)[1]


@pytest.mark.parametrize(
    ("language", "first"),
    [("en", "SmolLM2-135M-Instruct"), ("de", "atrium-tiny"), ("zh-hans", "atrium-tiny")],
)
def test_the_first_model_speaks_the_readers_language(acme, bob, embedded_models, language, first):
    bob.language = language
    bob.save()
    page = acme.login_as(bob).get(url("chat-home"))
    assert chosen_model(page.content.decode()) == first
    assert {choice.model.name: choice.set for choice in page.context["choices"]} == {
        "SmolLM2-135M-Instruct": "small",
        "atrium-tiny": "demo",
    }


@pytest.mark.parametrize("language", ["en", "de", "zh-hans"])
def test_an_administrators_default_and_a_persons_choice_go_first(acme, bob, embedded_models, language):
    bob.language = language
    bob.save()
    for name in embedded_models:
        with platform():
            set_model(actor=None, model=Model.objects.get(name=name), is_default=True)
        assert chosen_model(acme.login_as(bob).get(url("chat-home")).content.decode()) == name
    client = acme.login_as(bob)
    session = client.session
    session["model_name"] = "SmolLM2-135M-Instruct"
    session.save()
    assert chosen_model(client.get(url("chat-home")).content.decode()) == "SmolLM2-135M-Instruct"


def test_a_real_servers_model_goes_before_the_small_ones(acme, bob, embedded_models):
    """Once somebody has said what it costs, or that it runs in the own network."""
    connection = add_connection(
        actor=None, name="Real", kind="openai_compatible", base_url="https://api.example.com/v1"
    )
    names = {"name": "SmolLM2-real", "upstream_name": "SmolLM2-135M-Instruct"}
    model = add_model(actor=None, connection=connection, **names)

    def choices(language: str):
        bob.language = language
        bob.save()
        page = acme.login_as(bob).get(url("chat-home"))
        assert chosen_model(page.content.decode()) == page.context["choices"][0].model.name
        return page.context["choices"]

    assert [choice.model.name for choice in choices("en")][-1] == "SmolLM2-real"
    set_model_price(actor=None, model=model, input=Decimal(1), output=Decimal(1))
    for language in ("en", "de"):
        first = choices(language)[0]
        assert first.model.name == "SmolLM2-real"
        assert first.set == "capable"  # whoever else serves that name


def test_starters_and_small_print_are_there_for_each_kind_of_model(as_bob, embedded_models):
    html = as_bob.get(url("chat-home")).content.decode()
    for kind, words in {
        "demo": "What can you do?",
        "small": "Explain photosynthesis in two sentences.",
        "capable": "moves our meeting",
    }.items():
        (starters,) = re.findall(rf'<ul class="starters" data-set="{kind}".*?</ul>', html, re.DOTALL)
        assert words in starters and starters.count('class="starter"') == 3
    assert "Small model, English only" in html and "Small model that knows English only" in html


def test_what_is_being_made_ready_is_told_on_the_start_page_alone(as_bob, bob, embedded_models):
    def told(*address) -> bool:
        return "is being made ready" in as_bob.get(url(*address)).content.decode()

    conversation = make_conversation(bob)
    assert not told("chat-home")
    with platform():
        note_preparing(["SmolLM2 135M"])
    assert told("chat-home") and not told("conversation-detail", conversation.pk)
    with platform():
        note_preparing([])
    assert not told("chat-home")


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


def test_earlier_messages_come_as_a_fragment(as_bob, bob):
    conversation = make_conversation(bob, turns=HISTORY_SIZE // 2 + 3)
    page = as_bob.get(url("conversation-detail", conversation.pk))
    assert page.context["earlier_before"] == 7
    fragment = as_bob.get(url("conversation-detail", conversation.pk, query="?before=7"), headers=HTMX)
    assert fragment.content.decode().count("<article") == 6 and b"<html" not in fragment.content
    assert (
        as_bob.get(url("conversation-detail", conversation.pk, query="?before=7"))
        .content.decode()
        .count("<article")
        == 6
    ), "without scripts"


def test_only_the_last_question_can_be_edited(as_bob, bob):
    conversation = make_conversation(bob, turns=3)
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert re.findall(r'data-edit="([^"]*)"', html) == [
        url("message-edit", conversation.messages.get(position=5).pk)
    ]
    assert (
        html.count('id="edit-template"') == 1 and b"edit-template" in as_bob.get(url("chat-home")).content
    ), "a new chat becomes a conversation without a new page"


def test_an_answer_to_what_the_question_was_before_says_so(as_bob, bob):
    conversation = make_conversation(bob)
    Message.objects.filter(pk=last_answer(conversation).pk).update(notice="of_earlier_question not_replaced")
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert "No answer to the changed question came." in html and "this is still the earlier one" not in html


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


def test_looking_at_an_orphaned_answer_concludes_it(as_bob, bob):
    conversation = make_conversation(bob)
    make_unfinished(conversation, make_process(is_alive=False))
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert 'data-status="interrupted"' in html and "as far as it came" in html and "/continue/" in html


def test_a_model_that_is_gone_is_named(as_bob, bob):
    conversation = make_conversation(bob, model_name="gone-model")
    assert "gone-model" in as_bob.get(url("conversation-detail", conversation.pk)).content.decode()


# -- models, prices, budgets ---------------------------------------------------------------------------------


@pytest.fixture
def offer(db):
    """offer(name, (input, output) per million or None, **fields): a model of Acme's own."""

    def make(name: str, price: tuple[str, str] | None = None, **fields):
        connection = Connection.objects.first() or add_connection(
            actor=None, name="own", kind="openai_compatible", base_url="https://api.example.com/v1"
        )
        model = add_model(actor=None, connection=connection, name=name, **fields)
        if price:
            set_model_price(actor=None, model=model, input=Decimal(price[0]), output=Decimal(price[1]))
        return model

    return make


def options(html: str) -> dict[str, str]:
    """The model picker's words, by the model's name."""
    return {
        name: text_of(words)
        for name, words in re.findall(r'<option value="([^"]*)"[^>]*>(.*?)</option>', html, re.DOTALL)
    }


def test_the_model_picker_shows_what_each_model_costs(as_bob, offer):
    offer("cheap", ("0.075", "3"))
    offer("free", ("0", "0"))
    offer("unsaid")
    shown = options(as_bob.get(url("chat-home")).content.decode())
    assert shown["cheap"] == "cheap 0.0750 in, 3 out, EUR per million tokens"
    assert shown["free"] == "free Free of charge"
    assert shown["unsaid"] == "unsaid No price entered"


def test_a_retired_model_gives_way_to_its_registered_successor(as_bob, bob, offer):
    """The successor's own successor, where that has been retired too."""
    offer("a-first-one")
    offer("new")
    offer("newer", is_enabled=False, successor="new")
    offer("old", is_enabled=False, successor="newer")
    offer("lost", is_enabled=False)
    offer("lost-too", is_enabled=False, successor="lost")
    OwnModel.objects.filter(name="lost").update(successor="lost-too")  # as older data may have it
    response = as_bob.get(url("conversation-detail", make_conversation(bob, model_name="old").pk))
    assert response.context["selected_model"] == "new"
    assert "old is no longer offered. new takes its place." in response.content.decode()
    for name in ("lost", "never-was"):
        response = as_bob.get(url("conversation-detail", make_conversation(bob, model_name=name).pk))
        assert response.context["selected_model"] == "", "nothing that nobody chose"
        html = response.content.decode()
        assert f"{name} is no longer offered. Choose another model to go on." in html
        assert options(html)[""] == "Choose a model" and re.search(
            r'<select id="composer-model"[^>]* required', html
        )


@pytest.mark.parametrize("wanted", ["closed", "never-was", "a\0b"])
def test_what_was_written_for_one_model_goes_to_no_other(as_bob, bob, offer, alice, wanted):
    """Else a person's text would leave for another provider, at another price, without a word from them."""
    offer("a-first-one")
    grant(actor=None, kind=MODEL, target=offer("closed").pk, user=alice)
    conversation = make_conversation(bob, model_name=wanted.replace("\0", ""))
    for address in (url("conversation-create"), url("message-create", conversation.pk)):
        response = as_bob.post(address, {"text": "private", "model": wanted})
        assert response.status_code == 404 and "is not offered to you here" in response.content.decode()
    response = as_bob.post(url("message-create", conversation.pk), {"text": "private", "model": ""})
    assert response.status_code == 404, "the conversation's own model is meant"
    assert not Message.objects.filter(text="private").exists()


@pytest.fixture
def use_up(db):
    """use_up(budget, spent): as the ledger would have booked it."""

    def book(budget, spent: str):
        Budget.objects.filter(pk=budget.pk).update(spent=Decimal(spent), allowance=Decimal(spent))

    return book


SEND_IS_DISABLED = re.compile(r'<button class="send"[^>]*data-send[^>]* disabled')


@pytest.mark.parametrize(("period", "is_renewed"), [("day", True), ("month", True), ("total", False)])
def test_a_used_up_budget_says_which_and_who_can_raise_it(
    acme, alice, bob, offer, use_up, period, is_renewed
):
    offer("dear", ("1", "1"))
    use_up(set_budget(actor=None, level="tenant", limit=Decimal(1), period=period), "1")
    plain, owner = (acme.login_as(person).get(url("chat-home")).content.decode() for person in (bob, alice))
    for html in (plain, owner):
        assert (
            f"The budget “{Budget.objects.get().get_level_display()} · "
            f"{Budget.objects.get().get_period_display()}” is used up." in html
        )
        assert ("It begins anew on" in html) == is_renewed and "this month" not in html
        assert SEND_IS_DISABLED.search(html) and "free of charge still" not in html
    assert "An administrator of your organisation can raise it." in plain and "usage/budget" not in plain
    assert "/admin/usage/budget/" in owner and "An administrator" not in owner


def test_who_may_not_change_budgets_is_sent_to_those_who_may(acme, bob, offer, use_up):
    """Also with a key to the administration."""
    use_up(set_budget(actor=None, level="tenant", limit=Decimal(1)), "1")
    bob.user_permissions.add(
        Permission.objects.get(content_type__app_label="accounts", codename="access_admin")
    )
    html = acme.login_as(bob).get(url("chat-home")).content.decode()
    assert (
        "An administrator of your organisation can raise it." in html and "/admin/usage/budget/" not in html
    )


def test_a_budget_of_the_plan_is_the_operators(acme, alice, offer, use_up):
    offer("dear", ("1", "1"))
    use_up(ensure_plan_budget(Decimal(5)), "5")
    html = acme.login_as(alice).get(url("chat-home")).content.decode()
    assert "the operator of the platform can raise it." in html
    assert "An administrator" not in html and "/admin/usage/budget/" not in html


def test_a_used_up_budget_leaves_the_free_models(as_bob, offer, use_up):
    offer("dear", ("1", "1"))
    offer("free")
    use_up(set_budget(actor=None, level="tenant", limit=Decimal(1)), "1")
    html = as_bob.get(url("chat-home")).content.decode()
    assert not SEND_IS_DISABLED.search(html) and "Models that are free of charge still answer." in html


def test_a_budget_that_runs_low_is_noted(as_bob, offer, use_up):
    offer("dear", ("1", "1"))
    use_up(set_budget(actor=None, level="tenant", limit=Decimal(10)), "8.5")
    html = as_bob.get(url("chat-home")).content.decode()
    assert "85 % of the budget" in html and "used up" not in html and not SEND_IS_DISABLED.search(html)


# -- what is shown of a message ------------------------------------------------------------------------------


def test_a_message_of_another_day_shows_its_date(as_bob, bob):
    conversation = make_conversation(bob)
    then = timezone.now() - timedelta(days=3)
    Message.objects.filter(pk=last_answer(conversation).pk).update(created_at=then)
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    of_question, of_answer = (text_of(words) for words in re.findall(r"(?s)<time[^>]*>(.*?)</time>", html))
    assert re.fullmatch(r"\d\d:\d\d", of_question) and of_answer.endswith(
        f"{date_format(then, 'DATE_FORMAT')}, {date_format(then, 'H:i')}"
    )


def test_the_composer_takes_as_much_as_the_service(as_bob):
    assert f'maxlength="{MAX_TEXT_CHARS}"' in as_bob.get(url("chat-home")).content.decode()


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00&nbsp;EUR"),
        ("-2.5", "-2.50&nbsp;EUR"),
        ("-0.02", "-0.0200&nbsp;EUR"),
        ("-0.0000001", "&gt; -0.000001&nbsp;EUR"),
        ("0.0000001", "&lt; 0.000001&nbsp;EUR"),
        ("1234.567", "1,234.57&nbsp;EUR"),
    ],
)
def test_an_amount_keeps_its_sign_and_shows_its_exact_value(amount, shown):
    plain, exact = (
        render_to_string(
            "_money.html", {"amount": Decimal(amount), "currency": "EUR", "exact": is_exact}
        ).strip()
        for is_exact in (False, True)
    )
    assert plain == shown and text_of(exact) == plain
    title = re.search(r'title="([^"]*) EUR"', exact)
    assert (Decimal(title[1].replace(",", "")) if title else 0) == Decimal(amount)


@pytest.mark.parametrize(
    "query", ["?q=%00", "?q=" + "x" * 5000, "?after=%00", "?after=%00_%00", "?after=x_y", "?text=%00"]
)
def test_nonsense_in_a_lists_address_is_no_accident(as_bob, bob, query):
    make_conversation(bob)
    for name in ("conversation-list", "chat-home"):
        assert as_bob.get(url(name, query=query)).status_code == 200


@pytest.mark.parametrize("before", ["%C2%B2", "-1", "0", "9" * 30, "9" * 5000, "%00", "1e3", "x"])
def test_nonsense_in_a_conversations_address_is_no_accident(as_bob, bob, before):
    conversation = make_conversation(bob)
    assert (
        as_bob.get(
            url("conversation-detail", conversation.pk, query=f"?before={before}"), headers=HTMX
        ).status_code
        == 200
    )


# -- how many queries ----------------------------------------------------------------------------------------


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
    [("chat-home", {}, 12), ("conversation-list", {}, 5), ("conversation-list", HTMX, 3)],
)
def test_a_list_of_60_costs_as_many_queries_as_a_list_of_1(as_bob, bob, name, headers, stored):
    counts = []
    for number in range(60):
        make_conversation(bob, f"no. {number}")
        if number in (0, 59):
            counts.append(count_queries(as_bob, url(name), headers))
    assert counts == [stored, stored]


def test_a_conversation_of_60_messages_costs_as_many_queries_as_one_of_2(as_bob, bob):
    """Two of them look for a successor of its model, which is not offered here."""
    conversations = make_conversation(bob, turns=1), make_conversation(bob, turns=30)
    assert [count_queries(as_bob, url("conversation-detail", row.pk), {}) for row in conversations] == [
        16,
        16,
    ]
