"""What the chat makes of a data policy and of a choice that nobody made, and what it calls models."""

import html as html_module
import itertools
import re

import pytest
from django.utils import translation

from accounts.models import Grant
from accounts.objects import MODEL
from accounts.services import create_project, set_data_policy, set_project_member
from accounts.services.grants import grant
from accounts.services.projects import ensure_default_project
from models_registry.embedded import find_runtime, offer_first_models
from models_registry.platform.models import Model
from models_registry.seeds import seed_platform
from models_registry.services import add_connection, add_model, set_model
from prompts.failures import WORDS
from prompts.models import Message
from tenants.context import platform
from tests.prompts.chats import last_answer, make_conversation, say
from tests.prompts.pages import HTMX, options, url
from tests.prompts.visitor import text_of

pytestmark = pytest.mark.django_db
LOCAL = "this installation's own network only"


@pytest.fixture
def offer_both(offer):
    """A model that runs elsewhere and one that runs here; returns both."""
    elsewhere = offer("elsewhere", ("1", "1"), label="Big Model")
    connection = add_connection(
        actor=None,
        name="here",
        kind="vllm",
        base_url="https://10.0.0.1/v1",
        location="local",
        allow_private=True,
    )
    return elsewhere, add_model(actor=None, connection=connection, name="here", label="House Model")


@pytest.fixture
def local_only(db):
    return set_data_policy(actor=None, project=ensure_default_project(), data_policy="local")


@pytest.fixture
def local_organisation(set_acme):
    set_acme(data_policy="local")


def picker(html: str) -> dict[str, str]:
    """The attributes of each option, by the model's name."""
    (select,) = re.findall(r'(?s)<select id="composer-model".*?</select>', html)
    return dict(re.findall(r'<option value="([^"]*)"([^>]*)>', select))


# -- the data policy -----------------------------------------------------------------------------------------


def test_what_the_policy_forbids_is_shown_with_the_reason(as_bob, offer_both, local_only):
    html = as_bob.get(url("chat-home")).content.decode()
    found = picker(html)
    assert "disabled" in found["elsewhere"] and 'aria-disabled="true"' in found["elsewhere"]
    assert "selected" in found["here"] and "disabled" not in found["here"]
    assert options(html)["elsewhere"] == f"Big Model Not allowed here. Data policy: {LOCAL}".replace(
        "'", "&#x27;"
    )
    assert "1 model is not allowed here" in html


def test_a_policy_of_the_organisation_binds_too_and_a_stand_in_may_answer(
    as_bob, offer_both, local_organisation
):
    assert "disabled" in picker(as_bob.get(url("chat-home")).content.decode())["elsewhere"]
    set_model(actor=None, model=offer_both[0], fallbacks=["here"])
    assert "disabled" not in picker(as_bob.get(url("chat-home")).content.decode())["elsewhere"]


def test_a_stand_in_may_be_named_by_another_name(as_bob, offer_both, local_only):
    elsewhere, here = offer_both
    set_model(actor=None, model=here, aliases=["house"])
    set_model(actor=None, model=elsewhere, fallbacks=["house"])
    found = picker(as_bob.get(url("chat-home")).content.decode())
    assert "disabled" not in found["elsewhere"] and "house" not in found, "an alias is no further choice"


def test_a_conversation_whose_model_may_no_longer_answer_says_so_and_chooses_none(
    as_bob, bob, offer_both, local_only
):
    conversation = make_conversation(bob, model_name="elsewhere")
    page = as_bob.get(url("conversation-detail", conversation.pk))
    html = page.content.decode()
    assert "Big Model is not allowed here." in html and "is no longer offered" not in html
    assert page.context["selected_model"] == "" and "selected" in picker(html)[""]


def test_where_all_models_are_forbidden_nothing_can_be_sent_but_none_is_missing(as_bob, offer, local_only):
    offer("elsewhere", ("1", "1"))
    html = as_bob.get(url("chat-home")).content.decode()
    assert "No model is connected yet" not in html and "disabled" in picker(html)["elsewhere"]
    assert re.search(r"<button[^>]*data-send[^>]* disabled", html)


def test_the_picker_of_another_project_is_one_request_away(as_bob, bob, offer_both):
    project = create_project(actor=None, name="Careful")
    set_data_policy(actor=None, project=project, data_policy="local")
    set_project_member(actor=None, project=project, user=bob, role="viewer")
    home = as_bob.get(url("chat-home")).content.decode()
    assert "disabled" not in picker(home)["elsewhere"]
    html = as_bob.get(url("chat-home"), {"project": project.pk, "model": "elsewhere"}).content.decode()
    assert "disabled" in picker(html)["elsewhere"] and "selected" in picker(html)[""], "chosen by nobody"
    assert "Big Model is not allowed here." in html
    assert re.search(rf'<option value="{project.pk}" selected>', html)
    for address in (url("chat-home"), url("conversation-detail", make_conversation(bob).pk)):
        fragment = as_bob.get(address, {"project": project.pk}, headers=HTMX).content.decode()
        assert "<html" not in fragment and "disabled" in picker(fragment)["elsewhere"]
        assert fragment.count('hx-swap-oob="true"') == 4
    kept = as_bob.get(url("chat-home"), {"project": "", "model": "here"}).content.decode()
    assert "selected" in picker(kept)["here"]


@pytest.mark.parametrize("query", ["?project=x", "?project=%00", "?model=%00", "?model=x&project=1"])
def test_nonsense_in_the_composers_question_is_no_accident(as_bob, bob, offer_both, query):
    conversation = make_conversation(bob, model_name="here")
    for address in (url("chat-home"), url("conversation-detail", conversation.pk)):
        page = as_bob.get(address + query)
        assert page.status_code == 200 and page.context["selected_model"]
        assert "no longer offered" not in page.content.decode()


def refuse(conversation, code: str, model_name: str) -> Message:
    answer = last_answer(conversation)
    say(answer, "")
    Message.objects.filter(pk=answer.pk).update(
        status="failed",
        error_code=code,
        error_message="raw words",
        error_language="en",
        model_name=model_name,
    )
    return answer


@pytest.mark.parametrize("code", ["data_policy", "model_not_found", "model_retired"])
def test_a_refused_model_offers_one_that_may_answer(as_bob, bob, offer_both, local_only, code):
    conversation = make_conversation(bob, model_name="elsewhere")
    answer = refuse(conversation, code, "elsewhere")
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    address = url("message-regenerate", answer.pk)
    (form,) = re.findall(rf'(?s)<form method="post"\s+action="{address}".*?</form>', html)
    assert re.search(r'name="model"\s+value="here"', form) and text_of(form) == "Answer with House Model"
    assert ("Big Model runs where" in html) == (code == "data_policy")


def test_a_refused_project_offers_no_other_model(as_bob, bob, offer_both):
    """What was begun under a stricter policy: no model may answer that."""
    conversation = make_conversation(bob, model_name="elsewhere")
    refuse(conversation, "data_policy", "elsewhere")
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    assert "raw words" in html and "Answer with" not in html and ">Try again</button>" in html


# -- the rights of use ---------------------------------------------------------------------------------------


@pytest.fixture
def deny(acme, bob, offer_both):
    """deny(): Bob may no longer use the model “elsewhere”."""
    return lambda: grant(actor=None, kind=MODEL, target=offer_both[0].pk, user=bob, effect=Grant.Effect.DENY)


def test_a_model_that_is_denied_to_somebody_is_not_called_withdrawn(as_bob, bob, deny):
    conversation = make_conversation(bob, model_name="elsewhere")
    answer = last_answer(conversation)
    Message.objects.filter(pk=answer.pk).update(status="interrupted", model_name="elsewhere")

    def html() -> str:
        return as_bob.get(url("conversation-detail", conversation.pk)).content.decode()

    assert ">Continue</button>" in html() and "may no longer use" not in html()
    deny()
    words = text_of(html())
    assert "You may no longer use Big Model. Choose another model to go on." in words
    assert "You may no longer use this model. Answer with House Model" in words
    assert "no longer offered" not in words and ">Continue</button>" not in html()
    refuse(conversation, "model_not_found", "elsewhere")
    words = text_of(html())
    assert "You may no longer use this model Big Model is there, but the rights of use" in words
    assert "no longer offered" not in words and ">Try again</button>" not in html()
    say(answer, "the beginning")
    assert ">Continue</button>" not in html(), "the rest would be refused again"


def test_a_fragment_of_a_denied_answer_says_so_too(as_bob, bob, deny):
    conversation = make_conversation(bob, model_name="elsewhere")
    answer = last_answer(conversation)
    Message.objects.filter(pk=answer.pk).update(status="stopped", model_name="elsewhere")
    deny()
    html = as_bob.post(url("message-stop", answer.pk), headers=HTMX).content.decode()
    assert "You may no longer use this model." in html and ">Continue</button>" not in html


# -- the words of a failure ----------------------------------------------------------------------------------


def cards(client, bob, language: str, failures: list[dict]) -> list[str]:
    """What a person who reads this language sees of failed answers in one conversation: up to twenty, which
    a page shows at once.
    """
    conversation = make_conversation(bob, turns=len(failures))
    answers = list(conversation.messages.filter(role="assistant"))
    say(answers, "")
    for answer, columns in zip(answers, failures, strict=True):
        columns = {"status": "failed", "error_message": "raw words"} | columns
        Message.objects.filter(pk=answer.pk).update(**columns)
    bob.language = language
    bob.save()
    html = client.get(url("conversation-detail", conversation.pk)).content.decode()
    found = re.findall(r'(?s)<div class="message-error.*?<div class="message-error-foot">', html)
    assert len(found) == len(failures)
    return found


def card(client, bob, language: str, **columns) -> str:
    return cards(client, bob, language, [columns])[0]


def test_a_failure_is_told_in_the_readers_language(as_bob, bob):
    kept_in = ("zh-hans", "", "en")  # "": kept by the release before
    failures = [{"error_code": code, "error_language": kept} for code in WORDS for kept in kept_in]
    with translation.override("en"):
        words = {code: str(text) for code, text in WORDS.items()}
    pages = [cards(as_bob, bob, "en", failures[start : start + 20]) for start in range(0, len(failures), 20)]
    for columns, shown in zip(failures, itertools.chain(*pages), strict=True):
        if columns["error_language"] == "en":
            assert "raw words" in shown, f"{columns}: which has the figures and names"
        else:
            assert "raw words" not in shown, columns
            assert words[columns["error_code"]] in html_module.unescape(shown), columns


@pytest.mark.parametrize("language", ["de", "en", "zh-hans"])
def test_a_failure_is_told_with_its_figures_in_any_language(as_bob, bob, language):
    msgid = "The model server answered with an error (status %(status)s). Try again, or choose another model."
    columns = {"error_code": "upstream_error", "error_language": "de"}
    words = {"id": msgid, "with": {"status": 507}}
    shown = html_module.unescape(card(as_bob, bob, language, error_words=words, **columns))
    with translation.override(language):
        assert translation.gettext(msgid) % {"status": 507} in shown and "raw words" not in shown
    shown = card(as_bob, bob, language, error_words={"id": "Said by the next release"}, **columns)
    assert ("raw words" in shown) == (language == "de"), "what cannot be said again falls back"


def test_a_code_that_nobody_knows_leaves_the_kept_words(as_bob, bob):
    shown = card(as_bob, bob, "de", error_code="providers_own", error_language="en")
    assert '<p lang="en">raw words</p>' in shown


@pytest.mark.parametrize(
    ("code", "heading"),
    [
        ("upstream_unreachable", "Model server not reachable"),
        ("host_not_found", "Model server not reachable"),
        ("egress_refused", "Model server not reachable"),
        ("upstream_timeout", "The model server did not answer in time"),
        ("upstream_error", "The model server did not answer properly"),
    ],
)
def test_the_heading_says_what_the_words_say(as_bob, bob, code, heading):
    shown = card(as_bob, bob, "en", error_code=code)
    assert heading.replace("&#x27;", "'") in html_module.unescape(shown)


# -- nobody chose a default ----------------------------------------------------------------------------------


def test_who_can_choose_a_default_model_is_told_that_nobody_has(acme, alice, bob, offer_both):
    def hint(person) -> str:
        html = acme.login_as(person).get(url("chat-home")).content.decode()
        return "".join(re.findall(r'(?s)<span class="undecided-note[^>]*>.*?</span>', html))

    assert text_of(hint(alice)) == "No default chosen; Big Model comes first. Choose one"
    assert "/admin/models_registry/model/" in hint(alice) and hint(bob) == ""
    set_model(actor=None, model=offer_both[1], is_default=True)
    assert hint(alice) == ""


def test_the_first_starts_default_is_nobodys_choice(acme, alice, offer):
    offer("own", ("1", "1"))
    with platform():
        seed_platform("http://127.0.0.1:4711", "token")
        Model.objects.exclude(name="atrium-tiny").update(is_enabled=False)
        offer_first_models(find_runtime(), [{"id": "SmolLM2-135M-Instruct", "kind": "chat"}])
    html = acme.login_as(alice).get(url("chat-home")).content.decode()
    assert "No default chosen; SmolLM2-135M-Instruct comes first." in text_of(html)


def test_without_a_choice_nobody_is_asked_to_make_one(acme, alice, offer, db):
    """Also in a conversation, which has its model."""
    offer("only", ("1", "1"))
    client = acme.login_as(alice)
    assert "undecided-note" not in client.get(url("chat-home")).content.decode()
    offer("second", ("1", "1"))
    conversation = make_conversation(alice, model_name="only")
    assert "undecided-note" in client.get(url("chat-home")).content.decode()
    assert "undecided-note" not in client.get(url("conversation-detail", conversation.pk)).content.decode()


# -- names ---------------------------------------------------------------------------------------------------


def test_a_model_has_one_name_wherever_the_chat_shows_it(as_bob, bob, offer):
    offer("vendor/new-2", label="New")
    offer("vendor/old-1", label="Old", is_enabled=False, successor="vendor/new-2")
    conversation = make_conversation(bob, model_name="vendor/old-1")
    Message.objects.filter(conversation=conversation).update(model_name="vendor/old-1")
    Message.objects.filter(pk=last_answer(conversation).pk).update(notice="model_replaced stood_in")
    html = as_bob.get(url("conversation-detail", conversation.pk)).content.decode()
    words = text_of(html)
    assert "Old is no longer offered. New takes its place." in words
    assert "Old answered instead." in words
    assert "The chosen model did not answer; Old stood in for it." in words, "as it was noted before"
    Message.objects.filter(pk=last_answer(conversation).pk).update(failed_model_name="vendor/new-2")
    words = text_of(as_bob.get(url("conversation-detail", conversation.pk)).content.decode())
    assert "New did not answer; Old stood in for it." in words
    assert "vendor/" not in words
    assert '<span class="message-model" translate="no" title="vendor/old-1">Old</span>' in html


def test_a_name_that_nobody_knows_is_shown_as_it_is(as_bob, bob, offer):
    offer("any")
    conversation = make_conversation(bob, model_name="gone-1")
    Message.objects.filter(pk=last_answer(conversation).pk).update(model_name="gone-2")
    words = text_of(as_bob.get(url("conversation-detail", conversation.pk)).content.decode())
    assert "gone-1 is no longer offered" in words and "gone-2" in words
