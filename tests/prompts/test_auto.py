"""“auto” in the chat: where it can be chosen, what answers tell of the choice, and that it is remembered."""

from decimal import Decimal

import pytest

from accounts.objects import MODEL
from accounts.services import create_project, set_auto_models, set_data_policy, set_project_member
from accounts.services.grants import grant
from accounts.services.projects import ensure_default_project
from models_registry.platform.models import Connection, Model
from models_registry.services import add_model, set_model_price
from prompts.models import Message, Part
from tenants.context import platform, tenant
from tests.live import TENANTS
from tests.prompts.chats import make_conversation
from tests.prompts.pages import HTMX, options, url
from tests.prompts.visitor import make_person, said

Status = Message.Status


def offered(client, **query) -> dict[str, str]:
    return options(client.get(url("chat-home"), query, headers=HTMX if query else {}).content.decode())


# -- the picker ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_can_be_chosen_where_there_is_something_to_choose(as_bob, offer):
    offer("cheap", ("1", "1"), label="Cheap One")
    assert "auto" not in offered(as_bob)
    offer("dear", ("5", "5"), label="Dear One", context_window=32_000)
    html = as_bob.get(url("chat-home")).content.decode()
    assert options(html)["auto"] == "Automatic The cheapest of 2 models that can do what is asked"
    assert 'data-details="Chooses among Cheap One, Dear One"' in html
    offer("new-one", ("1", "1"), channel="experimental")
    assert "of 2 models" in offered(as_bob)["auto"], "nobody gets that unasked"


@pytest.mark.django_db
def test_a_project_says_among_which(as_bob, bob, offer):
    for name in ("cheap", "dear", "third"):
        offer(name, ("1", "1"))
    project = create_project(actor=None, name="Careful")
    set_project_member(actor=None, project=project, user=bob, role="viewer")
    set_auto_models(actor=None, project=project, names=["third", "dear", "gone"])
    assert "The cheapest of 3" in offered(as_bob)["auto"]
    assert "The first of 2" in offered(as_bob, project=project.pk)["auto"]
    set_auto_models(actor=None, project=project, names=[])
    set_auto_models(actor=None, project=ensure_default_project(), names=["dear", "cheap"])
    assert "The first of 2" in offered(as_bob, project=project.pk)["auto"], "as the default project says"
    set_auto_models(actor=None, project=project, names=["dear"])
    assert "auto" not in offered(as_bob, project=project.pk), "nothing to choose"


@pytest.mark.django_db
def test_policies_and_rights_of_use_bind_it(as_bob, offer, alice):
    for name in ("cheap", "dear", "closed"):
        model = offer(name, ("1", "1"))
    grant(actor=None, kind=MODEL, target=model.pk, user=alice)
    assert "of 2 models" in offered(as_bob)["auto"]
    set_data_policy(actor=None, project=ensure_default_project(), data_policy="local")
    assert "auto" not in offered(as_bob)


@pytest.mark.django_db
def test_it_goes_on_with_the_only_one_left_and_ends_with_the_last(as_bob, bob, offer):
    address = url("conversation-detail", make_conversation(bob, model_name="auto").pk)
    only = offer("only", ("1", "1"), label="Only One")
    page = as_bob.get(address)
    assert page.context["selected_model"] == "only"
    assert "no longer offered" not in page.content.decode()
    only.channel = "experimental"
    only.save()
    page = as_bob.get(address)
    assert page.context["selected_model"] == ""
    assert "Automatic is no longer offered. Choose another model to go on." in page.content.decode()
    refused = as_bob.post(url("conversation-create"), {"text": "private", "model": "auto"})
    assert refused.status_code == 404 and not Part.objects.filter(text="private").exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("notice", "words"),
    [
        ("auto_cheapest", "the cheapest that could answer"),
        ("auto_listed context_trimmed", "the first of the project's list that could answer"),
        ("auto_unpriced", "none that could answer has a price"),
    ],
)
def test_an_answer_says_who_gave_it_and_why(as_bob, bob, notice, words):
    conversation = make_conversation(bob)
    conversation.messages.filter(role="assistant").update(notice=notice)
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert f'<span class="message-choice">chosen automatically: {words}</span>' in html


# -- answers -------------------------------------------------------------------------------------------------


@pytest.fixture
def priced(chat_models):
    """Two models of this tenant's project alone: the list names them."""
    with platform():
        connection = Connection.objects.get(name="mock")
        for name, amount in (("auto-cheap", 1), ("auto-dear", 5)):
            if not Model.objects.filter(name=name).exists():
                row = add_model(actor=None, connection=connection, name=name, upstream_name="mock")
                set_model_price(actor=None, model=row, input=Decimal(amount), output=Decimal(amount))


@pytest.mark.scope(TENANTS[0])
def test_the_answer_bears_the_chosen_models_name_and_the_choice_stays(visit, priced):
    person = make_person(TENANTS[0])
    with tenant(TENANTS[0]):
        project = create_project(actor=None, name=f"Auto {person.pk.hex[-6:]}")
        set_project_member(actor=None, project=project, user=person, role="viewer")
        set_auto_models(actor=None, project=project, names=["auto-dear", "auto-cheap"])
    bob = visit(user=person)
    asked = bob.ask("hello", "auto", project=project.pk)
    heads = [event.data for event in bob.events(asked) if event.name == "model"]
    assert heads == [{"name": "auto-dear", "label": "auto-dear"}], "told while it is written"
    answer = bob.finished(asked)
    assert (answer.status, answer.model_name, answer.failed_model_name) == (Status.DONE, "auto-dear", "")
    assert answer.notice == "auto_listed" and answer.text == said(8) and answer.cost > 0
    assert bob.conversation(answer.conversation_id).model_name == "auto", "remembered with the conversation"
    page = bob.get("/", headers={"HX-Request": "false"}).text
    assert "auto" in options(page)
    again = bob.finished(bob.ask("and now?", "auto", answer.conversation_id))
    assert (again.model_name, again.notice) == ("auto-dear", "auto_listed")


@pytest.mark.scope(TENANTS[0])
def test_without_a_list_it_is_the_cheapest(visit, priced):
    bob = visit()
    answer = bob.finished(bob.ask("hello", "auto"))
    assert answer.status == Status.DONE and answer.notice == "auto_cheapest"
    assert answer.model_name not in ("auto", "auto-dear")
